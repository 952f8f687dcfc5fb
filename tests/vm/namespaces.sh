#!/bin/bash
# Namespaces come and go, are formatted and sanitized, also while others are written to. The device begins with namespace 1 of the NVM command set,
# 2 of that too, 3 zoned, 4 with pairs, and room for others.
# shellcheck disable=SC2317,SC2329 # functions are called by `check`
. "$(dirname "$0")/lib.sh"

rounds=2
formats=2
sanitizes=1
[[ -n $LONG ]] && rounds=100 formats=20 sanitizes=10
controller=$(controller)
first=$(namespace_device 1)
second=$(namespace_device 2)
zoned=$(namespace_device 3)
pairs=$(generic_device 4)
zone_lbas=$(<"/sys/block/$(basename "$zoned")/queue/chunk_sectors")
mebibyte_lbas=2048
dd if=/dev/urandom of="$scratch/random" bs=1M count=8 status=none
head -c 100000 "$scratch/random" >"$scratch/value"

# Bytes of the medium that no namespace has.
unallocated() { nvme id-ctrl "$controller" | awk '$1 == "unvmcap" { print $3 }'; }
# create CSI SIZE [OPTIONS...]: the identifier of a new namespace with this NSZE.
create() {
    nvme create-ns "$controller" --csi="$1" --nsze="$2" --ncap="$2" "${@:3}" | sed -n 's/.*nsid: *//p'
}
attach() { nvme attach-ns "$controller" --namespace-id="$1" --controllers=0; }
detach() { nvme detach-ns "$controller" --namespace-id="$1" --controllers=0; }
delete() { nvme delete-ns "$controller" --namespace-id="$1"; }
format() { timeout 120 nvme format "$controller" --namespace-id="$1" --lbaf="$2" --ses="$3" --force; }
# kv DEVICE COMMAND ARGUMENTS...
kv() { "$NVMEV_COMMAND" kv "$2" "$1" "${@:3}"; }
appears() { wait_for 20 namespace_device "$1"; }
disappears() { wait_for 20 fails namespace_device "$1"; }
# new_generic_device DEVICES: the character device that was not among these.
new_generic_device() {
    local device
    for device in /dev/ng*; do
        [[ " $1 " == *" $device "* ]] || echo "$device"
    done
}
has_new_generic_device() { [[ -n $(new_generic_device "$1") ]]; }
# write_piece DEVICE N: mebibyte N of what is random goes to the beginning.
write_piece() { dd if="$scratch/random" of="$1" bs=1M skip="$2" count=1 oflag=direct status=none; }
read_piece() { dd if="$1" bs=1M count=1 iflag=direct status=none; }
# has_piece DEVICE N: it is there.
has_piece() { read_piece "$1" | cmp -n $((1 << 20)) - "$scratch/random" 0 $(($2 << 20)); }
is_zero() { read_piece "$1" | cmp -n $((1 << 20)) - /dev/zero; }
# has_blocks DEVICE BYTES: Linux knows its LBAs to have so many.
has_blocks() { [[ $(blockdev --getss "$1") == "$2" ]]; }

# Where a step of several fails, it says which.
step() {
    "$@" >"$scratch/step" 2>&1 && return
    echo "failed: $*"
    cat "$scratch/step"
    return 1
}

# One namespace of each command set is created, attached, used, detached and deleted; the argument makes rounds different.
round() {
    local before generic lba_log2=$((9 + 3 * ($1 % 2))) nvm zoned pairs nsid nvm_device zoned_device pairs_device
    before=$(unallocated)
    generic=$(echo /dev/ng*)
    nvm=$(create 0 $(((16 << 20) >> lba_log2)) --flbas=$(($1 % 2)))
    step test "$((before - (16 << 20)))" -eq "$(unallocated)" || return
    zoned=$(create 2 $((2 * zone_lbas)) --flbas=0)
    pairs=$(create 1 $((16 << 20)) --flbas=0)
    step test "$((before - $(unallocated)))" -ge $(((32 << 20) + zone_lbas * 1024)) || return
    step test "$(echo /dev/ng*)" = "$generic" || return
    step attach "$pairs" && step wait_for 20 has_new_generic_device "$generic" || return
    pairs_device=$(new_generic_device "$generic")
    step fails namespace_device "$pairs" && step attach "$nvm" && step attach "$zoned" && step appears "$nvm" && step appears "$zoned" || return
    nvm_device=$(namespace_device "$nvm")
    zoned_device=$(namespace_device "$zoned")
    step has_blocks "$nvm_device" $((1 << lba_log2)) || return
    step test "$(<"/sys/block/$(basename "$zoned_device")/queue/zoned")" = host-managed || return
    order_zone_writes "$zoned_device"
    # What was in that memory before is not to be seen.
    step is_zero "$nvm_device" && step is_zero "$zoned_device" && step test -z "$(kv "$pairs_device" list)" || return
    step write_piece "$first" 0 && step write_piece "$second" 1 && step write_piece "$nvm_device" 2 && step write_piece "$zoned_device" 3 || return
    step kv "$pairs_device" put key "$scratch/value" || return
    step has_piece "$first" 0 && step has_piece "$second" 1 && step has_piece "$nvm_device" 2 && step has_piece "$zoned_device" 3 || return
    kv "$pairs_device" get key | step cmp "$scratch/value" - || return
    step detach "$nvm" && step disappears "$nvm" && step attach "$nvm" && step appears "$nvm" || return
    step has_piece "$(namespace_device "$nvm")" 2 || return
    # Attached or not.
    step detach "$zoned" && step disappears "$zoned" || return
    for nsid in "$nvm" "$zoned" "$pairs"; do
        step delete "$nsid" || return
    done
    step disappears "$nvm" && step wait_for 20 fails test -e "$pairs_device" || return
    step test "$(unallocated)" -eq "$before" && step has_piece "$first" 0 && step has_piece "$second" 1
}

# How often Linux has looked for namespaces because the drive told it to.
notices() { dmesg | grep -c 'rescanning namespaces'; }

total=$(nvme id-ctrl "$controller" | awk '$1 == "tnvmcap" { print $3 }')
check "there is room for namespaces" test "$(unallocated)" -gt $((128 << 20)) -a "$(unallocated)" -lt "$total"
notices_before=$(notices)
for ((number = 0; number < rounds; number++)); do
    check "round $number: created, attached, used, detached, deleted" round "$number"
done
[[ -n $LONG ]] || check "Linux was told of namespaces that came and went" test "$(notices)" -gt "$notices_before"

# A namespace to be formatted. It has 16 MiB.
target=$(create 0 $((16 * mebibyte_lbas)) --flbas=0)
check "a namespace to be formatted" attach "$target"
check "it is there" appears "$target"
target_device=$(namespace_device "$target")
# Format and secure erase setting.
settings=(1:0 0:1 1:2)
[[ -n $LONG ]] && settings+=(1:1 0:2 0:0)
for setting in "${settings[@]}"; do
    lbaf=${setting%:*}
    check "write" write_piece "$target_device" 5
    check "format $lbaf, secure erase ${setting#*:}" format "$target" "$lbaf" "${setting#*:}"
    check "Linux knows its LBAs" wait_for 20 has_blocks "$target_device" $((512 << 3 * lbaf))
    check_equal "and that it is as large as before" $((16 << 20)) "$(blockdev --getsize64 "$target_device")"
    check "it is empty" is_zero "$target_device"
done
check "no other namespace is" has_piece "$second" 1

# write_until_stopped DEVICE NAME [OPTIONS...]: fio writes and verifies until the file `stop` is there, or something is wrong.
write_until_stopped() {
    until [[ -e $scratch/stop ]]; do
        fio --name="$2" --filename="$1" --ioengine=libaio --iodepth=16 --direct=1 --rw=randwrite --bs=4k --size=8m --rate_iops=1000 \
            --verify=crc32c --verify_fatal=1 --output="$scratch/$2" "${@:3}" || return
        echo pass >>"$scratch/$2.passes"
    done
}
# Fio on the namespace that is taken away under it may see errors, but has to end. Errors are no reason for it to stop.
write_anyhow() {
    fio --name=anyhow --filename="$1" --ioengine=libaio --iodepth=16 --direct=1 --rw=randrw --bs=4k --size=8m --time_based --runtime="$2" \
        --continue_on_error=all --output="$scratch/anyhow"
    true
}
write_until_stopped "$first" beside &
beside=$!
write_anyhow "$target_device" 5 &
anyhow=$!
sleep 1
failed=0
for ((number = 1; number <= formats; number++)); do
    format "$target" $((number % 2)) 1 >/dev/null 2>&1 || failed=$((failed + 1))
done
check_equal "$formats formats under load" 0 "$failed"
check "fio on what was formatted ends" wait_for 60 bash -c "! kill -0 $anyhow"
wait "$anyhow"
touch "$scratch/stop"
wait "$beside"
check_equal "fio beside it saw no error" 0 $?
echo "# $(grep -c pass "$scratch/beside.passes") times"
check "format back" format "$target" 0 0
check "Linux knows it" wait_for 20 has_blocks "$target_device" 512

# sanitize_word N: that word of the log: how far it has come, and the status.
sanitize_word() { nvme get-log "$controller" --log-id=0x81 --log-len=512 --raw-binary | od -An -j$((2 * $1)) -N2 -tu2 | tr -d ' '; }
is_sanitized() { [[ $(sanitize_word 0) == 65535 && $(($(sanitize_word 1) & 7)) == 1 ]]; }
is_sanitizing() { [[ $(($(sanitize_word 1) & 7)) == 2 ]]; }

# sanitize NAME OPTIONS...: everything is erased while fio writes; nothing hangs.
sanitize() {
    local name=$1 writer meanwhile=()
    shift
    check "$name: write" write_piece "$second" 6
    check "$name: write to the other one" write_piece "$target_device" 6
    check "$name: store" kv "$pairs" put sanitized "$scratch/value"
    write_anyhow "$first" 3 &
    writer=$!
    sleep 0.5
    check "$name" timeout 60 nvme sanitize "$controller" "$@"
    if [[ $name == *passes* ]]; then
        # At once: with several workers it does not take long.
        nvme read "$first" --start-block=0 --block-count=0 --data-size=512 2>"$scratch/meanwhile.read" >/dev/null &
        meanwhile=($!)
        nvme format "$controller" --namespace-id=2 --lbaf=0 --ses=0 --force >"$scratch/meanwhile.format" 2>&1 &
        meanwhile+=($!)
        nvme sanitize "$controller" --sanact=2 >"$scratch/meanwhile.sanitize" 2>&1 &
        meanwhile+=($!)
        check "$name: under way" is_sanitizing
        wait "${meanwhile[@]}"
        check_matches "$name: the log says so" 'SSTAT\) *: *(0x)?2' "$(nvme sanitize-log "$controller" | tr '\n' ' ')"
        check_matches "$name: no I/O meanwhile" 'Sanitize In Progress' "$(<"$scratch/meanwhile.read")"
        check_matches "$name: nor a format" 'Sanitize In Progress' "$(<"$scratch/meanwhile.format")"
        check_matches "$name: nor another one" 'Sanitize In Progress' "$(<"$scratch/meanwhile.sanitize")"
    fi
    check "$name: it is done" wait_for 120 is_sanitized
    check "$name: fio ends" wait_for 60 bash -c "! kill -0 $writer"
    wait "$writer"
    check_equal "$name: no key is left" "" "$(kv "$pairs" list)"
}
for ((number = 0; number < sanitizes; number++)); do
    sanitize "block erase" --sanact=2
    check "it is empty" is_zero "$second"
    sanitize "crypto erase" --sanact=4
    check "it is empty" is_zero "$target_device"
    if [[ -n $LONG ]]; then
        sanitize "overwrite, then deallocate" --sanact=3 --owpass=2 --ovrpat=0xf0f0f0f0
        check "it is empty" is_zero "$second"
    fi
    # As long as it can take.
    sanitize "overwrite, sixteen passes" --sanact=3 --owpass=16 --ovrpat=0x64636261 --oipbp --no-dealloc
    # Little endian.
    check "the pattern is there" cmp -n $((1 << 20)) <(yes abcd | tr -d '\n') <(read_piece "$second")
done

# Afterwards everything works.
# Linux cannot ask for zones during a sanitization, and does not keep the order of writes to a zone that it could not ask for.
check "Linux looks for namespaces again" nvme ns-rescan "$controller"
check "the zones can be reset" blkzone reset "$zoned"
order_zone_writes "$zoned"
check "fio: zones" fio --name=after --filename="$zoned" --zonemode=zbd --size=1z --io_size=4m --bs=4k --rw=write --direct=1 \
    --ioengine=libaio --iodepth=4 --verify=crc32c --output="$scratch/fio"
for device in "$first" "$second" "$target_device"; do
    check "fio: $device" fio --name=after --filename="$device" --size=8m --bs=4k --rw=randwrite --direct=1 --ioengine=libaio \
        --iodepth=16 --verify=crc32c --verify_fatal=1 --output="$scratch/fio"
done
check "pairs" kv "$pairs" bench --keys 100 --value-bytes 100 --threads 1
check "the namespace is deleted" delete "$target"
check "reset" nvme reset "$controller"
check_equal "those from the beginning are there" 4 "$(nvme list-ns "$controller" | grep -c 0x)"
finish
