#!/bin/bash
# Controller resets, and the PCI function's removal and return, under load.
. "$(dirname "$0")/lib.sh"

device=$(block_device)
resets=10
[[ -n $LONG ]] && resets=50

resets_under_fio "$resets" --ioengine=libaio --iodepth=16 --direct=1 --rw=randrw --bs=4k --size=64m --verify=crc32c

pattern=$scratch/pattern
dd if=/dev/urandom of="$pattern" bs=1M count=4 status=none
dd if="$pattern" of="$device" bs=1M oflag=direct status=none
function=$(pci_function)
check "the PCI function can be removed" bash -c "echo 1 >'/sys/bus/pci/devices/$function/remove'"
check "its drive goes" wait_for 20 bash -c "! [[ -b $device ]]"
check "the module is still there" loaded
check "the bus can be scanned again" bash -c "echo 1 >/sys/bus/pci/rescan"
if check "the drive comes back" wait_for 20 device_ready; then
    device=$(block_device)
    dd if="$device" bs=1M count=4 iflag=direct status=none >"$scratch/back"
    check "with what was on it" cmp "$pattern" "$scratch/back"
fi
finish
