#!/bin/bash
# fio writes, reads back and compares checksums: small and large, aligned and not, shallow and deep.
# NVMEV_ENGINES: only these of fio's engines.
. "$(dirname "$0")/lib.sh"

engines=${NVMEV_ENGINES:-libaio io_uring}
device=$(block_device)
bytes=$(blockdev --getsize64 "$device")
block=$(blockdev --getss "$device")

# Most of the device that a job covers, even in the long version.
most=$bytes
# verify NAME ENGINE DEPTH SHARE OPTIONS...: over 1/SHARE of the device, or all of it in the long version.
verify() {
    local name=$1 engine=$2 depth=$3 share=$4 region
    shift 4
    [[ -n $LONG ]] && share=1
    region=$((share == 1 ? bytes : bytes / share + (1 << 20) - 1 >> 20 << 20))
    region=$((region > most ? most : region))
    check "$name, $engine, depth $depth, $((region >> 20)) MiB" timeout 1500 fio --name=verify --filename="$device" \
        --ioengine="$engine" --iodepth="$depth" --direct=1 --size="$region" --verify=crc32c --verify_fatal=1 --do_verify=1 \
        --randrepeat=1 --allrandrepeat=1 --output-format=terse "$@"
}

# A queue whose completions the program polls for (nvme.poll_queues=).
if [[ $(<"/sys/block/$(basename "$device")/queue/io_poll") == 1 ]]; then
    verify "randrw 4k, polled" io_uring 1 128 --rw=randrw --bs=4k --hipri=1
    verify "randrw 4k, polled" io_uring 32 32 --rw=randrw --bs=4k --hipri=1
    verify "write 128k, polled" io_uring 8 4 --rw=write --bs=128k --hipri=1
fi
if [[ -n ${NVMEV_BRIEF:-} ]]; then
    verify "randrw 4k" libaio 32 32 --rw=randrw --bs=4k
    verify "write 128k" io_uring 8 4 --rw=write --bs=128k
    finish
fi
for engine in $engines; do
    # An emulated guest does some 2400 of these a second: for a GiB it takes 22 minutes.
    most=$((256 << 20)) verify "randrw ${block} B" "$engine" 1 256 --rw=randrw --bs="$block"
    verify "randrw 4k" "$engine" 1 128 --rw=randrw --bs=4k
    verify "randrw 4k" "$engine" 32 32 --rw=randrw --bs=4k
    verify "randrw 4k" "$engine" 128 32 --rw=randrw --bs=4k
    verify "randwrite 64k" "$engine" 32 4 --rw=randwrite --bs=64k
    verify "write 1M, the whole device" "$engine" 128 1 --rw=write --bs=1m
    # Buffers follow one another in memory, so that with an odd size most start and end within a page.
    verify "randrw of 7 blocks" "$engine" 32 32 --rw=randrw --bs=$((7 * block))
    verify "randrw of 1 to 255 blocks at any block" "$engine" 32 8 --rw=randrw --bsrange="$block-$((255 * block))" \
        --blockalign="$block"
done
[[ $engines == io_uring ]] || verify "four jobs side by side" libaio 16 8 --rw=randwrite --bs=8k --numjobs=4 --offset_increment=8m --size=8m
finish
