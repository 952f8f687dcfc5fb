#!/bin/bash
# Parameters that cannot be: the module says why, does not load, and leaves nothing behind.
. "$(dirname "$0")/lib.sh"

# Once in and out: see lifecycle.sh on MemTotal.
check "it loads with parameters that can be" load
check "unload" unload
total=$(meminfo MemTotal)

# refused NAME PARAMETERS...
refused() {
    local name=$1 lines
    shift
    lines=$(dmesg | wc -l)
    if insmod "$MODULE" "$@" 2>/dev/null; then
        not_ok "$name is refused" "it was loaded"
        rmmod nvmev
        return
    fi
    ok "$name is refused"
    check "$name: the log says why" bash -c "dmesg | tail -n '+$((lines + 1))' | grep 'NVMeVirt'"
    dmesg | tail -n "+$((lines + 1))" | grep NVMeVirt | sed 's/^/#     /'
    check "$name: nothing is left" nothing_left "$total"
}

refused "no parameter at all"
refused "an empty list of CPUs" size=256M cpus=
refused "a CPU named twice" size=256M cpus=1,1
refused "a CPU that there is not" size=256M cpus=1,99
refused "an absurd CPU" size=256M cpus=1,4294967297
refused "a CPU that is a word" size=256M cpus=one
refused "a negative CPU" size=256M cpus=-1
refused "no size" size=0 cpus=1,2
refused "a size that is a word" size=much cpus=1,2
refused "more memory than there is" size=100T cpus=1,2
refused "a size and a range" size=256M memmap_start=4G memmap_size=256M cpus=1,2
refused "a place for data that there is not" size=256M cpus=1,2 data=disk
refused "no data and no size" cpus=1,2 data=none
refused "no data, but keys" size=1G cpus=1,2 data=none profile=kv-prototype
refused "tables larger than memory" size=16T cpus=1,2 data=none profile=970pro
refused "a range without its length" memmap_start=4G cpus=1,2
refused "a range in use as memory" memmap_start=16M memmap_size=256M cpus=1,2
refused "a range beyond everything" memmap_start=16000T memmap_size=256M cpus=1,2
refused "an unknown profile" size=256M cpus=1,2 profile=nosuch
refused "an empty profile" size=256M cpus=1,2 profile=
refused "a parameter that no profile has" size=256M cpus=1,2 profile=970pro profile_set=nand.dies=4
refused "a parameter without a value" size=256M cpus=1,2 profile=970pro profile_set=nand.channels
refused "a parameter with a wrong value" size=256M cpus=1,2 profile=970pro profile_set=nand.channels=0
refused "parameters that do not go together" size=256M cpus=1,2 profile=970pro profile_set=ftl.partitions=3
refused "too few lines for the namespace" size=256M cpus=1,2 profile=970pro profile_set=ftl.blocks_per_lun=16
refused "a parameter of another kind" size=256M cpus=1,2 profile=optane profile_set=ftl.victim=random
refused "a zone larger than the drive" size=256M cpus=1,2 profile=zn540
refused "a zone capacity larger than the zone" size=256M cpus=1,2 profile=tlc-zns profile_set=zone.capacity_kib=70000
refused "a profile and a list of namespaces" size=256M cpus=1,2 profile=optane ns=optane
refused "an empty list of namespaces" size=256M cpus=1,2 ns=
refused "an unknown profile in a list" size=256M cpus=1,2 ns=optane:64M,nosuch
refused "namespaces larger than the device" size=256M cpus=1,2 ns=optane:128M,optane:128M
refused "two namespaces that want the rest" size=256M cpus=1,2 ns=optane,970pro
refused "a second namespace that cannot be" size=256M cpus=1,2 ns=optane:64M,zn540
refused "a parameter for no namespace" size=256M cpus=1,2 ns=optane:64M,970pro profile_set=3/nand.channels=4
refused "a parameter for whichever namespace" size=256M cpus=1,2 ns=optane:64M,970pro profile_set=nand.channels=4
if echo 0 >/sys/devices/system/cpu/cpu2/online; then
    refused "a CPU that is offline" size=256M cpus=1,2
    echo 1 >/sys/devices/system/cpu/cpu2/online
fi
check "it loads after all that" load
check "it does not load twice" fails insmod "$MODULE" size=256M cpus=1,2
check "the first one is still there" device_ready
check "unload" unload
check "nothing is left" nothing_left "$total"
finish
