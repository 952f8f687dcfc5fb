#!/bin/bash
# A file system is made, filled, checked and compared.
. "$(dirname "$0")/lib.sh"

device=$(block_device)
mountpoint=$scratch/mount
mkdir "$mountpoint"
# Some hundred files of all sizes; the long version takes more of them.
source=/usr/share/perl/5.36.0
[[ -d $source ]] || source=/usr/share/doc
[[ -n $LONG ]] && source=/usr/share/perl
limit=300
[[ -n $LONG ]] && limit=2000
files=$(find -L "$source" -type f -size -200k 2>/dev/null | sort | head -n "$limit")

check "mkfs.ext4" mkfs.ext4 -q -F "$device"
check "mount" mount "$device" "$mountpoint"
check "copy a tree" bash -c "tar -chf - -T - <<<\"\$1\" 2>/dev/null | tar -xf - -C '$mountpoint'" bash "$files"
check "write a large file" dd if=/dev/urandom of="$mountpoint/large" bs=1M count=32 conv=fsync status=none
(cd "$mountpoint" && find . -type f -exec md5sum {} + | sort -k 2) >"$scratch/before"
check "there are files to compare" test "$(wc -l <"$scratch/before")" -gt 100
check "fstrim" fstrim "$mountpoint"
check "umount" umount "$mountpoint"
check "fsck finds nothing" fsck.ext4 -f -n "$device"
echo 3 >/proc/sys/vm/drop_caches
check "mount again" mount "$device" "$mountpoint"
(cd "$mountpoint" && find . -type f -exec md5sum {} + | sort -k 2) >"$scratch/after"
check "every file is what it was" cmp "$scratch/before" "$scratch/after"
check "umount again" umount "$mountpoint"
finish
