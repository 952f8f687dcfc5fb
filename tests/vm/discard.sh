#!/bin/bash
# Commands beside reads and writes: what was discarded reads as zeros, its neighbours stay, and file systems can do it, too; what was compared is or
# is not the same; what is uncorrectable cannot be read until it is written.
. "$(dirname "$0")/lib.sh"

device=$(block_device)
controller=$(controller)
queue=/sys/block/$(basename "$device")/queue
bytes=$(blockdev --getsize64 "$device")
block=$(blockdev --getss "$device")

check_matches "id-ctrl has these commands" 'oncs +: 0x1ff' "$(nvme id-ctrl "$controller")"
check_matches "id-ns says that deallocated blocks read as zeros" 'dlfeat +: 9' "$(nvme id-ns "$device")"
# The longest range that Linux makes: 2^32 - 1 sectors.
check_equal "there is no limit to a range" 2199023255040 "$(<"$queue/discard_max_bytes")"
check_equal "nor to their number" 256 "$(<"$queue/max_discard_segments")"
check "and to the largest Write Zeroes" test "$(<"$queue/write_zeroes_max_bytes")" -gt 0

# ones OFFSET LENGTH: writes bytes FF there.
ones() {
    tr '\0' '\377' </dev/zero | dd of="$device" bs=1M seek="$1" count="$2" iflag=fullblock oflag=direct,seek_bytes,count_bytes status=none
}
# only BYTE OFFSET LENGTH: there are no other bytes there.
# shellcheck disable=SC2317,SC2329 # called by `check`
only() {
    local byte=$1 offset=$2 length=$3
    [[ $(dd if="$device" bs=1M skip="$offset" count="$length" iflag=direct,skip_bytes,count_bytes status=none |
        LC_ALL=C tr -d "$byte" | wc -c) -eq 0 ]]
}

ones 0 $((64 << 20))
check "16 MiB in the middle can be discarded" blkdiscard --offset $((16 << 20)) --length $((16 << 20)) "$device"
check "they read as zeros" only '\000' $((16 << 20)) $((16 << 20))
check "what is before stays" only '\377' 0 $((16 << 20))
check "what is behind stays" only '\377' $((32 << 20)) $((32 << 20))
check "one block can be discarded" blkdiscard --offset "$block" --length "$block" "$device"
check "it reads as zeros" only '\000' "$block" "$block"
check "its neighbours stay" bash -c "[[ \$(dd if='$device' bs=$block count=1 iflag=direct status=none | tr -d '\377' | wc -c) -eq 0 ]]"
check "and the other one" only '\377' $((2 * block)) 4096
check "zeros can be written" blkdiscard --zeroout --offset $((40 << 20)) --length $((8 << 20)) "$device"
check "and are there" only '\000' $((40 << 20)) $((8 << 20))
check "what is before them stays" only '\377' $((39 << 20)) $((1 << 20))
check "nvme write-zeroes" nvme write-zeroes "$device" --start-block=0 --block-count=7
check "nvme write-zeroes with deallocation" nvme write-zeroes "$device" --start-block=16 --block-count=7 --deac
check "nvme dsm" nvme dsm "$device" --namespace-id=1 --ad --slbs=64,128 --blocks=8,16
check "a range beyond the end is refused" fails nvme dsm "$device" --namespace-id=1 --ad --slbs=$((bytes / block)) --blocks=1
dd if=/dev/urandom of="$scratch/data" bs=4096 count=1 status=none
dd if="$scratch/data" of="$device" bs=4096 seek=100 oflag=direct conv=notrunc status=none
data=(--start-block=$((409600 / block)) --block-count=$((4096 / block - 1)) --data-size=4096)
check "nvme compare, the same data" nvme compare "$device" "${data[@]}" --data="$scratch/data"
tr '\0' '\1' <"$scratch/data" | tr 'a' 'b' >"$scratch/other"
check_matches "nvme compare, other data" 'Compare Failure' "$(nvme compare "$device" "${data[@]}" --data="$scratch/other" 2>&1)"
check "nvme verify" nvme verify "$device" --start-block=$((409600 / block)) --block-count=$((4096 / block - 1))
check "nvme write-uncor" nvme write-uncor "$device" --start-block=$((409600 / block)) --block-count=0
check "the block cannot be read" fails dd if="$device" of=/dev/null bs=4096 skip=100 count=1 iflag=direct status=none
check_matches "nvme verify says so" 'Unrecovered Read Error' "$(nvme verify "$device" --start-block=$((409600 / block)) --block-count=$((4096 / block - 1)) 2>&1)"
check "its neighbour can be read" dd if="$device" of=/dev/null bs=4096 skip=101 count=1 iflag=direct status=none
dd if="$scratch/data" of="$device" bs=4096 seek=100 oflag=direct conv=notrunc status=none
check "when it is written it can be read again" cmp "$scratch/data" <(dd if="$device" bs=4096 skip=100 count=1 iflag=direct status=none)
check "nvme copy" nvme copy "$device" --sdlba=$((819200 / block)) --slbs=$((409600 / block)),0 --blocks=$((4096 / block - 1)),$((4096 / block - 1)) --format=0
check "what was copied is there" cmp "$scratch/data" <(dd if="$device" bs=4096 skip=200 count=1 iflag=direct status=none)
check_matches "a copy of too much is refused" 'Command Size Limit' "$(nvme copy "$device" --sdlba=0 --slbs=0 --blocks=65535 --format=0 2>&1)"
check "the whole device can be discarded" blkdiscard "$device"
check "its beginning reads as zeros" only '\000' 0 $((64 << 20))
check "and its end" only '\000' $((bytes - (1 << 20))) $((1 << 20))
if [[ $(</proc/nvmev/ftl) == *mapped_pages* ]]; then
    check_matches "the flash has forgotten all pages but a last, partial one" '(^|[^0-9])mapped_pages [01] of' "$(grep mapped_pages /proc/nvmev/ftl)"
fi

mountpoint=$scratch/mount
mkdir "$mountpoint"
check "mkfs.ext4 discards" mkfs.ext4 -q -F -E discard "$device"
check "mount with discard" mount -o discard "$device" "$mountpoint"
dd if=/dev/urandom of="$mountpoint/keep" bs=1M count=8 conv=fsync status=none
dd if=/dev/urandom of="$mountpoint/remove" bs=1M count=32 conv=fsync status=none
sum=$(md5sum <"$mountpoint/keep")
rm "$mountpoint/remove"
sync
check "fstrim" fstrim "$mountpoint"
check "umount" umount "$mountpoint"
check "fsck finds nothing" fsck.ext4 -f -n "$device"
mount "$device" "$mountpoint"
check_equal "the other file is what it was" "$sum" "$(md5sum <"$mountpoint/keep")"
check "umount again" umount "$mountpoint"
check "fio trims, writes and verifies" timeout 600 fio --name=trim --filename="$device" --ioengine=libaio --iodepth=16 --direct=1 \
    --rw=randtrimwrite --bs=64k --size=16m --output-format=terse
finish
