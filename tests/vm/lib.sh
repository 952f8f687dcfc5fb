# Sourced by every script here, which runs as root inside the guest (see `make vm` and xtask/src/suites.rs).
#
# A script makes checks with `check`, `ok` and `not_ok`, and ends with `finish`. Each check prints one line,
# `ok NAME` or `not ok NAME: REASON`, and `finish` prints how many there were, so that a script that stops half-way is noticed.
# Variables from outside: NVMEV_MODULE (path of nvmev.ko), NVMEV_MODPARAMS (what it was loaded with; empty: not loaded),
# NVMEV_LONG (1: take the time for the long version of a check).
# shellcheck shell=bash
# shellcheck disable=SC2034 # variables for the scripts

set -u

LONG=${NVMEV_LONG:-}
MODULE=${NVMEV_MODULE:-}
# For loading again, or by the scripts that load by themselves.
PARAMETERS=${NVMEV_MODPARAMS:-}
[[ -n $PARAMETERS ]] || PARAMETERS=${NVMEV_PARAMETERS:-size=256M cpus=1,2}
script=$(basename "$0" .sh)
checks=0
failures=0
scratch=$(mktemp -d /tmp/nvmev-test.XXXXXX)
dmesg_lines=$(dmesg | wc -l)

ok() {
    checks=$((checks + 1))
    echo "ok $script: $1"
}

not_ok() {
    checks=$((checks + 1))
    failures=$((failures + 1))
    echo "not ok $script: $1: $2"
}

# check NAME COMMAND...: the command succeeds; else what it printed is shown.
check() {
    local name=$1 status
    shift
    "$@" >"$scratch/output" 2>&1
    status=$?
    if [[ $status -eq 0 ]]; then
        ok "$name"
    else
        not_ok "$name" "$* ended with status $status"
        sed 's/^/#     /' "$scratch/output" | tail -n 20
        return 1
    fi
}

# check_equal NAME WANTED FOUND
check_equal() {
    if [[ $2 == "$3" ]]; then
        ok "$1"
    else
        not_ok "$1" "wanted '$2', found '$3'"
    fi
}

# check_matches NAME PATTERN FOUND: an extended regular expression.
check_matches() {
    if [[ $3 =~ $2 ]]; then
        ok "$1"
    else
        not_ok "$1" "wanted something like '$2', found '$3'"
    fi
}

# The command fails, as it should.
fails() {
    ! "$@"
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local tenths=$(($1 * 10))
    shift
    while ! "$@" >/dev/null 2>&1; do
        ((tenths-- > 0)) || return 1
        sleep 0.1
    done
}

# The PCI function that is ours, for example 0001:10:00.0.
pci_function() {
    local folder
    for folder in /sys/bus/pci/devices/*; do
        if [[ $(<"$folder/vendor") == 0x0c51 ]]; then
            basename "$folder"
            return 0
        fi
    done
    return 1
}

# bind_to DRIVER: takes our function from its driver, and lets only this one have it from then on.
bind_to() {
    local function folder
    function=$(pci_function) || return
    folder=/sys/bus/pci/devices/$function
    if [[ -e $folder/driver ]]; then
        echo "$function" >"$folder/driver/unbind" || return
    fi
    echo "$1" >"$folder/driver_override" || return
    echo "$function" >"/sys/bus/pci/drivers/$1/bind"
}

# namespace_device NSID: the block device of a namespace of ours; where there is no such device (trying a script with a drive of QEMU's), that
# of any NVMe drive. Linux numbers the names of namespaces as it finds them, which may not be in their order.
namespace_device() {
    local function name nsid device found
    if function=$(pci_function); then
        # With multipath the namespace hangs under the subsystem, so the controller's name is what both have.
        name=$(basename "$(compgen -G "/sys/bus/pci/devices/$function/nvme/nvme*" | head -n 1)")
        for nsid in "/sys/block/${name}n"*/nsid; do
            device=${nsid%/nsid}
            device=/dev/${device##*/}
            # It may be taken away while we look.
            if read -r found 2>/dev/null <"$nsid" && [[ $found == "$1" && -b $device ]]; then
                echo "$device"
                return
            fi
        done
        return 1
    else
        compgen -G "/dev/nvme*n$1" | head -n 1
    fi
}

# generic_device NSID: the character device of a namespace of ours, which every namespace has: /dev/ngXnY.
generic_device() {
    local function name device
    function=$(pci_function) || return 1
    name=$(basename "$(compgen -G "/sys/bus/pci/devices/$function/nvme/nvme*" | head -n 1)")
    for device in "/dev/ng${name#nvme}n"*; do
        if [[ -c $device && $(nvme get-ns-id "$device" 2>/dev/null) == *":$1" ]]; then
            echo "$device"
            return
        fi
    done
    return 1
}

# That of the first one.
block_device() {
    namespace_device 1
}

device_ready() {
    [[ -n $(block_device) || -n $(generic_device 1) ]]
}

# order_zone_writes DEVICE: before 6.10, Linux keeps the order of writes to a zone only with the scheduler mq-deadline.
order_zone_writes() {
    if [[ $(printf '%s\n6.10\n' "$(uname -r)" | sort -V | head -n 1) != 6.10 ]]; then
        echo mq-deadline >"/sys/block/$(basename "$1")/queue/scheduler"
    fi
}

controller() {
    local device
    device=$(block_device)
    echo "${device%n*}"
}

# load [PARAMETERS...]: loads the module and waits for its drive.
load() {
    if [[ $# -gt 0 ]]; then
        insmod "$MODULE" "$@" || return
    else
        # shellcheck disable=SC2086 # parameters are words
        insmod "$MODULE" $PARAMETERS || return
    fi
    wait_for 20 device_ready
}

unload() {
    timeout 60 rmmod nvmev
}

loaded() {
    grep -q '^nvmev ' /proc/modules
}

# A field of /proc/meminfo in KiB.
meminfo() {
    awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo
}

# Threads of the module, by process id.
module_threads() {
    pgrep nvmev
}

# Where the kernel lets these threads run, in the order of their names.
thread_cpus() {
    local pid
    for pid in $(module_threads); do
        echo "$(<"/proc/$pid/comm") $(awk '$1 == "Cpus_allowed_list:" { print $2 }' "/proc/$pid/status")"
    done | sort | awk '{ print $2 }' | xargs
}

# Nothing of the module is left in the running kernel. The field MemTotal is compared with the argument, in KiB.
nothing_left() {
    ! loaded || { echo "still loaded"; return 1; }
    [[ ! -e /proc/nvmev ]] || { echo "/proc/nvmev is still there"; return 1; }
    ! pci_function || { echo "the PCI function is still there"; return 1; }
    ! module_threads || { echo "threads are still there"; return 1; }
    [[ $(meminfo MemTotal) -eq $1 ]] || { echo "MemTotal was $1 KiB, is $(meminfo MemTotal) KiB"; return 1; }
}

# resets_under_fio COUNT OPTIONS...: that many controller resets while fio reads, writes and verifies on $device.
resets_under_fio() {
    local resets=$1 fio reset failed=0 errors
    shift
    # In threads: a job that is a process of its own would go on writing after its parent was killed.
    fio --name=load --thread --filename="$device" "$@" --time_based --runtime=600 --output="$scratch/fio" --verify_backlog=64 &
    fio=$!
    sleep 1
    for ((reset = 0; reset < resets; reset++)); do
        timeout 30 nvme reset "$(controller)" || failed=$((failed + 1))
        sleep 0.2
    done
    check_equal "$resets controller resets under fio" 0 "$failed"
    check "fio is still running" kill -0 "$fio"
    # The first signal lets fio end what it has begun.
    kill -INT "$fio"
    check "fio ends" wait_for 300 bash -c "! kill -0 $fio" || kill -KILL "$fio"
    wait "$fio"
    if errors=$(grep -iE 'verify: bad|err=[^ 0]|error=' "$scratch/fio"); then
        not_ok "fio saw no error" "$(head -n 1 <<<"$errors")"
    else
        ok "fio saw no error"
    fi
}

# write_and_verify: fio writes $device and verifies it, again and again until $scratch/stop is there; fails at the first error.
write_and_verify() {
    until [[ -e $scratch/stop ]]; do
        fio --name=verify --filename="$device" --ioengine=libaio --iodepth=16 --direct=1 --rw=randwrite --bs=4k --size=4m \
            --rate_iops=1000 --verify=crc32c --verify_fatal=1 --do_verify=1 --output="$scratch/fio" || return
    done
}

# What the kernel complained about since the script started; the same words are in xtask/src/klog.rs.
kernel_complaints() {
    dmesg | tail -n "+$((dmesg_lines + 1))" | grep -E \
        'BUG:|kernel BUG at|WARNING: |Oops|general protection fault|INFO: task|rcu: INFO|soft lockup|UBSAN:|scheduling while atomic|refcount_t:'
}

finish() {
    local complaints
    if complaints=$(kernel_complaints); then
        not_ok "the kernel did not complain" "$(head -n 1 <<<"$complaints")"
    else
        ok "the kernel did not complain"
    fi
    rm -rf "$scratch"
    echo "# $script: $checks checks done"
    [[ $failures -eq 0 ]]
    exit
}
