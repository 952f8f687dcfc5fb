#!/bin/bash
# Hibernation would lose what is on the drive, so it is refused while there is one; suspend to RAM is not. It loads the module itself.
# shellcheck disable=SC2317,SC2329 # functions are called by `check`
. "$(dirname "$0")/lib.sh"

# Far enough to see who refuses, and no further.
echo freezer >/sys/power/pm_test
echo 1 >/sys/module/suspend/parameters/pm_test_delay
refusals() { dmesg | grep -c 'NVMeVirt: hibernation is refused'; }
hibernate() { bash -c 'echo disk >/sys/power/state'; }
suspend() { bash -c 'echo mem >/sys/power/state'; }
# As programs do that make or read the image themselves.
make_image() { bash -c ': </dev/snapshot'; }
read_image() { bash -c ': >/dev/snapshot'; }

check "without the module the guest can hibernate" hibernate
for parameters in "size=256M" "size=1T data=none" "memmap_start=4G memmap_size=32M"; do
    # shellcheck disable=SC2086 # parameters are words
    check "load with $parameters" load $parameters cpus=1,2
    check "hibernation is refused" fails hibernate
    check_equal "the log says why, once" 1 "$(refusals)"
    check "a program cannot make an image either" fails make_image
    check_matches "nor read one" 'Device or resource busy' "$(read_image 2>&1)"
    check_matches "the log says why" 'NVMeVirt: the return from hibernation is refused' "$(dmesg | tail -n 3)"
    check "suspend to RAM is not refused" suspend
    check "the drive works" dd if="$(block_device)" of=/dev/null bs=4k count=16 iflag=direct status=none
    check "unload" unload
    check "then the guest can hibernate again" hibernate
    dmesg -C
    dmesg_lines=0
done
check "a load that is refused" fails insmod "$MODULE" size=1
check "leaves nothing that refuses" hibernate
echo none >/sys/power/pm_test
finish
