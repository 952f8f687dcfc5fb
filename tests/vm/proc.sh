#!/bin/bash
# /proc/nvmev, in the formats that NVMeVirt's users have scripts for.
. "$(dirname "$0")/lib.sh"

device=$(block_device)
cd /proc/nvmev || not_ok "/proc/nvmev" "is not there"
for file in read_times write_times io_units stat debug lateness; do
    check "$file can be read" cat "$file"
done
check_matches "read_times" '^[0-9]+ \+ [0-9]+ x \+ [0-9]+' "$(<read_times)"
check_matches "write_times" '^[0-9]+ \+ [0-9]+ x \+ [0-9]+' "$(<write_times)"
check_matches "io_units" '^[0-9]+ x [0-9]+' "$(<io_units)"

milliseconds_of_reads() {
    local start end
    start=$(date +%s%N)
    dd if="$device" of=/dev/null bs=4k count=20 iflag=direct status=none
    end=$(date +%s%N)
    echo $(((end - start) / 1000000))
}
at_first=$(<read_times)
check "read_times can be set" bash -c 'echo "30000000 2000 100" >read_times'
check_matches "read_times is what was set" '^30000000 \+ 2000 x \+ 100' "$(<read_times)"
slow=$(milliseconds_of_reads)
if ((slow >= 600)); then
    ok "20 reads with a delay of 30 ms take 600 ms or more"
else
    not_ok "20 reads with a delay of 30 ms take 600 ms or more" "they took $slow ms"
fi
# shellcheck disable=SC2086 # three words
set -- ${at_first//[!0-9]/ }
check "read_times can be set back" bash -c "echo '$1 $2 $3' >read_times"
check_equal "read_times is what it was" "$at_first" "$(<read_times)"
fast=$(milliseconds_of_reads)
if ((fast < slow)); then
    ok "and reads are fast again"
else
    not_ok "and reads are fast again" "$fast ms, $slow ms before"
fi
# Put back at the end: other scripts use the drive after this one.
write_times_at_first=$(<write_times)
io_units_at_first=$(<io_units)
check "write_times can be set" bash -c 'echo "100 200 300" >write_times'
check_matches "write_times is what was set" '^100 \+ 200 x \+ 300' "$(<write_times)"
check "io_units can be set" bash -c 'echo "4 12" >io_units'
check_matches "io_units is what was set" '^4 x 12' "$(<io_units)"
for text in '' 'x y z' '-1 2 3' '99999999999999999999 1 1' "$(printf 'a%.0s' {1..5000})"; do
    bash -c 'printf "%s\n" "$1" >io_units' bash "$text" 2>/dev/null
    check_matches "nonsense (${text:0:8}) changes nothing" '^4 x 12' "$(<io_units)"
done
check "the drive works with other units" dd if="$device" of=/dev/null bs=1M count=8 iflag=direct status=none

dd if="$device" of=/dev/null bs=4k count=100 iflag=direct status=none
line='^ *[0-9]+: +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ [0-9]+$'
# Read once: as with NVMeVirt, what has been read is counted anew.
stat=$(<stat)
check "stat has a line for each queue" grep -E "$line" <<<"$stat"
check_matches "stat ends with a total" '^total:' "$(tail -n 1 <<<"$stat")"
bytes=$(grep -E "$line" <<<"$stat" | awk '{ sum += $NF } END { print sum }')
check "stat counts bytes" test "$bytes" -ge 409600
check "stat can be reset" bash -c 'echo 0 >stat'
check_equal "and starts again from nothing" 0 "$(grep -E "$line" stat | awk '{ sum += $NF } END { print sum }')"

value() {
    awk -v name="$1" '$1 == name { print $2 }' lateness
}
check "lateness can be reset" bash -c 'echo 0 >lateness'
dd if="$device" of=/dev/null bs=4k count=100 iflag=direct status=none
lateness=$(<lateness)
check_equal "lateness has its names" \
    "bound_ns count misses p50_ns p90_ns p99_ns p99_9_ns max_ns" "$(awk '$1 != "bucket" { print $1 }' <<<"$lateness" | xargs)"
check "lateness counts commands" test "$(value count)" -ge 100
check_equal "each of them in a bucket" "$(awk '$1 == "count" { print $2 }' <<<"$lateness")" \
    "$(awk '$1 == "bucket" { sum += $4 } END { print sum }' <<<"$lateness")"
check "quantiles are in order" bash -c "awk '/^p|^max/ { print \$2 }' <<<'$lateness' | sort -nc"
bound=$(sed -n 's/.*lateness_bound_ns=\([0-9]*\).*/\1/p' <<<"$PARAMETERS")
check_equal "the bound" "${bound:-1000}" "$(value bound_ns)"
echo 0 >lateness
# Something else may have read meanwhile, but not as much.
check "and starts again from nothing" test "$(value count)" -lt 100
echo "${write_times_at_first//[!0-9]/ }" >write_times
echo "${io_units_at_first//[!0-9]/ }" >io_units
check_equal "everything is as it was" "$at_first $write_times_at_first $io_units_at_first" \
    "$(<read_times) $(<write_times) $(<io_units)"
cd /
finish
