#!/bin/bash
# The driver's way to suspend and resume, through shutdown and D3hot, with the function asleep at run time, too.
# Needs a module that was built with the feature test-faults.
# shellcheck disable=SC2317 # check calls functions by their name
. "$(dirname "$0")/lib.sh"

rounds=3
[[ -n $LONG ]] && rounds=30

check "load" load || finish
device=$(block_device)
function=$(pci_function)
folder=/sys/bus/pci/devices/$function

write_and_verify &
writer=$!
sleep 1
failed=0
for ((round = 0; round < rounds; round++)); do
    echo suspend >/proc/nvmev/debug || failed=$((failed + 1))
    sleep 0.5
done
check_equal "$rounds times to D3hot and back under fio" 0 "$failed"
touch "$scratch/stop"
wait "$writer"
check_equal "fio wrote and verified everything" 0 $?

# All that the kernel does when the machine suspends, but for the loss of power: other devices, CPUs that go offline, a stopped clock. The guest's
# files stay within reach.
echo "keep virtio awake" >/proc/nvmev/debug
echo 1 >/sys/module/suspend/parameters/pm_test_delay
homes=$(</proc/nvmev/cpus)
rm "$scratch/stop"
write_and_verify &
writer=$!
for level in processors core; do
    echo "$level" >/sys/power/pm_test
    check "suspend to RAM, as far as '$level'" bash -c 'echo mem >/sys/power/state'
    check_matches "CPUs went offline for it" 'CPU [12] goes offline' "$(dmesg | tail -n 200)"
    check_equal "and the threads are back on theirs" "$homes" "$(</proc/nvmev/cpus)"
    sleep 0.5
done
echo none >/sys/power/pm_test
touch "$scratch/stop"
wait "$writer"
check_equal "fio wrote and verified everything" 0 $?
check "no command timed out" bash -c "! dmesg | tail -n +$dmesg_lines | grep -iE 'nvme.*timeout'"

is_suspended() { [[ $(<"$folder/power/runtime_status") == suspended ]]; }
check "the driver can be taken away" bash -c "echo '$function' >'$folder/driver/unbind'"
echo auto >"$folder/power/control"
check "then the function is suspended at run time" wait_for 10 is_suspended
check "the driver comes back" bash -c "echo '$function' >/sys/bus/pci/drivers/nvme/bind"
check "and its drive" wait_for 20 device_ready
check "which works" dd if="$(block_device)" of=/dev/null bs=4k count=16 iflag=direct status=none
check "unload" unload
finish
