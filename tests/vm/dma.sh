#!/bin/bash
# dma=: data that a DMA engine copies. The engine is dma_provider/, which can be told to fail, to be busy and to hang.
# shellcheck disable=SC2317,SC2329 # functions are called by `check`
. "$(dirname "$0")/lib.sh"

provider=${NVMEV_DMA_PROVIDER:?}
mib=1
resets=3
# Whether engines can be stopped in the middle of a copy.
terminations=(1)
[[ -n $LONG ]] && mib=32 resets=30 terminations=(1 0)
total=$(meminfo MemTotal)

# A count of the engine, or what it is told to do; tell NAME VALUE.
engine() { cat "/sys/module/dma_provider/parameters/$1"; }
tell() { echo "$2" >"/sys/module/dma_provider/parameters/$1"; }
# What the module says; copier WORKER: who copies for it.
said() { awk -v name="$1" '$1 == name { print $2 }' /proc/nvmev/dma; }
copier() { awk -v worker="$1" '$1 == "worker" && $2 == worker { print $3 }' /proc/nvmev/dma; }
last_line() { dmesg | grep 'NVMeVirt: DMA:' | tail -n 1; }
# The name of the engine: that of the device, of which the channels are called after it.
device_name() { basename "$(compgen -G '/sys/class/dma/*' | head -n 1)" | sed 's/chan.*//'; }

# load_with PARAMETERS...: the suite's, and these.
load_with() {
    # shellcheck disable=SC2086 # parameters are words
    load $PARAMETERS "$@" && device=$(block_device)
}
# On each CPU, so that all workers have something to do.
everywhere=("--ioengine=libaio" --iodepth=8 --direct=1 --rw=randrw "--bsrange=4k-128k" "--size=${mib}M" "--offset_increment=${mib}M"
    "--numjobs=$(nproc)" "--cpus_allowed=0-$(($(nproc) - 1))" "--cpus_allowed_policy=split" "--verify=crc32c" --group_reporting)
# verify: written, read back and compared.
verify() {
    timeout 300 fio --name=verify --filename="$device" "${everywhere[@]}" --verify_fatal=1 --do_verify=1 --output-format=terse
}
# read_something: on each CPU, in the background, until it is under way.
read_something() {
    for ((cpu = 0; cpu < $(nproc); cpu++)); do
        timeout 30 taskset -c "$cpu" dd if="$device" of=/dev/null bs=64k count=4 iflag=direct status=none &
    done
    sleep 0.3
}
set_command() {
    # shellcheck disable=SC2059 # the format is made of digits
    printf "\\$(printf %o "$1")" | dd of="$config" bs=1 seek=4 conv=notrunc status=none
}
has_terminated() { [[ $(engine terminated) -gt 0 ]]; }
is_more() { [[ $2 -gt $1 ]]; }
no_io_errors() { ! dmesg | grep -E 'I/O error|nvme.*timeout|completion polled'; }

# ---- without an engine ----
check "a value that is none is refused" fails load_with dma=on
check_matches "the log says what there is" 'dma=on: write off, any, or the name' "$(dmesg | grep NVMeVirt | tail -n 1)"
check "without an engine the module is loaded" load_with dma=any
check_matches "and says so" 'dma=any: no DMA engine .* is free' "$(last_line)"
check "the CPU copies" verify
check_equal "alone" 0 "$(said copies)"
check "unload" unload
# Once in and out: see lifecycle.sh on MemTotal.
total=$(meminfo MemTotal)

# ---- one channel, for the first worker ----
check "the engine is loaded" insmod "$provider" || finish
check "the module takes it" load_with dma=any
config=/sys/bus/pci/devices/$(pci_function)/config
check_equal "for the first worker" "$(device_name)chan0" "$(copier 0)"
check "the engine stays as long as it is used" fails rmmod dma_provider
check "data goes through it" verify
check "by many copies" is_more 50 "$(engine copies)"
check_equal "the module counts them, too" "$(engine copies) $(engine copied_bytes)" "$(said copies) $(said copied_bytes)"
check_equal "none failed" 0 "$(said failed)"
tell busy_every 3
check "an engine that is busy at times" verify
check "declines copies" is_more 10 "$(engine declined)"
check "which the module counts" is_more 10 "$(said declined)"
tell busy_every 0
tell fail_every 5
check "an engine that fails at times" verify
check "at many copies" is_more 10 "$(engine failures)"
check "which the CPU makes again" is_more 10 "$(said failed)"
tell busy_every 4
tell delay_us 2000

resets_under_fio "$resets" "${everywhere[@]}"

# Without permission to reach memory. The byte is the lower one of the register Command, with Bus Master Enable.
tell delay_us 20000
read_something
command=$(od -An -tu1 -j4 -N1 "$config")
set_command $((command & ~4))
check "what is under way is abandoned when it must not reach memory" wait_for 5 has_terminated
set_command "$command"
wait
check_equal "the engine is still in use" "$(device_name)chan0" "$(copier 0)"
tell delay_us 20
check "and works" verify

tell hang 1
read_something
check "a reset while the engine hangs" timeout 10 nvme reset "$(controller)"
wait
check "no command had an error" no_io_errors
check "unload while the engine hangs" unload
check "the engine is free again" rmmod dma_provider
check "nothing is left" nothing_left "$total"

# ---- by name, one channel for each worker, and a copy that does not end ----
for can_terminate in "${terminations[@]}"; do
    check "the engine is loaded, can_terminate=$can_terminate" insmod "$provider" channels=3 can_terminate="$can_terminate"
    name=$(device_name)
    check "an engine of another name is not taken" load_with dma="${name}99"
    check_matches "and the log says so" "dma=${name}99: no DMA engine" "$(last_line)"
    check "unload" unload
    check "one channel is taken by its name" load_with dma="${name}chan1"
    check_equal "it is that one" "${name}chan1" "$(copier 0)"
    check "unload" unload
    check "the engine is taken by the device's name" load_with dma="$name"
    check "data goes through it" verify
    tell hang 1
    check "data does not wait for an engine that hangs" verify
    check_matches "the log says which" 'does not come to an end' "$(last_line)"
    copiers=$(awk '$1 == "worker" { print $3 }' /proc/nvmev/dma)
    check_matches "the CPU copies from then on" 'cpu' "$copiers"
    tell hang 0
    check "and the data is right" verify
    check "no command had an error" no_io_errors
    check "unload" unload
    check "the engine is free again" rmmod dma_provider
done
check "nothing is left" nothing_left "$total"
finish
