#!/bin/bash
# A drive that nobody uses costs next to nothing.
. "$(dirname "$0")/lib.sh"

# CPU time of the module's threads, in hundredths of a second.
cpu_time() {
    local pid
    for pid in $(module_threads); do
        sed 's/.*) //' "/proc/$pid/stat"
    done | awk '{ sum += $12 + $13 } END { print sum + 0 }'
}

check "the module has threads" module_threads
sleep 3
before=$(cpu_time)
sleep 5
after=$(cpu_time)
used=$((after - before))
if ((used <= 50)); then
    ok "idle for 5 s, its threads used $((used * 10)) ms of CPU time"
else
    not_ok "idle for 5 s, its threads use 500 ms of CPU time at most" "$((used * 10)) ms"
fi
start=$(date +%s%N)
check "it wakes up" timeout 20 dd if="$(block_device)" of=/dev/null bs=4k count=1 iflag=direct status=none
elapsed=$((($(date +%s%N) - start) / 1000000))
check "within a second ($elapsed ms)" test "$elapsed" -lt 1000
finish
