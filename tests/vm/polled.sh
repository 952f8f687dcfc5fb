#!/bin/bash
# Completion queues without interrupts, whose completions a program polls for (nvme.poll_queues=).
. "$(dirname "$0")/lib.sh"

device=$(block_device)
controller=$(basename "$(controller)")
queues=$(sed -n 's/.*nvme\.poll_queues=\([0-9]*\).*/\1/p' /proc/cmdline)
check_matches "queues in the log" "$controller: [0-9]+/0/$queues default/read/poll queues" "$(dmesg | grep "$controller:" | tail -n 3)"
check_equal "interrupts for the other queues alone" "$(dmesg | sed -n "s|.*$controller: \([0-9]*\)/0/.*|\1|p" | tail -n 1)" \
    "$(grep -cE "${controller}q[1-9][0-9]*\$" /proc/interrupts)"
interrupts() {
    awk -v queue="${controller}q[1-9]" '$NF ~ queue { for (i = 2; $i ~ /^[0-9]+$/; i++) sum += $i } END { print sum + 0 }' \
        /proc/interrupts
}

# run NAME OPTIONS...: 1 MiB is written and verified.
# shellcheck disable=SC2317 # called by check
run() {
    timeout 60 fio --name="$1" --filename="$device" --direct=1 --bs=4k --rw=randwrite --size=1M --verify=crc32c \
        --verify_fatal=1 --output="$scratch/fio" "${@:2}"
}
before=$(interrupts)
# Linux 6.0 and later poll for io_uring alone; preadv2 with RWF_HIPRI waits for an interrupt.
check "one command at a time is polled for" run one --ioengine=io_uring --hipri --iodepth=1
check "several are polled for" run several --ioengine=io_uring --hipri --iodepth=16
after=$(interrupts)
# Whoever looks at the drive otherwise uses the other queues.
check "without an interrupt for each" test "$((after - before))" -lt 256
check "and commands with interrupts work beside them" run interrupts --ioengine=io_uring --iodepth=16
check "by interrupts" test "$(interrupts)" -gt "$after"
check "no command timed out" bash -c "! dmesg | grep -E '$controller: (I/O|.*timeout|.*completion polled)'"
finish
