#!/bin/bash
# Pairs, as `nvmev kv` and `nvme io-passthru` have them: the first namespace is a key-value one. NVMEV_COMMAND is the nvmev command.
. "$(dirname "$0")/lib.sh"

device=$(generic_device 1)
block=$(block_device)
controller=$(sed -E 's,/ng([0-9]+)n.*,/nvme\1,' <<<"$device")
keys=1500
[[ -n $LONG ]] && keys=25000

kv() { "$NVMEV_COMMAND" kv "$1" "$device" "${@:2}"; }
# passthru OPCODE ARGUMENTS...: what nvme-cli says of an I/O command.
passthru() { nvme io-passthru "$device" --opcode="$1" --namespace-id=1 "${@:2}" 2>&1; }
# status_in TEXT: the status that nvme-cli speaks of, in hexadecimal; Do Not Retry is left away.
status_in() {
    case $1 in
        *Success*) echo 0 ;;
        *"NVMe status"*) printf '%x' $(($(sed -nE 's/.*\((0x[0-9a-f]+)\).*/\1/p' <<<"$1" | head -n 1) & 0x7ff)) ;;
        *) echo "$1" ;;
    esac
}
# expect NAME STATUS OPCODE ARGUMENTS...: the status that the command ends with.
expect() { check_equal "$1" "$2" "$(status_in "$(passthru "${@:3}")")"; }

check "there is a character device" test -c "$device"
if [[ -n $block ]]; then
    check_matches "id-ns says how many LBAs there are" 'nsze +: 0x[1-9a-f]' "$(nvme id-ns "$block")"
    standard=
else
    standard=yes
    check_equal "Linux knows the command set, and that it has no block device for it" 1 "$(nvme list-ns "$controller" --csi=1 | grep -c 0x1$)"
    check_matches "the descriptors say so, too" 'csi +: 0x1' "$(nvme ns-descs "$controller" --namespace-id=1)"
    check_matches "the effects log has Store" 'IOCS1 .*00000003' "$(nvme effects-log "$controller" --csi=1)"
    check_matches "and the vendor specific iterators" 'IOCS178' "$(nvme effects-log "$controller" --csi=1)"
fi

# Values of all lengths, in both sets of commands.
dd if=/dev/urandom of="$scratch/random" bs=128K count=1 status=none
sets=vendor
[[ -n $standard ]] && sets='standard vendor'
for set in $sets; do
    for bytes in 0 1 3 511 4096 4097 65535 131072; do
        head -c "$bytes" "$scratch/random" >"$scratch/value"
        kv put "$set-$bytes" --set "$set" <"$scratch/value" && kv get "$set-$bytes" --set "$set" >"$scratch/back"
        check "a value of $bytes bytes comes back ($set)" cmp "$scratch/value" "$scratch/back"
    done
    check_equal "a key that exists ($set)" yes "$(kv exists "$set-511" --set "$set")"
    check_equal "and one that does not" no "$(kv exists "$set-512" --set "$set")"
    check_matches "which cannot be had" 'there is no such key' "$(kv get "$set-512" --set "$set" 2>&1)"
    check_matches "a key is not stored again" 'the key exists already' "$(kv put "$set-511" --if-absent --set "$set" 2>&1 </dev/null)"
    check_equal "all are listed with their lengths" '0 1 3 511 4096 4097 65535 131072' \
        "$(kv list --prefix "$set-" --sizes --set "$set" | awk '{ print $1 }' | sort -n | xargs)"
done
longkey=$(printf 'ab%.0s' {1..255})
check "a key of 255 bytes" bash -c "head -c 5000 '$scratch/random' | '$NVMEV_COMMAND' kv put '$device' $longkey --hex"
check "its value comes back" cmp <(head -c 5000 "$scratch/random") <(kv get "$longkey" --hex)
check "it can be deleted" kv del "$longkey" --hex
check_equal "and is gone then" no "$(kv exists "$longkey" --hex)"

# Each opcode by hand. A key of three bytes, "key", is 0x79656b.
printf 'the value....' >"$scratch/small"
data=(--data-len=16 --write --input-file="$scratch/small")
head -c 16 /dev/zero >>"$scratch/small"
key=(--cdw12=0x79656b)
expect "vendor specific store" 0 0x81 "${data[@]}" --cdw10=4 --cdw11=0x2 "${key[@]}"
expect "only if it does not exist" 380 0x81 "${data[@]}" --cdw10=4 --cdw11=0x202 "${key[@]}"
expect "with an option that is none" 304 0x81 "${data[@]}" --cdw10=4 --cdw11=0x8002 "${key[@]}"
# This opcode says that data goes both ways, and nvme-cli 2 then reads what goes to the drive from its standard output.
cp "$scratch/small" "$scratch/both"
nvme io-passthru "$device" --opcode=0x83 --namespace-id=1 --data-len=16 --write --cdw10=4 --cdw11=0x2 "${key[@]}" 1<>"$scratch/both" 2>"$scratch/said"
check_equal "append" 0 "$(status_in "$(cat "$scratch/said" "$scratch/both")")"
check_matches "retrieve: all 32 bytes" 'result: 0x00000020' "$(passthru 0x90 --data-len=4096 --read --cdw10=1024 --cdw11=0x2 "${key[@]}")"
check_matches "they are those" 'the.value' "$(passthru 0x90 --data-len=4096 --read --cdw10=1024 --cdw11=0x2 "${key[@]}")"
expect "exist" 0 0xb3 --cdw11=0x2 "${key[@]}"
expect "exist, another key" 310 0xb3 --cdw11=0x2 --cdw12=0x79656c
expect "retrieve, another key" 310 0x90 --data-len=4096 --read --cdw10=1024 --cdw11=0x2 --cdw12=0x79656c
expect "a key of 256 bytes" 303 0xb3 --cdw11=0xff
expect "an iterator" 0 0xb1 --cdw11=0x500 --cdw12=0x79656b --cdw13=0xffffff
expect "the same again" 392 0xb1 --cdw11=0x500 --cdw12=0x79656b --cdw13=0xffffff
check_matches "it has the key" 'key' "$(passthru 0xb2 --data-len=4096 --read --cdw10=1024 --cdw11=0x1)"
expect "and no more" 393 0xb2 --data-len=4096 --read --cdw10=1024 --cdw11=0x1
expect "it is closed" 0 0xb1 --cdw11=0x201
expect "once" 390 0xb1 --cdw11=0x201
expect "a batch that is no batch" 301 0x85 --data-len=16 --write --input-file="$scratch/small" --cdw10=4
head -c 1024 /dev/zero >"$scratch/empty-batch"
expect "an empty batch" 0 0x85 --data-len=1024 --write --input-file="$scratch/empty-batch" --cdw10=256
# The kernel describes the one page by PRPs, and the next one is not there, or (seen with 7.3) by an SGL, which is then too short.
check_matches "more than there is memory for" '^(4|f)$' \
    "$(status_in "$(passthru 0x81 --data-len=4096 --write --input-file="$scratch/random" --cdw10=4096 --cdw11=0x2 "${key[@]}")")"
expect "delete" 0 0xa1 --cdw11=0x102 "${key[@]}"
expect "delete again, and say if it was not there" 310 0xa1 --cdw11=0x102 "${key[@]}"
expect "delete again" 0 0xa1 --cdw11=0x2 "${key[@]}"
if [[ -n $standard ]]; then
    key=(--cdw2=0x79656b --cdw11=0x3)
    expect "Store" 0 0x01 "${data[@]}" --cdw10=16 "${key[@]}"
    expect "Store, only if it does not exist" 89 0x01 "${data[@]}" --cdw10=16 --cdw2=0x79656b --cdw11=0x203
    expect "Store of another key, only if it exists" 87 0x01 "${data[@]}" --cdw10=16 --cdw2=0x79656c --cdw11=0x103
    expect "Store of too much" 85 0x01 "${data[@]}" --cdw10=0x200001 "${key[@]}"
    check_matches "Retrieve" 'the.value' "$(passthru 0x02 --data-len=64 --read --cdw10=64 "${key[@]}")"
    expect "Exist" 0 0x14 "${key[@]}"
    expect "Exist, a key without bytes" 86 0x14 --cdw2=0x79656b
    expect "Exist, a key of 17 bytes" 2 0x14 --cdw11=17
    check_matches "List from that key" '[1-9a-f][0-9a-f]* 00 00 00 03 00 6b 65 79' "$(passthru 0x06 --data-len=64 --read --cdw10=64 "${key[@]}")"
    expect "Delete" 0 0x10 "${key[@]}"
    expect "Retrieve after that" 87 0x02 --data-len=64 --read --cdw10=64 "${key[@]}"
    check "an error on deleting what is not there is a feature" nvme set-feature "$controller" --namespace-id=1 --feature-id=0x20 --value=1
    expect "Delete again is one now" 87 0x10 "${key[@]}"
    check "and need not be" nvme set-feature "$controller" --namespace-id=1 --feature-id=0x20 --value=0
    expect "Delete again is none" 0 0x10 "${key[@]}"
    expect "an opcode that is none" 1 0x0f
fi
expect "Flush" 0 0x00

# Four processes at once, each with its own keys: stored, retrieved and compared, listed, deleted.
before=$(kv list | sort)
for process in 1 2 3 4; do
    kv bench --keys "$keys" --value-bytes 500 --threads 1 >"$scratch/bench.$process" 2>&1 &
    benches[process]=$!
done
for process in 1 2 3 4; do
    check "process $process stores, retrieves, lists and deletes $keys keys beside three others" wait "${benches[process]}"
done
sed 's/^/#     /' "$scratch/bench.1"
check_equal "the other keys are still there, and no more" "$before" "$(kv list | sort)"

# What was stored outlives a reset, and commands under way are survived by it.
kv bench --keys 5000 --value-bytes 100 --threads 2 >"$scratch/bench" 2>&1 &
bench=$!
sleep 1
check "reset under load" nvme reset "$controller"
wait "$bench"
check_equal "the keys are still there" "$before" "$(kv list | grep -v nvmevkey | sort)"
for set in $sets; do
    check "and a value of them ($set)" cmp "$scratch/random" <(kv get "$set-131072" --set "$set")
done

if [[ -n $block ]]; then
    # LBAs and pairs beside each other.
    check "LBAs can be written and are read back" fio --name=lbas --filename="$block" --size=32m --bs=4k --rw=randwrite --direct=1 \
        --ioengine=libaio --iodepth=16 --verify=crc32c --output="$scratch/fio"
    check "a file system" mkfs.ext4 -q -F "$block"
    mkdir -p "$scratch/mnt"
    check "mount" mount "$block" "$scratch/mnt"
    cp "$scratch/random" "$scratch/mnt/"
    for number in {1..20}; do
        kv put "beside-$number" "$scratch/random"
    done
    check "unmount" umount "$scratch/mnt"
    check "it is sound" e2fsck -fn "$block"
    check "mount again" mount -o ro "$block" "$scratch/mnt"
    check "what was in it is there" cmp "$scratch/random" "$scratch/mnt/random"
    umount "$scratch/mnt"
    check "and the pairs are" cmp "$scratch/random" <(kv get beside-20)
    check "discard" blkdiscard "$block"
    check_equal "what was discarded reads as zeros" 0 "$(dd if="$block" bs=1M count=32 iflag=direct status=none | tr -d '\0' | wc -c)"
    check "the pairs have nothing to do with that" cmp "$scratch/random" <(kv get beside-1)
fi

check "unload" unload
check "load: a new drive" load
device=$(generic_device 1)
check_equal "without keys" "" "$(kv list)"
finish
