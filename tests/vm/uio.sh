#!/bin/bash
# Another driver: uio_pci_generic, with a driver in user space (crates/nvme-userdriver), by polling and by interrupt; and back again.
# At the end that driver attaches and detaches as SPDK does.
. "$(dirname "$0")/lib.sh"

userdriver=${NVMEV_USERDRIVER:?}
rounds=2
[[ -n $LONG ]] && rounds=32
function=$(pci_function)
folder=/sys/bus/pci/devices/$function

device=$(block_device)
pattern=$scratch/pattern
# Behind what the user-space driver overwrites, which is 2 MiB a round.
skip=$((2 * rounds + 2))
dd if=/dev/urandom of="$pattern" bs=1M count=4 status=none
dd if="$pattern" of="$device" bs=1M seek="$skip" oflag=direct status=none

check "uio_pci_generic can be loaded" modprobe uio_pci_generic || finish
check "the function is given to uio_pci_generic" bind_to uio_pci_generic || finish
check "its block device is gone" fails test -b "$device"
check "there is a uio device" wait_for 10 compgen -G "$folder/uio/uio*"
# Two huge pages: queues and data.
echo 4 >/proc/sys/vm/nr_hugepages
for wait in poll interrupt; do
    check "a driver in user space, wait=$wait" timeout 120 "$userdriver" "$function" --wait "$wait" --rounds "$rounds"
    sed 's/^/# /' "$scratch/output"
done
check_matches "interrupts came" ' [1-9][0-9]* interrupts' "$(<"$scratch/output")"

check "the function is given back to nvme" bind_to nvme
echo >"$folder/driver_override"
if check "the drive comes back" wait_for 20 device_ready; then
    device=$(block_device)
    dd if="$device" bs=1M skip="$skip" count=4 iflag=direct status=none >"$scratch/back"
    check "with what was on it" cmp "$pattern" "$scratch/back"
fi

# As SPDK does: the pages of shadow doorbells are released before each shutdown and reset. Formats the namespace.
check "the function is given to uio_pci_generic again" bind_to uio_pci_generic || finish
check "there is a uio device again" wait_for 10 compgen -G "$folder/uio/uio*"
if [[ " $PARAMETERS " == *" shadow_doorbells=0 "* ]]; then
    check "a drive without shadow doorbells takes no pages for them" fails timeout 60 "$userdriver" "$function" --detach 1
else
    check "a driver that releases its doorbells and detaches or resets, 100 times" timeout 300 "$userdriver" "$function" --detach 100
fi
sed 's/^/# /' "$scratch/output"
check "the function is given back to nvme again" bind_to nvme
echo >"$folder/driver_override"
check "the drive comes back again" wait_for 20 device_ready
finish
