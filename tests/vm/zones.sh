#!/bin/bash
# Zones as nvme-cli, blkzone and fio see them: the first namespace is zoned. Where there are three, the second is not, and the third has a
# zone that is read only and one that is offline.
. "$(dirname "$0")/lib.sh"

device=$(block_device)
controller=$(controller)
queue=/sys/block/$(basename "$device")/queue
lba=$(blockdev --getss "$device")
zone_bytes=$(($(<"$queue/chunk_sectors") * 512))
zone_lbas=$((zone_bytes / lba))
zones=$(<"$queue/nr_zones")
order_zone_writes "$device"
max_open=$(<"$queue/max_open_zones")
# Writes are multiples of NPWG.
unit=$((($(nvme id-ns "$device" | awk -F: '$1 ~ /^npwg/ { print $2 }') + 1) * lba))
((unit < 4096)) && unit=4096
unit_lbas=$((unit / lba))

# zone N: its first LBA.
zone() { echo $(($1 * zone_lbas)); }
# field NAME ZONE [DEVICE]: of the zone's descriptor, as nvme-cli prints it.
field() {
    nvme zns report-zones "${3:-$device}" --start-lba="$(zone "$2")" --descs=1 |
        awk -v name="$1:" '/^SLBA/ { for (i = 1; i < NF; i++) if ($i == name) print $(i + 1) }'
}
# states DEVICE STATE: how many zones a report with this reporting option counts.
states() {
    nvme zns report-zones "$1" --state="$2" | awk '/^nr_zones/ { print $2 }'
}

check_equal "the block layer takes it for a zoned drive" host-managed "$(<"$queue/zoned")"
check "there are zones" test "$zones" -gt 1
check_matches "id-ns of the command set has the zone size" "lbafe +0: zsze:$(printf '%#x' "$zone_lbas") .*in use" "$(nvme zns id-ns "$device")"
check_matches "and the open limit" "mor +: $(if ((max_open)); then printf '%#x' $((max_open - 1)); else echo '(0xffffffff|-1)'; fi)" "$(nvme zns id-ns "$device")"
check_matches "id-ctrl of the command set" 'zasl +: [0-9]' "$(nvme zns id-ctrl "$controller")"
check_equal "list-ns by command set" 1 "$(nvme list-ns "$controller" --csi=2 | grep -c 0x1$)"
check_matches "the effects log has Zone Append" 'IOCS125' "$(nvme effects-log "$controller" --csi=2)"

check "every zone is reset" nvme zns reset-zone "$device" --select-all
check_equal "all are empty" "$zones" "$(states "$device" 1)"
check "open" nvme zns open-zone "$device" --start-lba="$(zone 1)"
check_equal "it is explicitly opened" 0x30 "$(field State 1)"
check "close" nvme zns close-zone "$device" --start-lba="$(zone 1)"
check_equal "it is closed" 0x40 "$(field State 1)"
check "finish" nvme zns finish-zone "$device" --start-lba="$(zone 2)"
check_equal "it is full" 0xe0 "$(field State 2)"
# Drives with large zones have few.
others=0
if ((zones > 4)); then
    check "open another one" nvme zns open-zone "$device" --start-lba="$(zone 3)"
    others=1
fi
dd if=/dev/urandom of="$scratch/unit" bs="$unit" count=1 status=none
check_matches "append" 'LBA 0$' "$(nvme zns zone-append "$device" --zslba=0 --data-size="$unit" --data="$scratch/unit" 2>&1)"
check_matches "append again, one unit further" "LBA $(printf '%x' "$unit_lbas")\$" "$(nvme zns zone-append "$device" --zslba=0 --data-size="$unit" --data="$scratch/unit" 2>&1)"
check "what was appended is there" cmp -n "$unit" "$scratch/unit" <(dd if="$device" bs="$unit" skip=1 count=1 iflag=direct status=none)
check_equal "the zone is implicitly opened" 0x20 "$(field State 0)"
check_equal "the write pointer has moved" "$(printf '%#x' $((2 * unit_lbas)))" "$(field WP 0)"
for report in "0 $zones" "1 $((zones - 3 - others))" "2 1" "3 $others" "4 1" "5 1" "6 0" "7 0"; do
    read -r option count <<<"$report"
    check_equal "reporting option $option" "$count" "$(states "$device" "$option")"
done
# counted PARTIAL: the number of zones in a report with room for two, whole (0) or partial (1).
counted() {
    nvme io-passthru "$device" --namespace-id=1 --opcode=0x7a --cdw12=47 --cdw13=$(($1 << 16)) --data-len=192 --read --raw-binary \
        2>/dev/null | head -c 8 | od -An -td8 | tr -d ' '
}
check_equal "a partial report counts what it has" 2 "$(counted 1)"
check_equal "another one counts all" "$zones" "$(counted 0)"
check "a report from the last zone on" nvme zns report-zones "$device" --start-lba="$(zone $((zones - 1)))"
check "none beyond it" fails nvme zns report-zones "$device" --start-lba="$(zone "$zones")" --descs=1
check "a write that is not at the write pointer is refused" fails nvme write "$device" --start-block=$((8 * unit_lbas)) --block-count=$((unit_lbas - 1)) --data-size="$unit" --data="$scratch/unit"
check "one to a full zone, too" fails nvme write "$device" --start-block="$(zone 2)" --block-count=$((unit_lbas - 1)) --data-size="$unit" --data="$scratch/unit"
check "closing an empty zone is refused" fails nvme zns close-zone "$device" --start-lba="$(zone 4)"
check "an offline zone is only made of a read-only one" fails nvme zns offline-zone "$device" --start-lba="$(zone 4)"
check "reset" nvme zns reset-zone "$device" --start-lba=0
check_equal "it is empty" 0x10 "$(field State 0)"
check "its data reads as zeros" cmp -n $((2 * unit)) /dev/zero <(dd if="$device" bs="$unit" count=2 iflag=direct status=none)
check "close all" nvme zns close-zone "$device" --select-all
check_equal "nothing is open" "0 0" "$(states "$device" 2) $(states "$device" 3)"
check "finish all" nvme zns finish-zone "$device" --select-all
check_equal "nothing is closed" 0 "$(states "$device" 4)"
check "reset all" nvme zns reset-zone "$device" --select-all

if [[ $(nvme zns id-ns "$device") == *"zdes:1 (in use)"* ]]; then
    printf '%064d' 7 >"$scratch/extension"
    check "set a zone descriptor extension" nvme zns set-zone-desc "$device" --start-lba="$(zone 5)" --data="$scratch/extension"
    check_equal "the zone is closed" 0x40 "$(field State 5)"
    check_matches "the extended report has it" '0000000000000007' "$(nvme zns report-zones "$device" --extended --start-lba="$(zone 5)" --descs=1)"
    check "reset" nvme zns reset-zone "$device" --start-lba="$(zone 5)"
fi
if [[ $(nvme zns id-ns "$device") == *"zrwacap : 0x1"* || $(nvme zns id-ns "$device") == *"zrwacap : 1"* ]]; then
    check "open with a random write area" nvme zns open-zone "$device" --start-lba="$(zone 6)" --zrwaa
    # shellcheck disable=SC2317,SC2329 # called by `check`
    write_at() { nvme write "$device" --start-block="$1" --block-count=$((unit_lbas - 1)) --data-size="$unit" --data="$scratch/unit"; }
    check "write into it, not at its beginning" write_at $(($(zone 6) + unit_lbas))
    check "and again" write_at $(($(zone 6) + unit_lbas))
    check "and at its beginning" write_at "$(zone 6)"
    check_equal "the write pointer has not moved" "$(printf '%#x' "$(zone 6)")" "$(field WP 6)"
    check "flush" nvme zns zrwa-flush-zone "$device" --lba=$(($(zone 6) + unit_lbas - 1))
    check_equal "now it has" "$(printf '%#x' $(($(zone 6) + unit_lbas)))" "$(field WP 6)"
    check "what is behind it cannot be written" fails write_at "$(zone 6)"
    check "reset" nvme zns reset-zone "$device" --start-lba="$(zone 6)"
fi
if third=$(namespace_device 3); then
    last=$(($(<"/sys/block/$(basename "$third")/queue/nr_zones") - 1))
    check_equal "a zone is offline" 0xf0 "$(field State "$last" "$third")"
    check_equal "one is read only" 0xd0 "$(field State $((last - 1)) "$third")"
    check "take it offline" nvme zns offline-zone "$third" --start-lba="$(zone $((last - 1)))"
    check_equal "it is" 0xf0 "$(field State $((last - 1)) "$third")"
    check "open a zone and leave it" nvme zns open-zone "$third" --start-lba="$(zone 0)"
    check "after a while it is recommended to be finished" wait_for 20 bash -c "nvme zns changed-zone-list '$third' --rae | grep -q 'nrzid: *1'"
    check_equal "its attributes say so" 0x2 "$(field Attrs 0 "$third")"
    nvme zns changed-zone-list "$third" >/dev/null
    check_matches "the list is empty after it was read" 'nrzid: *0' "$(nvme zns changed-zone-list "$third")"
    check "finish" nvme zns finish-zone "$third" --start-lba="$(zone 0)"
    check_equal "the recommendation is gone" 0 "$(field Attrs 0 "$third")"
fi

check_equal "blkzone lists all zones" "$zones" "$(blkzone report "$device" | wc -l)"
check "blkzone open" blkzone open -o $((zone_bytes / 512)) -c 1 "$device"
check_matches "it is" 'zcond: 3' "$(blkzone report -o $((zone_bytes / 512)) -c 1 "$device")"
check "blkzone close" blkzone close -o $((zone_bytes / 512)) -c 1 "$device"
check "blkzone finish" blkzone finish -o $((zone_bytes / 512)) -c 1 "$device"
check_matches "it is full" 'zcond:14' "$(blkzone report -o $((zone_bytes / 512)) -c 1 "$device")"
check "blkzone reset of all" blkzone reset "$device"
check_equal "all are empty again" "$zones" "$(states "$device" 1)"

# zbd NAME ARGUMENTS...: fio with zones, and no error.
zbd() {
    local name=$1
    shift
    check "fio: $name" fio --name=zones --filename="$device" --zonemode=zbd --direct=1 --ioengine=libaio --bs="$unit" --group_reporting \
        --verify=crc32c "$@"
}
some=4
((zones < some)) && some=$zones
bytes=$((zone_bytes * some))
# Large zones are not filled: that is for the long suites.
io_bytes=$bytes
((bytes > (64 << 20) && ${#LONG} == 0)) && io_bytes=$((64 << 20))
zbd "sequential writes, verified" --rw=write --size="$bytes" --io_size="$io_bytes" --iodepth=16
zbd "random writes in whole zones, verified" --rw=randwrite --size="$bytes" --io_size=$((16 << 20)) --max_open_zones=2 --iodepth=4
zbd "random reads" --rw=randread --size="$bytes" --io_size=$((8 << 20)) --iodepth=16 --verify=0
jobs=$((max_open > 0 && max_open <= 16 ? max_open : 4))
((jobs * 2 > zones)) && jobs=$((zones / 2))
if ((jobs > 1)); then
    zbd "$jobs jobs at once, at the open limit where there is one" --rw=write --numjobs="$jobs" --offset_increment=1z --size=1z --iodepth=4 \
        --io_size=$((8 << 20)) --max_open_zones="$jobs" --job_max_open_zones=1
fi

# Zones are reset and written while others are read.
check "reset" blkzone reset "$device"
dd if=/dev/urandom of="$scratch/kept" bs="$unit" count=32 status=none
check "write what is to stay" dd if="$scratch/kept" of="$device" bs="$unit" oflag=direct status=none
fio --name=load --thread --filename="$device" --ioengine=libaio --iodepth=16 --direct=1 --rw=randread --bs=4k --size=$((32 * unit)) --time_based \
    --runtime=600 --output="$scratch/fio" &
fio=$!
failed=0
for ((round = 0; round < 20; round++)); do
    nvme zns zone-append "$device" --zslba="$(zone 1)" --data-size="$unit" --data="$scratch/unit" >/dev/null 2>&1 || failed=$((failed + 1))
    nvme zns reset-zone "$device" --start-lba="$(zone 1)" >/dev/null || failed=$((failed + 1))
done
check_equal "20 zone resets under load" 0 "$failed"
failed=0
for ((reset = 0; reset < 5; reset++)); do
    timeout 30 nvme reset "$controller" || failed=$((failed + 1))
    sleep 0.2
done
check_equal "5 controller resets under load" 0 "$failed"
check "fio is still running" kill -0 "$fio"
kill -INT "$fio"
check "fio ends" wait_for 300 bash -c "! kill -0 $fio" || kill -KILL "$fio"
wait "$fio"
check "fio saw no error" bash -c "! grep -qiE 'err=[^ 0]|error=' '$scratch/fio'"
check "what was to stay is there" cmp "$scratch/kept" <(dd if="$device" bs="$unit" count=32 iflag=direct status=none)
check_equal "a write pointer survives resets" "$(printf '%#x' $((32 * unit_lbas)))" "$(field WP 0)"

check_matches "/proc/nvmev/ftl counts zones" 'zones_empty' "$(</proc/nvmev/ftl)"
failed=0
for ((cycle = 0; cycle < 3; cycle++)); do
    # shellcheck disable=SC2119 # without parameters it takes the suite's
    { unload && load; } || failed=$((failed + 1))
done
check_equal "3 times unloaded and loaded" 0 "$failed"
device=$(block_device)
check_equal "all zones are empty then" "$zones" "$(states "$device" 1)"
check "and read as zeros" cmp -n $((32 * unit)) /dev/zero <(dd if="$device" bs="$unit" count=32 iflag=direct status=none)
finish
