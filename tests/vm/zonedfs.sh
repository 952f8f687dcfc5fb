#!/bin/bash
# File systems for zones: made, filled, unmounted, checked, compared. The second namespace is not zoned: f2fs keeps its metadata there.
. "$(dirname "$0")/lib.sh"

device=$(block_device)
plain=$(namespace_device 2)
queue=/sys/block/$(basename "$device")/queue
order_zone_writes "$device"
zone_bytes=$(($(<"$queue/chunk_sectors") * 512))
capacity_bytes=$(($(blkzone report -c 1 "$device" | sed 's/.*cap \(0x[0-9a-f]*\).*/\1/') * 512))
mountpoint=$scratch/mount
mkdir "$mountpoint"
source=/usr/share/perl/5.36.0
[[ -d $source ]] || source=/usr/share/doc
files=$(find -L "$source" -type f -size -200k 2>/dev/null | sort | head -n 200)

sums() {
    (cd "$mountpoint" && find . -type f -exec md5sum {} + | sort -k 2)
}
# round NAME MIB CHECKER...: fills what is mounted with small files and one of so many MiB, unmounts, checks, mounts again with $mount and
# compares.
round() {
    local name=$1 mib=$2
    shift 2
    check "$name: copy a tree" bash -c "tar -chf - -T - <<<\"\$1\" 2>/dev/null | tar -xf - -C '$mountpoint'" bash "$files"
    check "$name: write a large file" dd if=/dev/urandom of="$mountpoint/large" bs=1M count="$mib" conv=fsync status=none
    check "$name: write and remove another one" bash -c "dd if=/dev/urandom of='$mountpoint/gone' bs=1M count=24 conv=fsync status=none && rm '$mountpoint/gone'"
    sums >"$scratch/before"
    check "$name: there are files to compare" test "$(wc -l <"$scratch/before")" -gt 100
    check "$name: umount" umount "$mountpoint"
    check "$name: its checker finds nothing" "$@"
    echo 3 >/proc/sys/vm/drop_caches
    # shellcheck disable=SC2154 # the caller's
    check "$name: mount again" "${mount[@]}"
    sums >"$scratch/after"
    check "$name: every file is what it was" cmp "$scratch/before" "$scratch/after"
    check "$name: umount again" umount "$mountpoint"
}

# zonefs, without its tools, which Debian 12 does not have: its superblock is one page in the first zone (Documentation/filesystems/zonefs.rst;
# fs/zonefs/zonefs.h): "SFOZ", a CRC over the page with zeros in its place, label, UUID, features, owner and permissions.
zonefs_superblock() {
    local crc
    {
        printf 'SFOZ\0\0\0\0'
        head -c 48 /dev/zero
        head -c 8 /dev/zero
        printf '\0\0\0\0\0\0\0\0\xa0\x01\0\0'
        head -c $((4096 - 76)) /dev/zero
    } >"$1"
    # gzip ends with the CRC that we need, inverted.
    crc=$(gzip -c "$1" | tail -c 8 | head -c 4 | od -An -tu1)
    for byte in $crc; do
        # shellcheck disable=SC2059 # the byte is the format
        printf "\\x$(printf '%02x' $((255 - byte)))"
    done | dd of="$1" bs=1 seek=4 conv=notrunc status=none
}
check "reset all zones" blkzone reset "$device"
zonefs_superblock "$scratch/superblock"
check "zonefs: superblock" dd if="$scratch/superblock" of="$device" bs=4k oflag=direct status=none
modprobe zonefs 2>/dev/null
if check "zonefs: mount" mount -t zonefs "$device" "$mountpoint"; then
    check "zonefs: a file for each zone but the first" test "$(find "$mountpoint/seq" -type f | wc -l)" -eq $(($(<"$queue/nr_zones") - 1))
    file=$mountpoint/seq/0
    check_equal "zonefs: it is empty" 0 "$(stat -c %s "$file")"
    # Asynchronously: Debian's 6.1 fails synchronous writes, which it does by Zone Append, on every drive (QEMU's as well).
    check "zonefs: write it" fio --name=zonefs --filename="$file" --rw=write --bs=64k --size=2m --direct=1 --ioengine=libaio --iodepth=4 \
        --create_on_open=0 --allow_file_create=0 --unlink=0 --file_append=1 --fallocate=none
    check_equal "zonefs: its size is the write pointer" $((64 * 1024 * 32)) "$(stat -c %s "$file")"
    cp "$file" "$scratch/data"
    if [[ $(uname -r) != 6.1.* ]]; then
        dd if=/dev/urandom of="$scratch/more" bs=64k count=8 status=none
        check "zonefs: append" dd if="$scratch/more" of="$file" bs=64k oflag=direct,append conv=notrunc status=none
        cat "$scratch/more" >>"$scratch/data"
    fi
    check "zonefs: another one is written to its end" truncate -s "$(stat -c %b "$mountpoint/seq/1" | awk '{ print $1 * 512 }')" "$mountpoint/seq/1"
    check "zonefs: umount" umount "$mountpoint"
    check "zonefs: mount again" mount -t zonefs "$device" "$mountpoint"
    check "zonefs: the data is there" cmp "$scratch/data" "$file"
    check "zonefs: truncating resets the zone" truncate -s 0 "$file"
    check_equal "zonefs: it is empty again" 0 "$(stat -c %s "$file")"
    check "zonefs: umount again" umount "$mountpoint"
fi

check "reset all zones" blkzone reset "$device"
if [[ -b $plain ]]; then
    modprobe f2fs 2>/dev/null
    check "mkfs.f2fs" mkfs.f2fs -q -f -m -c "$device" "$plain"
    mount=(mount -t f2fs "$plain" "$mountpoint")
    if check "f2fs: mount" "${mount[@]}"; then
        # fsck.f2fs 1.15 counts segments beyond a zone's capacity as free ones.
        checker=(fsck.f2fs --dry-run "$plain")
        ((capacity_bytes < zone_bytes)) && checker=(true)
        # More than fits into the namespace without zones.
        round f2fs 96 "${checker[@]}"
    fi
    check "f2fs: zones were written" bash -c "blkzone report '$device' | grep -vq 'zcond: 1'"
fi

check "reset all zones" blkzone reset "$device"
modprobe btrfs 2>/dev/null
check "mkfs.btrfs" mkfs.btrfs -q -f -d single -m single "$device"
mount=(mount -t btrfs "$device" "$mountpoint")
if check "btrfs: mount" "${mount[@]}"; then
    round btrfs 24 btrfs check "$device"
fi
finish
