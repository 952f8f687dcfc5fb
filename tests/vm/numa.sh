#!/bin/bash
# Two nodes with a socket of two CPUs each. All that the device has is on the node of its CPUs, wherever the process runs that loads it.
# shellcheck disable=SC2317,SC2329 # functions are called by `check`
. "$(dirname "$0")/lib.sh"

block_bytes=$((0x$(</sys/devices/system/memory/block_size_bytes)))

# blocks: the kernel's memory blocks that are in use, as `NODE NUMBER`.
blocks() {
    local node folder state
    for node in 0 1; do
        for folder in "/sys/devices/system/node/node$node"/memory[0-9]*; do
            read -r state <"$folder/state"
            [[ $state == online ]] && echo "$node ${folder##*/memory}"
        done
    done | sort
}
# node_before ADDRESS: the node whose memory this was in `$before`.
node_before() { awk -v number="$(($1 / block_bytes))" '$2 == number { print $1 }' <<<"$before"; }
# nodes_taken: those that have fewer blocks than in `$before`.
nodes_taken() { comm -23 <(echo "$before") <(blocks) | cut -d ' ' -f 1 | uniq | xargs; }
bar_start() { cut -d ' ' -f 1 "/sys/bus/pci/devices/$(pci_function)/resource" | head -n 1; }
# The first and the last byte.
storage() { sed -nE 's/^ *([0-9a-f]+)-([0-9a-f]+) : NVMeVirt storage$/0x\1 0x\2/p' /proc/iomem; }
# tables NODE: MiB of that node's memory in the module's tables. The kernel counts the pages of each.
tables() {
    awk -v node="N$1" '/\[nvmev\]/ { for (i = 1; i <= NF; i++) if (split($i, part, "=") == 2 && part[1] == node) pages += part[2] }
        END { print int((pages + 255) / 256) }' /proc/vmallocinfo
}
thread_cpus() {
    local pid
    for pid in $(module_threads); do
        awk '$1 == "Cpus_allowed_list:" { print $2 }' "/proc/$pid/status"
    done | sort | xargs
}
node_of_function() { cat "/sys/class/nvme/$(basename "$(controller)")/device/numa_node"; }
lines_about_far_memory() { dmesg | grep -c 'NVMeVirt: Memory: of node'; }
verify() {
    fio --name=verify --filename="$(block_device)" --ioengine=libaio --iodepth=32 --direct=1 --rw=randrw --bs=4k --size=4M \
        --verify=crc32c --verify_fatal=1 --do_verify=1
}

check_equal "there are two nodes with their CPUs" "0-1 2-3" "$(cat /sys/devices/system/node/node{0,1}/cpulist | xargs)"
# From here on, so that nothing is near by chance.
check "who loads runs on the first node" taskset --cpu-list --pid 0-1 $$

before=$(blocks)
check "it loads with CPUs of the second node" load size=256M "cpus=2,3" idle_timeout_us=20 || finish
check_equal "memory was taken from that node alone" 1 "$(nodes_taken)"
check_equal "the registers are in memory of that node" 1 "$(node_before "$(bar_start)")"
read -r first last < <(storage)
check_equal "and so is the storage, from its beginning to its end" "1 1" "$(node_before "$first") $(node_before "$last")"
check_equal "the threads are on the CPUs given" "2 3" "$(thread_cpus)"
check_equal "the driver finds the device on that node" 1 "$(node_of_function)"
check "fio finds what it wrote" verify
check "unload" unload
check_equal "the second node has all its memory again" "$before" "$(blocks)"

# What its model has to know takes 2 MiB for each GiB.
check "a drive with large tables is loaded" load profile=970pro size=64G data=none "cpus=2,3" idle_timeout_us=20
near=$(tables 1)
check "its tables ($near MiB) are of the second node" test "$near" -ge 100
check_equal "and nothing of them is of the first" 0 "$(tables 0)"
check_equal "nothing is far, and nothing said to be" 0 "$(lines_about_far_memory)"
check "unload" unload
check_equal "the tables are gone" "0 0" "$(tables 0) $(tables 1)"
check_equal "the second node has all its memory again" "$before" "$(blocks)"

check "more than the first node has is loaded with one of its CPUs" load size=1G cpus=0 idle_timeout_us=20
check_equal "the memory is the second node's" 1 "$(nodes_taken)"
check_equal "the log says so, once" 1 "$(lines_about_far_memory)"
check_matches "and which" 'of node 1; node 0' "$(dmesg | grep 'NVMeVirt: Memory: of node')"
check_equal "the driver finds the device on the node of the CPU" 0 "$(node_of_function)"
check_equal "the thread is there" 0 "$(thread_cpus)"
check "fio finds what it wrote" verify
check "unload" unload
check_equal "the second node has all its memory again" "$before" "$(blocks)"
finish
