#!/bin/bash
# A panic in our own code: the controller fails, the driver gives the drive up, the module can be unloaded, the kernel goes on.
# Needs a module that was built with the feature test-faults.
# shellcheck disable=SC2317,SC2329 # functions are called by `check`
. "$(dirname "$0")/lib.sh"

change_cpus() {
    local state cpu
    for state in 0 1; do
        for cpu in 1 2; do
            echo "$state" >"/sys/devices/system/cpu/cpu$cpu/online" || return
        done
    done
}

# Once in and out: see lifecycle.sh on MemTotal.
check "load and unload" bash -c "insmod '$MODULE' $PARAMETERS && rmmod nvmev"
total=$(meminfo MemTotal)
for thread in dispatcher worker; do
    check "load" load || finish
    device=$(block_device)
    check "a panic of the $thread" bash -c "echo 'panic $thread' >/proc/nvmev/debug"
    check "I/O ends with an error" timeout 200 bash -c "! dd if='$device' of=/dev/null bs=4k count=16 iflag=direct status=none"
    check "the log says what happened" bash -c "dmesg | grep -E 'NVMeVirt: .*panic'"
    check "the kernel goes on" bash -c "uname -r && ls / && cat /proc/nvmev/stat"
    check "the CPUs of its threads go offline and come back" change_cpus
    check "the module can be unloaded" unload
    check "nothing is left" nothing_left "$total"
done
check "and loaded again" load
check "the drive works" dd if="$(block_device)" of=/dev/null bs=4k count=16 iflag=direct status=none
check "unload" unload
check "nothing is left" nothing_left "$total"
finish
