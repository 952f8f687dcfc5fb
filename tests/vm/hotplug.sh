#!/bin/bash
# CPUs of `cpus=` that go offline and come back, under load: their threads run elsewhere meanwhile.
# With four CPUs, of which the module has 1 and 2. It loads the module itself.
# shellcheck disable=SC2317,SC2329 # functions are called by `check`
. "$(dirname "$0")/lib.sh"

rounds=6
[[ -n $LONG ]] && rounds=100
cpus=/sys/devices/system/cpu

offline() { echo 0 >"$cpus/cpu$1/online"; }
online() { echo 1 >"$cpus/cpu$1/online"; }
# What the module says of that.
told() { awk '{ print $5 }' /proc/nvmev/cpus | xargs; }
log_lines() { dmesg | grep -c "NVMeVirt: $1"; }
# are_on CPUS: the dispatcher and the worker are there. A thread that the scheduler moved goes back by itself, when it runs next.
are_on() { [[ $(thread_cpus) == "$1" && $(told) == "$1" ]]; }
check_on() {
    check "$1" wait_for 2 are_on "$2" || echo "#     the kernel: $(thread_cpus), the module: $(told)"
}

check_equal "the guest has CPUs 0 to 3" 0-3 "$(<$cpus/online)"
check "load" load size=256M cpus=1,2 idle_timeout_us=20 || finish
device=$(block_device)
check_on "the threads are on their CPUs" "1 2"
check_equal "/proc/nvmev/cpus names them" "nvmev_dispatcher cpu 1 now 1
nvmev_io_worker_0 cpu 2 now 2" "$(</proc/nvmev/cpus)"
check "it takes nothing" fails bash -c 'echo 1 >/proc/nvmev/cpus'

check "CPU 2 goes offline" offline 2
check_on "the worker runs on the CPU that is free" "1 3"
check_equal "the log says so, in one line" 1 \
    "$(log_lines 'CPU 2 goes offline: nvmev_io_worker_0 runs on CPU 3 until CPU 2 is back$')"
check "the drive works" dd if="$device" of=/dev/null bs=4k count=64 iflag=direct status=none
check "that CPU goes offline, too" offline 3
check_on "the worker is on another one" "1 0"
check "the dispatcher's CPU goes offline" offline 1
check_on "both are on the only CPU left" "0 0"
check_equal "the log says that they share it" 1 \
    "$(log_lines 'CPU 1 goes offline: nvmev_dispatcher runs on CPU 0 until CPU 1 is back; it shares that CPU')"
check "the drive works" dd if="$device" of=/dev/null bs=4k count=64 iflag=direct status=none
check "CPU 3 comes back" online 3
check_on "they need not share any more" "3 0"
check "CPU 2 comes back" online 2
check_on "the worker is on its CPU" "3 2"
check_equal "the log says so" 1 "$(log_lines 'CPU 2 is back: nvmev_io_worker_0 runs on it again$')"
check "CPU 1 comes back" online 1
check_on "and so is the dispatcher" "1 2"

# The scheduler has moved the thread when another part of the kernel says no, before or after the module was asked.
for part in nvmev:online workqueue:online; do
    state=$(awk -v part="$part" '$2 == part { print $1 + 0 }' $cpus/hotplug/states)
    for cpu in 1 2; do
        check "CPU $cpu is told to fail at $part" bash -c "echo $state >$cpus/cpu$cpu/hotplug/fail"
        check "so it cannot go offline" fails offline "$cpu"
        check_on "its thread is on it" "1 2"
    done
done

# Those that load and unload meet a change of CPUs now and then.
toggle() {
    until [[ -e $scratch/stop-toggle ]]; do
        # The kernel refuses it now and then: while a driver is probed.
        offline 2 2>/dev/null
        wait_for 5 online 2
        sleep 0.$((RANDOM % 9))
    done
}
check "unload while a CPU is offline" bash -c "echo 0 >$cpus/cpu1/online && timeout 60 rmmod nvmev"
check "with a CPU that is offline it is not loaded" fails insmod "$MODULE" size=256M cpus=1,2
check_matches "the log says why" 'NVMeVirt: cpus=1,2: CPU 1 is not online' "$(dmesg | tail -n 3)"
online 1
memory=$(meminfo MemTotal)
toggle &
toggler=$!
loads=0
strange=0
for ((round = 0; round < rounds; round++)); do
    if insmod "$MODULE" size=256M cpus=1,2 idle_timeout_us=20 2>"$scratch/insmod"; then
        loads=$((loads + 1))
        [[ $((round % 2)) -eq 0 ]] && sleep 0.3
        unload || strange=$((strange + 1))
    elif ! dmesg | grep NVMeVirt | tail -n 1 | grep -qE 'cpus.*CPU 2 (is not online|went offline while)'; then
        strange=$((strange + 1))
    fi
done
touch "$scratch/stop-toggle"
wait $toggler
check_equal "of $rounds loads and unloads while a CPU comes and goes, $loads loaded, the others were refused for that CPU" 0 "$strange"
check "and nothing is left" nothing_left "$memory"

for timeout in 20 0; do
    rm -f "$scratch/stop"
    check "load, with idle_timeout_us=$timeout" load size=256M cpus=1,2 "idle_timeout_us=$timeout"
    device=$(block_device)
    write_and_verify &
    writer=$!
    sleep 1
    failed=0
    lost=0
    # The short version tries threads that never sleep with a few rounds only: under emulation they take all the time.
    turns=$rounds
    [[ $timeout -eq 0 ]] && turns=$((rounds / 3))
    for ((round = 0; round < turns; round++)); do
        case $((round % 4)) in
            0) away=(2) ;;
            1) away=(1) ;;
            2) away=(1 2) ;;
            3) away=(2 3 1) ;;
        esac
        for cpu in "${away[@]}"; do
            offline "$cpu" || failed=$((failed + 1))
        done
        sleep 0.2
        for cpu in "${away[@]}"; do
            online "$cpu" || failed=$((failed + 1))
        done
        wait_for 5 are_on "1 2" || lost=$((lost + 1))
    done
    check_equal "$turns times offline and online under fio" 0 "$failed"
    check_equal "after each the threads were on their CPUs" 0 "$lost"
    touch "$scratch/stop"
    wait $writer
    check_equal "fio wrote and verified everything" 0 $?
    check "unload" unload
done
check "no command timed out" bash -c "! dmesg | tail -n +$dmesg_lines | grep -iE 'nvme.*timeout'"
check "nothing is left" nothing_left "$memory"
finish
