#!/bin/bash
# Controller resets, and the PCI function's removal and return, under load.
. "$(dirname "$0")/lib.sh"

device=$(block_device)
controller=$(controller)
resets=10
[[ -n $LONG ]] && resets=50

fio --name=load --filename="$device" --ioengine=libaio --iodepth=16 --direct=1 --rw=randrw --bs=4k --size=64m --time_based \
    --runtime=600 --output="$scratch/fio" --verify=crc32c --verify_backlog=64 &
fio=$!
sleep 1
failed=0
for ((reset = 0; reset < resets; reset++)); do
    timeout 30 nvme reset "$controller" || failed=$((failed + 1))
    sleep 0.2
done
check_equal "$resets controller resets under fio" 0 "$failed"
check "fio is still running" kill -0 "$fio"
# The first signal lets fio end what it has begun.
kill -INT "$fio"
wait_for 60 bash -c "! kill -0 $fio" || kill -KILL "$fio"
wait "$fio"
if grep -qiE 'verify: bad|err=[^ 0]|error=' "$scratch/fio"; then
    not_ok "fio saw no error" "$(grep -iE 'verify: bad|err=[^ 0]|error=' "$scratch/fio" | head -n 1)"
else
    ok "fio saw no error"
fi

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
