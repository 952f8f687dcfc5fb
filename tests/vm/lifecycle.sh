#!/bin/bash
# Loading and unloading: again and again, with a file system mounted, and while fio runs. Memory comes back every time.
. "$(dirname "$0")/lib.sh"

cycles=5
[[ -n $LONG ]] && cycles=200

if loaded; then
    not_ok "the module is not loaded yet" "it is"
    finish
fi
total=$(meminfo MemTotal)
start=$(date +%s%N)
check "load" load || finish
echo "# from insmod to $(block_device): $((($(date +%s%N) - start) / 1000000)) ms"
serial=$(nvme id-ctrl "$(controller)" | awk -F: '/^sn/ { print $2 }')
check "unload" unload
# The map of a memory block that was there at boot (2 MiB for each 128 MiB) begins to count as the kernel's memory when the
# block comes back for the first time. From then on MemTotal stays as it is, to the last byte.
first=$(meminfo MemTotal)
if ((first >= total && first - total <= 64 * 1024)); then
    ok "MemTotal is not less than before ($((first - total)) KiB more)"
else
    not_ok "MemTotal is not less than before" "it was $total KiB, is $first KiB"
fi
total=$first
check "nothing is left" nothing_left "$total"

# What the kernel can give, in KiB, when nothing else is going on: udev and the like hold some for a moment after each cycle,
# so the most of several looks counts. Pages on the CPUs' own lists of free ones (20 MiB and more here, as chance has it) are
# not in MemAvailable, so they are added.
available() {
    local most=0 now
    for _ in 1 2 3 4 5 6 7 8; do
        sync
        echo 3 >/proc/sys/vm/drop_caches
        sleep 0.5
        now=$(($(meminfo MemAvailable) + 4 * $(awk '$1 == "count:" { sum += $2 } END { print sum }' /proc/zoneinfo)))
        ((now > most)) && most=$now
    done
    echo "$most"
}
# The first cycle filled caches that stay.
before=$(available)
failed=0
for ((cycle = 0; cycle < cycles; cycle++)); do
    # shellcheck disable=SC2119 # without parameters it takes the suite's
    { load && unload; } || failed=$((failed + 1))
done
check_equal "$cycles times loaded and unloaded" 0 "$failed"
check "nothing is left" nothing_left "$total"
lost=$((before - $(available)))
if ((lost < 8192)); then
    ok "MemAvailable is $((-lost)) KiB more than before"
else
    not_ok "MemAvailable is what it was" "$lost KiB less"
fi

check "load again" load
check_equal "the serial number is the same" "$serial" "$(nvme id-ctrl "$(controller)" | awk -F: '/^sn/ { print $2 }')"
device=$(block_device)
fio --name=load --filename="$device" --ioengine=libaio --iodepth=64 --direct=1 --rw=randrw --bs=4k --time_based --runtime=300 \
    --output="$scratch/fio" 2>/dev/null &
fio=$!
sleep 2
check "fio is running" kill -0 "$fio"
check "unload while fio runs" unload
check "fio ends by itself" wait_for 60 bash -c "! kill -0 $fio"
wait "$fio"
check_equal "and says that there was an error" 1 "$(($? != 0))"
check "nothing is left" nothing_left "$total"

check "load again" load
device=$(block_device)
mkdir "$scratch/mount"
mkfs.ext4 -q -F "$device"
mount "$device" "$scratch/mount"
cp -r /etc/ssl "$scratch/mount/" 2>/dev/null
sync
# As with a drive that is pulled out: the kernel lets it go, the file system is an empty shell.
check "unload with a file system mounted" unload
check "it can be unmounted" timeout 60 umount "$scratch/mount"
check "nothing is left" nothing_left "$total"

check "load again" load
check "the PCI function can be removed" bash -c "echo 1 >'/sys/bus/pci/devices/$(pci_function)/remove'"
check "unload without it" unload
check "nothing is left" nothing_left "$total"

check "load again" load
check "the driver can be unloaded first" modprobe -r nvme
check "unload without a driver" unload
check "nothing is left" nothing_left "$total"
check "load without a driver" bash -c "insmod '$MODULE' $PARAMETERS"
modprobe nvme
check "the driver finds the drive later" wait_for 20 device_ready
check "unload" unload
check "nothing is left" nothing_left "$total"
finish
