#!/bin/bash
# The kernel's target exports our first namespace over TCP, and fio verifies through it, also while the drive behind it is reset. Then it exports the
# controller (passthrough), whose host sees no limits of discards and discards the whole drive.
# shellcheck disable=SC2317 # check calls functions by their name
. "$(dirname "$0")/lib.sh"

size=8m
resets=2
[[ -n $LONG ]] && size=128m resets=20
nqn=nqn.2014-08.org.nvmexpress:nvmev-test
lines_before=$(dmesg | wc -l)
target=/sys/kernel/config/nvmet
device=$(block_device)

export_namespace() {
    mkdir "$target/subsystems/$nqn" "$target/subsystems/$nqn/namespaces/1" || return
    echo 1 >"$target/subsystems/$nqn/attr_allow_any_host"
    echo "$device" >"$target/subsystems/$nqn/namespaces/1/device_path"
    echo 1 >"$target/subsystems/$nqn/namespaces/1/enable" || return
    open_port
}

open_port() {
    mkdir "$target/ports/1" || return
    echo ipv4 >"$target/ports/1/addr_adrfam"
    echo tcp >"$target/ports/1/addr_trtype"
    echo 127.0.0.1 >"$target/ports/1/addr_traddr"
    echo 4420 >"$target/ports/1/addr_trsvcid"
    ln -s "$target/subsystems/$nqn" "$target/ports/1/subsystems/$nqn"
}

withdraw_namespace() {
    rm "$target/ports/1/subsystems/$nqn" &&
        echo 0 >"$target/subsystems/$nqn/namespaces/1/enable" &&
        rmdir "$target/subsystems/$nqn/namespaces/1" "$target/subsystems/$nqn" "$target/ports/1"
}

# The whole controller, with all its namespaces.
export_controller() {
    local passthru=$target/subsystems/$nqn/passthru
    mkdir "$target/subsystems/$nqn" || return
    echo 1 >"$target/subsystems/$nqn/attr_allow_any_host"
    controller >"$passthru/device_path"
    # On the same machine the namespace would be there twice, which the kernel refuses.
    echo 1 >"$passthru/clear_ids" || return
    echo 1 >"$passthru/enable" || return
    open_port
}

withdraw_controller() {
    rm "$target/ports/1/subsystems/$nqn" &&
        echo 0 >"$target/subsystems/$nqn/passthru/enable" &&
        rmdir "$target/subsystems/$nqn" "$target/ports/1"
}

no_io_errors() {
    ! dmesg | tail -n "+$((lines_before + 1))" | grep -E 'I/O error|critical .* error'
}

# The block device that the target shows us.
remote_device() {
    local name
    for name in /sys/class/nvme/nvme*; do
        if [[ $(<"$name/subsysnqn") == "$nqn" ]]; then
            compgen -G "/dev/$(basename "$name")n1"
            return
        fi
    done
    return 1
}

check "the target's modules can be loaded" modprobe -a nvmet-tcp nvme-tcp || finish
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
check "the namespace is exported" export_namespace
check "a host connects to it" timeout 60 nvme connect -t tcp -a 127.0.0.1 -s 4420 -n "$nqn" -i 2
check "and finds it" wait_for 20 remote_device || finish
remote=$(remote_device)
check_equal "with its size" "$(blockdev --getsize64 "$device")" "$(blockdev --getsize64 "$remote")"

# Slowly at first, so that the resets come while it writes.
fio --name=remote --thread --filename="$remote" --ioengine=libaio --iodepth=16 --direct=1 --rw=randwrite --bs=16k --size="$size" --rate_iops=128 \
    --verify=crc32c --verify_fatal=1 --do_verify=1 --output="$scratch/fio" &
fio=$!
failed=0
for ((reset = 0; reset < resets; reset++)); do
    sleep 0.5
    timeout 60 nvme reset "$(controller)" || failed=$((failed + 1))
done
check_equal "$resets resets of the drive behind it" 0 "$failed"
wait_for 900 bash -c "! kill -0 $fio" || kill -KILL "$fio"
wait "$fio"
check_equal "fio verifies through the target" 0 $?
# What went in over there is on the drive.
dd if="$remote" bs=1M count=8 iflag=direct status=none >"$scratch/remote"
dd if="$device" bs=1M count=8 iflag=direct status=none | cmp - "$scratch/remote"
check_equal "both sides see the same data" 0 $?
check "the host disconnects" nvme disconnect -n "$nqn"
check "the namespace is withdrawn" withdraw_namespace

mkdir "$target/subsystems/$nqn.probe"
if [[ -e $target/subsystems/$nqn.probe/passthru/clear_ids ]]; then
    rmdir "$target/subsystems/$nqn.probe"
    check "the controller is exported" export_controller
    check "a host connects to it" timeout 60 nvme connect -t tcp -a 127.0.0.1 -s 4420 -n "$nqn" -i 2
    check "and finds its namespace" wait_for 20 remote_device || finish
    remote=$(remote_device)
    tr '\0' '\377' </dev/zero | dd of="$device" bs=1M count=8 iflag=fullblock oflag=direct status=none
    check "the whole drive is discarded through it" blkdiscard -f "$remote"
    check_equal "all of it reads as zeros" 0 "$(dd if="$device" bs=1M iflag=direct status=none | tr -d '\000' | wc -c)"
    check "zeros are written through it" blkdiscard -f --zeroout --length $((64 << 20)) "$remote"
    check "the host disconnects" nvme disconnect -n "$nqn"
    check "the controller is withdrawn" withdraw_controller
else
    rmdir "$target/subsystems/$nqn.probe"
    echo "# this kernel's target has no passthrough"
fi
check "no command failed" no_io_errors
check "the target's modules can be unloaded" modprobe -r nvme-tcp nvmet-tcp
finish
