#!/bin/bash
# Resets of every kind that a kernel has while fio writes and verifies; then the driver and the function taken away and brought back
# in the middle of writes. Whatever was acknowledged is there.
# shellcheck disable=SC2317 # some functions are called by a name in a variable
. "$(dirname "$0")/lib.sh"

resets=6
rebinds=2
[[ -n $LONG ]] && resets=100 rebinds=20
device=$(block_device)
controller=$(controller)
function=$(pci_function)
folder=/sys/bus/pci/devices/$function
# The same order every time.
RANDOM=1

reset_by() {
    case $1 in
    driver) timeout 60 nvme reset "$controller" ;;
    function) timeout 60 bash -c "echo 1 >'$folder/reset'" ;;
    # From 6.11 on the driver leaves what comes next to whoever asked.
    subsystem) timeout 60 nvme subsystem-reset "$controller" && timeout 60 nvme reset "$controller" ;;
    esac
}

check_equal "the function can be reset by itself" flr "$(<"$folder/reset_method")"
# Writes all of its blocks, reads all of them back, and begins again, until it is told to stop: then what it has begun comes to its end.
write_and_verify() {
    until [[ -e $scratch/stop ]]; do
        fio --name=storm --filename="$device" --ioengine=libaio --iodepth=32 --direct=1 --rw=randwrite --bs=4k --size=8m \
            --rate_iops=1000 --verify=crc32c --verify_fatal=1 --do_verify=1 --output="$scratch/fio" || return
        echo pass >>"$scratch/passes"
    done
}
write_and_verify &
writer=$!
sleep 1
kinds=(driver function subsystem)
failed=0
start=$(date +%s%N)
for ((reset = 0; reset < resets; reset++)); do
    reset_by "${kinds[reset % 3]}" || failed=$((failed + 1))
    sleep "0.$((RANDOM % 4))"
done
echo "# $resets resets: $((($(date +%s%N) - start) / 1000000)) ms"
check_equal "$resets resets under fio" 0 "$failed"
touch "$scratch/stop"
wait "$writer"
check_equal "fio wrote and verified everything, again and again" 0 $?
echo "# $(grep -c pass "$scratch/passes") times"
grep -iE 'verify: bad|err=[^ 0]|error=' "$scratch/fio" | sed 's/^/# /' | head -n 5
check "no command timed out" bash -c "! dmesg | tail -n +$dmesg_lines | grep -iE 'nvme.*timeout'"

unbind() { echo "$function" >/sys/bus/pci/drivers/nvme/unbind; }
bind() { echo "$function" >/sys/bus/pci/drivers/nvme/bind; }
remove() { echo 1 >"$folder/remove"; }
rescan() { echo 1 >/sys/bus/pci/rescan; }

# away_and_back AWAY BACK: in the middle of writes, one after the other. What dd counts was acknowledged. If it comes too late, it must not make a
# file where the device's name has to be.
away_and_back() {
    local writer written
    dd if=/dev/urandom of="$scratch/pattern" bs=1M count=8 status=none
    dd if="$scratch/pattern" of="$device" bs=4k oflag=direct conv=nocreat 2>"$scratch/dd" &
    writer=$!
    sleep "0.$((RANDOM % 4 + 1))"
    "$1" || return
    wait "$writer"
    written=$(sed -n 's/+.* records out//p' "$scratch/dd")
    written=${written:-0}
    "$2" && wait_for 20 device_ready || return
    device=$(block_device)
    dd if="$device" bs=4k count="$written" iflag=direct status=none | cmp -n "$((written * 4096))" "$scratch/pattern" - || return
    acknowledged=$((acknowledged + written))
}
failed=0
acknowledged=0
for ((rebind = 0; rebind < rebinds; rebind++)); do
    away_and_back unbind bind || failed=$((failed + 1))
    away_and_back remove rescan || failed=$((failed + 1))
done
check_equal "$rebinds times the driver, and as often the function, taken away during writes" 0 "$failed"
check "with $acknowledged acknowledged writes" test "$acknowledged" -gt 0
check "the module can be unloaded" unload
finish
