#!/bin/bash
# Reservations with nvme-cli: two hosts behind one controller, told apart by their identifiers.
. "$(dirname "$0")/lib.sh"

device=$(block_device)
controller=$(controller)

# The controller has host $1 from now on.
# shellcheck disable=SC2317,SC2329 # called by `check`
become_host() {
    head -c 16 /dev/zero | tr '\0' "\\$1" >"$scratch/host"
    nvme set-feature "$controller" -f 0x81 -v 1 --data-len=16 --data="$scratch/host" >/dev/null
}

# shellcheck disable=SC2317,SC2329 # called by `check`
read_a_block() {
    dd if="$device" of=/dev/null bs=4096 count=1 iflag=direct status=none
}

# shellcheck disable=SC2317,SC2329 # called by `check`
write_a_block() {
    dd if=/dev/zero of="$device" bs=4096 count=1 oflag=direct status=none
}

report() {
    nvme resv-report "$device" --namespace-id=1 --eds --numd=255
}

check "host 1 identifies itself" become_host 1
check "registers" nvme resv-register "$device" --namespace-id=1 --nrkey=0x11 --rrega=0
check "and acquires: exclusive access" nvme resv-acquire "$device" --namespace-id=1 --crkey=0x11 --rtype=2 --racqa=0
check_matches "the report has the type" 'rtype *: 2' "$(report)"
check_matches "and the key" 'rkey *: 11' "$(report)"
check "the holder reads" read_a_block
check "and writes" write_a_block
check "host 2 comes instead" become_host 2
check "it cannot read" fails read_a_block
check "nor write" fails write_a_block
check "nor acquire, unregistered" fails nvme resv-acquire "$device" --namespace-id=1 --crkey=0x22 --rtype=2 --racqa=0
check "it registers" nvme resv-register "$device" --namespace-id=1 --nrkey=0x22 --rrega=0
check "and preempts host 1" nvme resv-acquire "$device" --namespace-id=1 --crkey=0x22 --prkey=0x11 --rtype=1 --racqa=1
check_matches "the report has the other type" 'rtype *: 1' "$(report)"
check_matches "one registrant" 'regctl *: 1' "$(report)"
check_matches "there is a notification" 'Log Page Type[[:space:]]*: 1' "$(nvme resv-notif-log "$controller")"
check "host 2 writes" write_a_block
check "host 1 comes back" become_host 1
check "it reads" read_a_block
check "but cannot write" fails write_a_block
check "host 2 comes back" become_host 2
check "and releases" nvme resv-release "$device" --namespace-id=1 --crkey=0x22 --rtype=1 --rrela=0
check_matches "nothing is held" 'rtype *: 0' "$(report)"
check "clears" nvme resv-release "$device" --namespace-id=1 --crkey=0x22 --rrela=1
check_matches "nobody is registered" 'regctl *: 0' "$(report)"
check "anybody writes" write_a_block
finish
