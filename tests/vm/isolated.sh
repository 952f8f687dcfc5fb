#!/bin/bash
# CPUs that the kernel keeps for the drive: isolcpus= and nohz_full= at boot, and cpusets. With four CPUs, of which 2 and 3 are isolated; QEMU's
# clock allows it with nohz=on. It loads the module itself.
# shellcheck disable=SC2317,SC2329 # functions are called by `check`
. "$(dirname "$0")/lib.sh"

are_on() { [[ $(thread_cpus) == "$1" ]]; }
verify() {
    fio --name=verify --filename="$device" --ioengine=libaio --iodepth=16 --direct=1 --rw=randrw --bs=4k --size=8M \
        --verify=crc32c --verify_fatal=1 --do_verify=1
}
thread() { pgrep "$1" | head -n 1; }
move_to() { bash -c "echo $1 >'$2/cgroup.procs'"; }

check_equal "CPUs 2 and 3 are isolated" 2-3 "$(</sys/devices/system/cpu/isolated)"
check_equal "and without a tick" 2-3 "$(</sys/devices/system/cpu/nohz_full)"
for timeout in 20 0; do
    check "load on them, with idle_timeout_us=$timeout" load size=256M cpus=2,3 "idle_timeout_us=$timeout" || finish
    device=$(block_device)
    check "the threads are there" are_on "2 3"
    check "fio finds what it wrote" verify
    # Longer than the kernel waits for a CPU that does not let RCU go on (rcu_cpu_stall_timeout, which the suite shortens).
    sleep 8
    check "the kernel has no reason to complain" fails kernel_complaints
    check "CPU 3 goes offline" bash -c 'echo 0 >/sys/devices/system/cpu/cpu3/online'
    check "its thread is on none that is isolated" wait_for 2 are_on "2 1"
    check "CPU 3 comes back" bash -c 'echo 1 >/sys/devices/system/cpu/cpu3/online'
    check "and its thread" wait_for 2 are_on "2 3"
    check "unload" unload
done

groups=/sys/fs/cgroup
mountpoint -q $groups || mount -t cgroup2 none $groups
check "there are cpusets" bash -c "echo +cpuset >$groups/cgroup.subtree_control"
check "load on CPUs that are not isolated" load size=256M cpus=0,1 idle_timeout_us=20
device=$(block_device)
mkdir $groups/program $groups/drive
check "a cpuset for programs" bash -c "echo 2-3 >$groups/program/cpuset.cpus"
check "fio runs in it" bash -c "echo \$\$ >$groups/program/cgroup.procs && $(declare -f verify) && device=$device verify"
check "the threads are on their CPUs" are_on "0 1"
check "no cpuset takes a thread of the drive" fails move_to "$(thread nvmev_disp)" $groups/program
check "and nobody else moves it" fails taskset --cpu-list --pid 3 "$(thread nvmev_disp)"
# This takes a CPU away from all processes that have not been put there.
echo 1 >$groups/drive/cpuset.cpus
if echo isolated >$groups/drive/cpuset.cpus.partition && [[ $(<$groups/drive/cpuset.cpus.partition) == isolated ]]; then
    ok "an isolated partition of the worker's CPU"
else
    not_ok "an isolated partition of the worker's CPU" "$(<$groups/drive/cpuset.cpus.partition)"
fi
check "fio finds what it wrote" verify
check "the threads are on their CPUs" wait_for 2 are_on "0 1"
check "the partition goes" rmdir $groups/drive
check "fio finds what it wrote" verify
check "the threads are on their CPUs" wait_for 2 are_on "0 1"
check "unload" unload
finish
