#!/bin/bash
# Garbage collection at work: the drive is filled and overwritten twice, and amplifies as `nvmev sim` says for the same writes.
# Needs a drive with flash. NVMEV_COMMAND is the nvmev command.
. "$(dirname "$0")/lib.sh"

device=$(block_device)
ftl() {
    awk -v name="$1" '$1 == name { print $2 }' /proc/nvmev/ftl
}
# The profile and size that the simulator needs to have the same drive: the module's first MiB is not the drive's.
profile=$(sed -n 's/.*profile=\([^ ]*\).*/\1/p' <<<"$PARAMETERS")
capacity=$(dmesg | sed -n 's/.*NVMeVirt: FTL: capacity \([0-9]*\) bytes.*/\1/p' | tail -n 1)

check "unload" unload
check "load: a new drive" load
device=$(block_device)
check "ftl can be read" cat /proc/nvmev/ftl
check_equal "nothing is wrong with its form" "" "$(grep -vE '^[a-z_]+ [0-9.]+( of [0-9]+)?$' /proc/nvmev/ftl)"
check_equal "nothing is mapped" 0 "$(ftl mapped_pages)"

# fio writes down what it does: the simulator gets the same commands.
job() {
    local name=$1
    shift
    check "$name" timeout 3000 fio --name="$name" --filename="$device" --ioengine=libaio --direct=1 --output-format=terse \
        --write_iolog="$scratch/$name.log" --randrepeat=1 "$@"
}
bytes=$(blockdev --getsize64 "$device")
job fill --rw=write --bs=128k --iodepth=8
# What is left of the namespace after the last whole block stays as it was.
check_equal "every page that was filled is mapped" $(((bytes - bytes % 131072) / 4096)) "$(ftl mapped_pages)"
check "counters can be reset" bash -c 'echo 0 >/proc/nvmev/ftl'
check_equal "and start from nothing" 0 "$(ftl host_pages)"
job overwrite --rw=randwrite --bs=4k --iodepth=32 --norandommap --io_size=$((2 * bytes - 2 * bytes % 4096)) --verify=crc32c --do_verify=1
check_equal "pages written are those of the host" $(((2 * bytes - 2 * bytes % 4096) / 4096)) "$(ftl host_pages)"
check "garbage was collected" test "$(ftl gc_runs)" -gt 0
check "line_erases_max" test "$(ftl line_erases_max)" -gt 0
sed 's/^/#     /' /proc/nvmev/ftl

# The reads of the verification change no mapping, but take time.
for name in fill overwrite; do
    grep -v ' read ' "$scratch/$name.log" >"$scratch/$name.writes"
done
check "nvmev sim runs the same commands" "$NVMEV_COMMAND" sim --quiet --profile "$profile" --size "$capacity" --qd 32 \
    --trace "$scratch/fill.writes" --trace "$scratch/overwrite.writes" --json "$scratch/sim.json"
sed 's/^/#     /' "$scratch/output"
found=$(ftl write_amplification)
wanted=$(grep -o '"write_amplification":[0-9.]*' "$scratch/sim.json" | tail -n 1 | cut -d : -f 2)
if awk -v a="$found" -v b="$wanted" 'BEGIN { exit !(a > 1 && b > 1 && a / b > 0.99 && a / b < 1.01) }'; then
    ok "write amplification is the simulator's within 1 %: $found, $wanted"
else
    not_ok "write amplification is the simulator's within 1 %" "the device says $found, the simulator $wanted"
fi
finish
