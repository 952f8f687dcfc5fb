#!/bin/bash
# Peer-to-peer: data, lists and queues in the memory of another PCI function, driven by a program in user space; and addresses that are no memory.
# The other function is QEMU's ivshmem-plain, whose BAR 2 is plain memory of 4 MiB.
. "$(dirname "$0")/lib.sh"

userdriver=${NVMEV_USERDRIVER:?}
function=$(pci_function)

# with_id VENDOR:DEVICE: the first function with these.
with_id() {
    local folder
    for folder in /sys/bus/pci/devices/*; do
        if [[ "$(<"$folder/vendor"):$(<"$folder/device")" == "$1" ]]; then
            basename "$folder"
            return
        fi
    done
    return 1
}

# bar FUNCTION NUMBER: where that begins.
bar() {
    awk -v number="$2" 'NR == number + 1 { print $1 }' "/sys/bus/pci/devices/$1/resource"
}

# drive ARGUMENT...
# shellcheck disable=SC2317 # called by check
drive() {
    timeout 120 "$userdriver" "$function" --rounds 2 "$@"
}

# How often the kernel has what lies at an address mapped.
mappings() {
    grep -cE "\[nvmev\] phys=(0x)?0*$(printf '%x' "$1") ioremap" /proc/vmallocinfo
}

peer=$(with_id 0x1af4:0x1110)
address=$(bar "$peer" 2)
there=(--data-address "$address" --data-file "/sys/bus/pci/devices/$peer/resource2")
echo 1 >"/sys/bus/pci/devices/$peer/enable"

check "uio_pci_generic can be loaded" modprobe uio_pci_generic || finish
check "the function is given to uio_pci_generic" bind_to uio_pci_generic || finish
echo 4 >/proc/sys/vm/nr_hugepages
check "data in RAM" drive
check "data and lists in another function's memory" drive "${there[@]}"
sed 's/^/# /' "$scratch/output"
check "in its upper half, too" drive --data-address "$(printf '%#x' $((address + (2 << 20))))" \
    --data-file "/sys/bus/pci/devices/$peer/resource2" --data-offset $((2 << 20))
check "queues there, too" drive "${there[@]}" --queues-in-data --data-bytes $((1 << 20))

check_equal "all of that through one mapping" 1 "$(mappings "$address")"

# The machine's own registers (ECAM, APICs, HPET), firmware, our own BAR and storage, holes, beyond all addresses.
own=$(bar "$function" 0)
check "nobody's memory, the machine's registers and our own" drive --refused 0xb0000000 0xfec00000 0xfee00000 0xfed00000 0xfffff000 \
    "$own" "$(printf '%#x' $((own + (1 << 20))))" "$(printf '%#x' $((own + (8 << 20))))" 0xd0000000 0xf00000000000 0xfffffffffffff000
sed 's/^/# /' "$scratch/output"

echo 0 >"/sys/bus/pci/devices/$peer/enable"
echo 1 >"/sys/bus/pci/devices/$peer/remove"
check_equal "the mapping goes with the function" 0 "$(mappings "$address")"
check "a function that was removed has no memory" drive --refused "$address" "$(printf '%#x' $((address + 4096)))"
echo 1 >/sys/bus/pci/rescan
peer=$(with_id 0x1af4:0x1110)
check "it comes back" test -n "$peer"
printf '\0' | dd of="/sys/bus/pci/devices/$peer/config" bs=1 seek=4 conv=notrunc status=none
check "switched off it has none" drive --refused "$(bar "$peer" 2)"
echo 1 >"/sys/bus/pci/devices/$peer/enable"
check "and then has it again" drive --data-address "$(bar "$peer" 2)" --data-file "/sys/bus/pci/devices/$peer/resource2"

check "the function is given back to nvme" bind_to nvme
echo >"/sys/bus/pci/devices/$function/driver_override"
check "the drive comes back" wait_for 20 device_ready
finish
