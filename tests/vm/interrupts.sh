#!/bin/bash
# One queue and one interrupt for each CPU, and they are used. Without MSI, one interrupt for all. With nvme.poll_queues=, queues without any.
. "$(dirname "$0")/lib.sh"

device=$(block_device)
name=$(basename "$device")
controller=$(basename "$(controller)")
function=$(pci_function)
cpus=$(nproc)
interrupts() {
    # Sum over the CPUs of the lines for this controller's queues; $1: a pattern for the queue's number.
    awk -v queue="${controller}q$1\$" '$NF ~ queue { for (i = 2; $i ~ /^[0-9]+$/; i++) sum += $i } END { print sum + 0 }' \
        /proc/interrupts
}
# queue_of CPU: the number of the queue that Linux gave to this CPU alone. With several nodes, Linux deals them out node by node.
queue_of() {
    local list
    list=$(grep -lx "$1" "/sys/block/$name"/mq/*/cpu_list "/sys/block/${controller}c"*n1/mq/*/cpu_list 2>/dev/null | head -n 1)
    list=${list%/cpu_list}
    echo $((${list##*/} + 1))
}
lines() {
    grep -cE "${controller}q[0-9]+" /proc/interrupts
}

if grep -qw 'pci=nomsi' /proc/cmdline; then
    check_equal "no MSI" 0 "$(find "/sys/bus/pci/devices/$function/msi_irqs" -mindepth 1 2>/dev/null | wc -l)"
    check_equal "one line in /proc/interrupts" 1 "$(lines)"
    before=$(interrupts '[0-9]+')
    check "reading works" timeout 60 dd if="$device" of=/dev/null bs=4k count=256 iflag=direct status=none
    check "by interrupts" test "$(interrupts '[0-9]+')" -gt "$before"
    finish
fi

polled=$(</sys/module/nvme/parameters/poll_queues)
check_equal "queues for blocks" "$((cpus + polled))" "$(find "/sys/block/$name/mq" "/sys/block/${controller}c"*"n1/mq" -mindepth 1 -maxdepth 1 \
    2>/dev/null | wc -l)"
check_matches "queues in the log" "$controller: $cpus/0/$polled default/read/poll queues" "$(dmesg | grep "$controller:" | tail -n 3)"
check_equal "an interrupt for each I/O queue and one for the admin queue" "$((cpus + 1))" \
    "$(find "/sys/bus/pci/devices/$function/msi_irqs" -mindepth 1 | wc -l)"
check_equal "as many lines in /proc/interrupts" "$((cpus + 1))" "$(lines)"
for ((cpu = 0; cpu < cpus; cpu++)); do
    queue=$(queue_of "$cpu")
    before=$(interrupts "$queue")
    check "reading works from CPU $cpu" timeout 60 taskset -c "$cpu" dd if="$device" of=/dev/null bs=4k count=64 iflag=direct \
        status=none
    check "CPU $cpu got its interrupts" test "$(interrupts "$queue")" -gt "$before"
done

# Interrupt Coalescing: an interrupt for 16 entries or after 1 ms.
fio_interrupts() {
    local before
    before=$(interrupts '[1-9][0-9]*')
    timeout 60 fio --name=coalescing --filename="$device" --direct=1 --bs=4k --rw=randread --number_ios=2000 --ioengine=libaio \
        --iodepth=16 --iodepth_batch_submit=1 --output="$scratch/fio" || return
    echo $(($(interrupts '[1-9][0-9]*') - before))
}
usual=$(fio_interrupts)
check "interrupts can be coalesced" nvme set-feature "/dev/$controller" -f 8 -v 0x0A0F
check_matches "the feature is set" '0x0*a0f' "$(nvme get-feature "/dev/$controller" -f 8 | tr '[:upper:]' '[:lower:]')"
coalesced=$(fio_interrupts)
check "then there are fewer of them" test "${coalesced:-$usual}" -lt "$usual"
check "one command at a time does not hang" timeout 60 dd if="$device" of=/dev/null bs=4k count=16 iflag=direct status=none
check "interrupts can be coalesced no more" nvme set-feature "/dev/$controller" -f 8 -v 0
if ((polled > 0)); then
    before=$(interrupts '[1-9][0-9]*')
    check "polled reads work" timeout 60 fio --name=poll --filename="$device" --readonly --rw=randread --bs=4k --ioengine=io_uring \
        --hipri=1 --direct=1 --number_ios=256 --size=64m
    raised=$(($(interrupts '[1-9][0-9]*') - before))
    # What else looks at the drive, when fio closes it, has interrupts.
    check "without an interrupt for each ($raised for 256)" test "$raised" -lt 64
fi
check "no command had to be polled for or timed out" \
    bash -c "! dmesg | grep -E '$controller: (I/O|.*timeout|.*completion polled)'"
finish
