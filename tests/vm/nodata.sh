#!/bin/bash
# data=none: a drive of any size that keeps nothing.
# shellcheck disable=SC2317,SC2329 # functions are called by `check`
. "$(dirname "$0")/lib.sh"

bytes=$((16 << 40))
last=$((bytes / 4096 - 1))
block_kib=$((0x$(</sys/devices/system/memory/block_size_bytes) / 1024))

# storage_line: what the module last said about where data is.
storage_line() { dmesg | grep 'NVMeVirt: Storage:' | tail -n 1; }
# reads_zeros BLOCK: the block of 4 KiB.
reads_zeros() { dd if="$device" bs=4k count=1 skip="$1" iflag=direct status=none | cmp -n 4096 - /dev/zero; }
# writes_and_reads_zeros BLOCK
writes_and_reads_zeros() {
    dd if=/dev/urandom of="$device" bs=4k count=1 seek="$1" oflag=direct status=none && reads_zeros "$1"
}
# random WHAT: I/O all over the upper half.
random() {
    fio --name=far --filename="$device" --rw="$1" --bs=4k --direct=1 --ioengine=libaio --iodepth=16 --norandommap \
        --offset=$((bytes / 2)) --size=$((bytes / 2)) --io_size=8M --randrepeat=0
}

# Byte 2 of the log: the most recent sanitize operation was successful.
is_sanitized() { [[ $(($(nvme get-log "$(controller)" --log-id=0x81 --log-len=512 --raw-binary | od -An -j2 -N1 -tu1) & 7)) == 1 ]]; }

# Once in and out: see lifecycle.sh on MemTotal.
check "a drive of 16 TiB is loaded" load
check "unload" unload
total=$(meminfo MemTotal)
check "it is loaded again" load
check "it takes a memory block and no more" test $((total - $(meminfo MemTotal))) -le "$block_kib"
device=$(block_device)
check_equal "Linux sees all of it" "$bytes" "$(lsblk --bytes --nodeps --noheadings --output SIZE "$device" | xargs)"
check_matches "the log says that nothing is kept" 'NOTHING THAT IS WRITTEN IS KEPT' "$(storage_line)"
check_matches "/proc says so" '^none: nothing that is written is kept' "$(</proc/nvmev/data)"
check_matches "modinfo says so" 'NOTHING THAT IS WRITTEN IS KEPT' "$(modinfo --parameters "$MODULE" | grep '^data:')"
check "what was written is read as zeros" writes_and_reads_zeros 0
check "and at the end" writes_and_reads_zeros "$last"
check "random writes" random randwrite
check "random reads" random randread
check "a part is discarded" blkdiscard --offset $((bytes / 2)) --length 256M "$device"
check "it is zeroed" blkdiscard --zeroout --offset $((bytes / 2)) --length 256M "$device"
check "all of it is formatted" timeout 20 nvme format "$device" --lbaf=1 --force
check_equal "and has its size with other LBAs" "4096 $bytes" \
    "$(lsblk --bytes --nodeps --noheadings --output LOG-SEC,SIZE "$device" | xargs)"
check "all of it is sanitized" timeout 20 nvme sanitize "$(controller)" --sanact=0x03 --ovrpat=0x12345678 --owpass=2
check "that is done" wait_for 10 is_sanitized
check "it works afterwards" writes_and_reads_zeros "$last"
check "unload" unload
check "nothing is left" nothing_left "$total"

parameters=(data=none "cpus=1,2" idle_timeout_us=20)
check "a flash drive whose tables fit is loaded" load profile=970pro size=256G "${parameters[@]}"
device=$(block_device)
check "and used" writes_and_reads_zeros $((200 << 18))
check "unload" unload
check "one whose tables do not fit is refused" fails load profile=970pro size=16T "${parameters[@]}"
check_matches "the log says how much they would take" 'the tables of a drive .* take [0-9]{5} MiB' "$(dmesg | grep NVMeVirt | tail -n 1)"
check "nothing is left" nothing_left "$total"

check "a drive with a reserved range for its registers is loaded" load memmap_start=4G memmap_size=16M size=16T "${parameters[@]}"
device=$(block_device)
check "and used" writes_and_reads_zeros "$last"
check_equal "no memory is taken" "$total" "$(meminfo MemTotal)"
check "unload" unload
check "nothing is left" nothing_left "$total"
finish
