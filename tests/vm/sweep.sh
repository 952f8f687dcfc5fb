#!/bin/bash
# Commands with good and with bad arguments, and how each ends: namespace 1 is of the NVM command set, 2 of that too but on flash, 3 is zoned, and 4 has
# pairs. There is no fifth.
#
# A row is `DEVICE OPCODE WORDS... = STATUS`. DEVICE is `A` for an admin command, or the number of the namespace whose device gets an I/O command
# (Linux lets no I/O command with another identifier through: those are tested without it). The opcode is hexadecimal. Words are the command:
# `n=` its namespace identifier, `2=` to `15=` its dwords, `R` and a number of bytes what it reads, `W` with a file's name what it writes. STATUS is
# how nvme-cli names the status, or its number where nvme-cli has no name for it. A row that begins with `+` is for the long version.
# No row may move more than its buffer has, or have the drive write without one: there is nothing between it and the guest's memory.
. "$(dirname "$0")/lib.sh"

declare -A sizes=([sector]=512)
controller=$(sed -E 's,/ng([0-9]+)n.*,/nvme\1,' <<<"$(generic_device 1)")
devices=("$controller")
for nsid in 1 2 3 4; do
    devices[nsid]=$(generic_device "$nsid")
done

# run DEVICE OPCODE WORDS...: the command, by nvme-cli; `number` and `text` are what it says of its end, the number without Do Not Retry.
run() {
    local kind=io-passthru device=${devices[${1/A/0}]} word said='' arguments=(--opcode="0x$2" --raw-binary)
    if [[ $1 == A ]]; then
        kind=admin-passthru
    else
        arguments+=(--namespace-id="$1")
    fi
    for word in "${@:3}"; do
        case $word in
            n=*) arguments+=(--namespace-id="${word#n=}") ;;
            R*) arguments+=(--read --data-len="${word#R}") ;;
            W*) arguments+=(--write --data-len="${sizes[${word#W}]}" --input-file="$scratch/${word#W}") ;;
            *=*) arguments+=(--cdw"$word") ;;
        esac
    done
    nvme "$kind" "$device" "${arguments[@]}" >/dev/null 2>"$scratch/said"
    read -r said <"$scratch/said"
    case $said in
        *"is Success"*) number=0 text=Success ;;
        "NVMe status: "*"(0x"*)
            text=${said#*: }
            number=${said##*\(}
            printf -v number '0x%x' $((${number%%\)*} & 0x7ff))
            text=${text%%[:(]*}
            ;;
        *) number='?' text=$said ;;
    esac
}

# The rows on standard input; each is a check.
sweep() {
    local row wanted words
    while read -r row; do
        [[ -z $row || $row == \#* ]] && continue
        if [[ $row == +* ]]; then
            [[ -n $LONG ]] || continue
            row=${row#+ }
        fi
        wanted=${row#* = }
        read -ra words <<<"${row% = *}"
        run "${words[@]}"
        if [[ $text == "$wanted" || $number == "$wanted" ]]; then
            ok "$row"
        else
            not_ok "$row" "ended with $text ($number)"
        fi
    done
}

# le BYTES NUMBER: little endian, for printf.
le() {
    local byte number=$2
    for ((byte = 0; byte < $1; byte++)); do
        printf '\\x%02x' $((number & 0xff))
        number=$((number >> 8))
    done
}
# file NAME BYTES FIELDS...: a file of that size that begins with the fields, BYTES:NUMBER each.
file() {
    local field path=$scratch/$1 bytes=$2
    for field in "${@:3}"; do
        # shellcheck disable=SC2059 # the format is the bytes
        printf "$(le "${field%%:*}" "${field#*:}")"
    done >"$path"
    truncate -s "$bytes" "$path"
    sizes[$1]=$2
}

file zeros 512
file zeros8 8
file block 4096 4:0x6b6f6c62
head -c 512 "$scratch/block" >"$scratch/sector"
# Data of Namespace Management: size, capacity, 10 bytes of nothing, the format.
file nothing 4096
file two_capacities 4096 8:4096 8:2048
file no_format 4096 8:4096 8:4096 8:0 2:0 1:5
file huge 4096 8:0x10000000 8:0x10000000
file sharing 4096 8:4096 8:4096 8:0 2:0 1:0 1:0 2:0 1:1
# Lists of controllers.
file this_controller 4096 2:1 2:0
file another_controller 4096 2:1 2:7
file firmware_piece 1000

admin_rows() {
    cat <<'ROWS'
# Identify.
A 06 n=0 10=1 R4096 = Success
A 06 n=1 10=0 R4096 = Success
A 06 n=0xffffffff 10=0 R4096 = Success
A 06 n=5 10=0 R4096 = Success
A 06 n=0 10=0 R4096 = Invalid Namespace or Format
A 06 n=33 10=0 R4096 = Invalid Namespace or Format
A 06 n=4 10=0 R4096 = Invalid Field in Command
+ A 06 n=0 10=2 R4096 = Success
+ A 06 n=0xfffffffd 10=2 R4096 = Success
+ A 06 n=0xfffffffe 10=2 R4096 = Invalid Namespace or Format
A 06 n=0xffffffff 10=2 R4096 = Invalid Namespace or Format
A 06 n=4 10=3 R4096 = Success
+ A 06 n=5 10=3 R4096 = Invalid Field in Command
A 06 n=0 10=3 R4096 = Invalid Namespace or Format
+ A 06 n=0xffffffff 10=3 R4096 = Invalid Namespace or Format
+ A 06 n=0 10=4 R4096 = Invalid Field in Command
+ A 06 n=1 10=5 R4096 = Success
A 06 n=3 10=5 11=0x2000000 R4096 = Success
A 06 n=4 10=5 11=0x1000000 R4096 = Success
A 06 n=1 10=5 11=0x2000000 R4096 = 0x12c
+ A 06 n=4 10=5 R4096 = 0x12c
+ A 06 n=1 10=5 11=0x3000000 R4096 = 0x12c
+ A 06 n=33 10=5 R4096 = Invalid Namespace or Format
+ A 06 n=0 10=6 11=0x2000000 R4096 = Success
+ A 06 n=0 10=6 11=0x3000000 R4096 = 0x12c
+ A 06 n=0 10=7 11=0x1000000 R4096 = Success
A 06 n=0 10=7 11=0x4000000 R4096 = 0x12c
+ A 06 n=0xffffffff 10=7 R4096 = Invalid Namespace or Format
+ A 06 n=4 10=8 R4096 = Success
+ A 06 n=33 10=8 R4096 = Invalid Namespace or Format
+ A 06 n=0 10=0x10 R4096 = Success
+ A 06 n=2 10=0x11 R4096 = Success
+ A 06 n=4 10=0x11 R4096 = Invalid Field in Command
A 06 n=1 10=0x12 R4096 = Success
+ A 06 n=5 10=0x12 R4096 = Invalid Field in Command
A 06 n=0 10=0x13 R4096 = Success
+ A 06 n=0 10=0x14 R4096 = Invalid Field in Command
+ A 06 n=0 10=0x1a 11=0x2000000 R4096 = Success
A 06 n=4 10=0x1b 11=0x1000000 R4096 = Success
+ A 06 n=0 10=0x1c R4096 = Success
+ A 06 n=0 10=0x5001c R4096 = Invalid Field in Command
A 06 n=0 10=0xff R4096 = Invalid Field in Command
# Log pages: each of them, offsets and lengths inside and outside, and whose they are.
+ A 02 n=0xffffffff 10=0xff0000 R1024 = Success
+ A 02 n=0xffffffff 10=0x3ff0001 R4096 = Success
+ A 02 n=0xffffffff 10=0x7f0002 R512 = Success
A 02 n=0 10=0x7f0002 R512 = Success
A 02 n=1 10=0x7f0002 R512 = Success
A 02 n=33 10=0x7f0002 R512 = Invalid Namespace or Format
+ A 02 n=0 10=0x3ff0002 R4096 = Success
A 02 n=0 10=2 12=508 R4 = Success
+ A 02 n=0 10=0x10002 12=508 R8 = Success
A 02 n=0 10=2 12=512 R4 = Invalid Field in Command
A 02 n=0 10=2 12=2 R4 = Invalid Field in Command
+ A 02 n=0 10=2 12=0xfffffffc R4 = Invalid Field in Command
A 02 n=0 10=2 13=1 R4 = Invalid Field in Command
+ A 02 n=0 10=2 12=0xfffffffc 13=0xffffffff R4 = Invalid Field in Command
A 02 n=0 10=2 14=0x800000 R4 = Invalid Field in Command
A 02 n=0 10=2 14=1 R4 = Invalid Field in Command
+ A 02 n=0 10=0xffff0002 R4 = Invalid Field in Command
A 02 n=0 10=0xffff0002 11=0xffff R4 = Invalid Field in Command
+ A 02 n=0 10=0x7f0003 R512 = Success
+ A 02 n=0 10=0x3ff0004 R4096 = Success
+ A 02 n=0 10=4 12=4092 R4 = Success
A 02 n=0 10=4 12=4096 R4 = Invalid Field in Command
+ A 02 n=0 10=0x3ff0005 R4096 = Success
+ A 02 n=0 10=0x3ff0005 14=0x2000000 R4096 = Success
+ A 02 n=0 10=0x3ff0005 14=0xff000000 R4096 = Success
+ A 02 n=0 10=0x8c0006 R564 = Success
+ A 02 n=0 10=6 12=564 R4 = Invalid Field in Command
A 02 n=0 10=0x7f0107 R512 = Success
A 02 n=0 10=0x7f0007 12=512 R512 = Success
A 02 n=0 10=0x7f0007 12=4 R512 = Invalid Field in Command
+ A 02 n=0 10=0x7e0007 R508 = Invalid Field in Command
+ A 02 n=0 10=0x7f0007 12=65536 R512 = Invalid Field in Command
+ A 02 n=0 10=0x7f0008 R512 = Success
+ A 02 n=0 10=0x7f0009 R512 = Invalid Log Page
A 02 n=0 10=0x7f000d R512 = Command Sequence Error
A 02 n=0 10=0x7f010d R512 = Success
A 02 n=0 10=0x7f010d R512 = Command Sequence Error
A 02 n=0 10=0xd 12=508 R4 = Success
+ A 02 n=0 10=0xd 12=2 R4 = Invalid Field in Command
A 02 n=0 10=0x20d R4 = Success
+ A 02 n=0 10=0xd R4 = Command Sequence Error
+ A 02 n=0 10=0xff0012 R1024 = Success
+ A 02 n=0 10=0xff0013 R1024 = Success
+ A 02 n=0 10=0xf0080 R64 = Success
A 02 n=0 10=0x7f0081 R512 = Success
+ A 02 n=0 10=0x81 12=512 R4 = Invalid Field in Command
A 02 n=3 10=0x3ff00bf R4096 = Success
A 02 n=1 10=0x3ff00bf R4096 = Invalid Field in Command
+ A 02 n=5 10=0x3ff00bf R4096 = Invalid Field in Command
A 02 n=33 10=0x3ff00bf R4096 = Invalid Namespace or Format
+ A 02 n=0xffffffff 10=0x3ff00bf R4096 = Invalid Namespace or Format
A 02 n=0 10=0xc5 R4 = Invalid Log Page
# Features.
+ A 0a n=0 10=7 = Success
A 0a n=0 10=0xbf = Invalid Field in Command
A 0a n=0 10=0x407 = Invalid Field in Command
+ A 0a n=0 10=0x306 = Success
A 0a n=0 10=4 11=0x10000 = Invalid Field in Command
+ A 0a n=0 10=9 11=0xffff = Invalid Field in Command
+ A 0a n=3 10=5 = Success
A 0a n=4 10=5 = Invalid Field in Command
+ A 0a n=5 10=5 = Invalid Field in Command
+ A 0a n=0 10=5 = Invalid Namespace or Format
A 0a n=33 10=5 = Invalid Namespace or Format
+ A 0a n=0xffffffff 10=5 = Invalid Namespace or Format
+ A 0a n=4 10=0x20 = Success
+ A 0a n=1 10=0x20 = Invalid Field in Command
+ A 0a n=0 10=0xe R8 = Success
+ A 0a n=0 10=0x81 11=1 R16 = Success
+ A 0a n=1 10=0x82 = Success
+ A 0a n=5 10=0x83 = Invalid Field in Command
A 09 n=0 10=0x8000000e Wzeros8 = Feature Identifier Not Saveable
+ A 09 n=0 10=2 11=2 = Success
+ A 09 n=0 10=2 11=0 = Success
+ A 09 n=0 10=2 11=3 = Invalid Field in Command
+ A 09 n=0 10=4 11=0x3ff0000 = Invalid Field in Command
A 09 n=1 10=4 11=0x157 = Feature Not Namespace Specific
A 09 n=0 10=6 11=2 = Invalid Field in Command
+ A 09 n=0 10=9 11=0xffff = Invalid Field in Command
+ A 09 n=0 10=0xb 11=0x10000000 = Invalid Field in Command
+ A 09 n=1 10=5 11=0x10000 = Invalid Field in Command
A 09 n=33 10=5 11=1 = Invalid Namespace or Format
A 09 n=5 10=5 11=1 = Invalid Field in Command
+ A 09 n=2 10=5 11=7 = Success
+ A 09 n=2 10=5 11=0 = Success
+ A 09 n=1 10=0x20 11=1 = Invalid Field in Command
+ A 09 n=0 10=0xbf = Invalid Field in Command
# Queues: none is made or deleted.
A 01 10=0 11=1 = Invalid Queue Identifier
+ A 01 10=0xff0001 11=1 = Invalid Queue Identifier
+ A 01 10=0xffff 11=1 = Invalid Queue Identifier
+ A 05 10=0 11=1 = Invalid Queue Identifier
+ A 05 10=0xffff 11=1 = Invalid Queue Identifier
+ A 00 10=0 = Invalid Queue Identifier
+ A 00 10=0xffff = Invalid Queue Identifier
+ A 04 10=0 = Invalid Queue Identifier
+ A 04 10=0xffff = Invalid Queue Identifier
A 04 10=1 = Invalid Queue Deletion
A 08 10=0 = Success
+ A 08 10=0xffff0001 = Success
+ A 08 10=0xffff = Success
# Namespaces: nothing is created, deleted or attached.
A 0d n=0 10=2 = Invalid Field in Command
+ A 0d n=0 10=0 Wnothing = Invalid Field in Command
A 0d n=0 10=0 Wtwo_capacities = Thin Provisioning Not Supported
A 0d n=0 10=0 Wno_format = Invalid Format
+ A 0d n=0 10=0 Wsharing = Invalid Field in Command
A 0d n=0 10=0 Whuge = Namespace Insufficient Capacity
+ A 0d n=0 10=0 11=0x2000000 Wtwo_capacities = Invalid Field in Command
A 0d n=0 10=0 11=0x3000000 Whuge = 0x129
A 0d n=0 10=1 = Invalid Namespace or Format
+ A 0d n=5 10=1 = Invalid Field in Command
+ A 0d n=33 10=1 = Invalid Namespace or Format
+ A 15 n=1 10=2 Wthis_controller = Invalid Field in Command
A 15 n=1 10=0 Wthis_controller = Namespace Already Attached
A 15 n=1 10=1 Wanother_controller = Controller List Invalid
+ A 15 n=1 10=1 Wnothing = Controller List Invalid
A 15 n=5 10=0 Wthis_controller = Invalid Field in Command
+ A 15 n=0 10=0 Wthis_controller = Invalid Namespace or Format
+ A 15 n=0xffffffff 10=1 Wthis_controller = Invalid Namespace or Format
# Format and Sanitize, of nothing.
A 80 n=1 10=2 = Invalid Format
+ A 80 n=1 10=0x1001 = Invalid Format
A 80 n=4 10=1 = Invalid Format
+ A 80 n=1 10=0x20 = Invalid Format
A 80 n=1 10=0x600 = Invalid Field in Command
+ A 80 n=5 10=0 = Invalid Field in Command
A 80 n=0 10=0 = Invalid Namespace or Format
+ A 80 n=33 10=0 = Invalid Namespace or Format
+ A 84 n=0 10=0 = Invalid Field in Command
+ A 84 n=0 10=5 = Invalid Field in Command
+ A 84 n=0 10=1 = Success
# LBA status: of all LBAs, of some, and of none that there are.
A 86 n=1 12=1023 13=0x11000000 R4096 = Success
+ A 86 n=3 10=8 12=1023 13=0x10000008 R4096 = Success
A 86 n=1 12=1023 R4096 = Invalid Field in Command
+ A 86 n=1 10=0xffffffff 11=0xffffffff 12=1023 13=0x10000001 R4096 = LBA Out of Range
+ A 86 n=33 12=1023 13=0x11000000 R4096 = Invalid Namespace or Format
# Self-test, firmware, directives.
A 14 n=0 10=5 = Invalid Field in Command
+ A 14 n=5 10=1 = Invalid Field in Command
+ A 14 n=33 10=1 = Invalid Namespace or Format
A 14 n=1 10=1 = Success
A 14 n=1 10=1 = Device Self-test In Progress
A 14 n=1 10=0xf = Success
+ A 11 10=249 Wfirmware_piece = Invalid Field in Command
+ A 11 10=1023 11=1 Wblock = Invalid Field in Command
A 11 10=1023 11=0x40000 Wblock = Invalid Field in Command
A 11 10=1023 Wblock = Success
A 11 10=1023 Wblock = Overlapping Range
A 10 10=1 = Invalid Firmware Slot
+ A 10 10=0x17 = Invalid Firmware Slot
A 10 10=0x13 = Invalid Firmware Image
+ A 10 10=0x30 = Invalid Field in Command
A 1a n=1 10=1023 11=1 R4096 = Success
A 1a n=0xffffffff 10=1023 11=1 R4096 = Invalid Field in Command
+ A 1a n=33 10=1023 11=1 R4096 = Invalid Namespace or Format
+ A 1a n=5 10=1023 11=1 R4096 = Invalid Field in Command
+ A 1a n=1 10=7 11=0x101 R32 = Invalid Field in Command
+ A 1a n=1 10=7 11=0x201 R32 = Invalid Field in Command
A 19 n=1 11=1 12=0x201 = Invalid Field in Command
+ A 19 n=1 11=0x101 = Invalid Field in Command
A 19 n=4 11=1 12=0x101 = Invalid Field in Command
# What there is not.
+ A 03 = Invalid Command Opcode
+ A 07 = Invalid Command Opcode
+ A 18 = Invalid Command Opcode
+ A 1c = Invalid Command Opcode
+ A 7f = Invalid Command Opcode
+ A 81 Wzeros = Invalid Command Opcode
+ A 82 R512 = Invalid Command Opcode
+ A c0 = Invalid Command Opcode
A ff = Invalid Command Opcode
ROWS
}

# block_rows NSID LBAS: what all namespaces with LBAs have. The first ones have been written; sectors are of 512 bytes.
block_rows() {
    local last=$(($2 - 1)) more=''
    (($1 == 1)) || more='+ '
    cat <<ROWS
${more}$1 02 10=0 R512 = Success
$1 02 10=$last R512 = Success
$1 02 10=$2 R512 = LBA Out of Range
${more}$1 02 10=$last 12=1 R1024 = LBA Out of Range
+ $1 02 11=1 R512 = LBA Out of Range
${more}$1 02 10=0xffffffff 11=0xffffffff R512 = LBA Out of Range
${more}$1 02 10=0 12=0xffff R512 = Invalid Field in Command
$1 01 10=$2 Wsector = LBA Out of Range
+ $1 01 11=0x80000000 Wsector = LBA Out of Range
${more}$1 01 10=0 12=0xffff Wsector = Invalid Field in Command
${more}$1 05 10=0 Wsector = Success
$1 05 10=0 Wzeros = Compare Failure
+ $1 05 10=$2 Wzeros = LBA Out of Range
${more}$1 0c 10=0 12=7 = Success
${more}$1 0c 10=$last 12=1 = LBA Out of Range
${more}$1 08 10=$2 = LBA Out of Range
+ $1 04 10=$2 = LBA Out of Range
${more}$1 09 10=0 11=4 Wrange_$1 = Success
$1 09 10=0 11=4 Wrange_beyond_$1 = LBA Out of Range
${more}$1 09 10=0 11=4 Wrange_long = Success
${more}$1 09 10=32 11=4 Wrange_long = Success
${more}$1 09 10=0 11=1 Wrange_beyond_$1 = Success
${more}$1 19 10=0 12=0x200 Wcopy = Invalid Field in Command
${more}$1 19 10=0 12=32 Wcopy = Command Size Limit Exceeded
$1 19 10=$2 Wcopy = LBA Out of Range
${more}$1 19 10=0 Wcopy_beyond_$1 = LBA Out of Range
${more}$1 00 = Success
${more}$1 0e 10=1023 11=1 R4096 = Success
$1 0d 10=1 Wkeys = Reservation Conflict
+ $1 11 10=0x100 Wkeys = Reservation Conflict
${more}$1 15 10=0x100 Wkey = Reservation Conflict
+ $1 0d 10=7 Wkeys = Invalid Field in Command
${more}$1 03 = Invalid Command Opcode
$1 10 = Invalid Command Opcode
+ $1 14 = Invalid Command Opcode
+ $1 81 Wzeros = Invalid Command Opcode
${more}$1 7f = Invalid Command Opcode
+ $1 ff = Invalid Command Opcode
ROWS
}

# Where any LBA can be written.
conventional_rows() {
    local more=''
    (($1 == 1)) || more='+ '
    cat <<ROWS
${more}$1 01 10=8 Wsector = Success
${more}$1 04 10=8 = Success
${more}$1 02 10=8 R512 = Unrecovered Read Error
${more}$1 05 10=8 Wsector = Unrecovered Read Error
${more}$1 0c 10=8 = Unrecovered Read Error
$1 02 10=7 R512 = Success
${more}$1 08 10=8 = Success
${more}$1 05 10=8 Wzeros = Success
${more}$1 19 10=8 Wcopy = Success
${more}$1 05 10=8 Wsector = Success
${more}$1 01 10=0 12=0x100000 13=0x50000 Wsector = Invalid Field in Command
${more}$1 79 13=1 = Invalid Command Opcode
$1 7a 12=15 R64 = Invalid Command Opcode
${more}$1 7d Wsector = Invalid Command Opcode
ROWS
}

# zoned_rows NSID LBAS ZONE_LBAS: two zones can be open, three active; the first one has been written to.
zoned_rows() {
    local second=$3 third=$((2 * $3)) fourth=$((3 * $3))
    cat <<ROWS
$1 7a 12=1023 R4096 = Success
+ $1 7a 10=$fourth 12=15 13=0x10100 R64 = Success
$1 7a 10=$2 12=15 R64 = LBA Out of Range
+ $1 7a 11=0x80000000 12=15 R64 = LBA Out of Range
$1 7a 12=15 13=0x800 R64 = Invalid Field in Command
+ $1 7a 12=15 13=1 R64 = Invalid Field in Command
$1 7a 12=15 13=5 R64 = Invalid Field in Command
$1 7a 12=0xffffffff R64 = Invalid Field in Command
$1 01 10=0 Wsector = Zone Invalid Write
$1 01 10=$((second + 8)) Wsector = Zone Invalid Write
+ $1 08 10=$((second + 8)) = Zone Invalid Write
$1 02 10=$((second - 1)) 12=1 R1024 = Zoned Boundary Error
$1 7d 10=$second Wsector = Success
$1 7d 10=$((second + 1)) Wsector = Invalid Field in Command
+ $1 7d 10=$2 Wsector = LBA Out of Range
$1 79 10=$((second + 1)) 13=3 = Invalid Field in Command
$1 79 10=$2 13=3 = LBA Out of Range
+ $1 79 10=$second 13=0 = Invalid Field in Command
$1 79 10=$second 13=9 = Invalid Field in Command
$1 79 10=$third 13=1 = Invalid Zone State Transition
+ $1 79 10=$third 13=5 = Invalid Zone State Transition
$1 79 10=$second 13=0x11 = Invalid Zone Operation Request
$1 79 10=$second 13=3 = Success
$1 79 10=0 13=3 = Success
$1 79 10=$third 13=3 = Too Many Open Zones
$1 79 10=$second 13=1 = Success
$1 79 10=$third 13=3 = Success
$1 79 10=$third 13=1 = Success
$1 79 10=$fourth 13=3 = Too Many Active Zones
$1 7d 10=$fourth Wsector = Too Many Active Zones
$1 79 10=$second 13=2 = Success
$1 01 10=$((second + 1)) Wsector = Zone Is Full
+ $1 7d 10=$second Wsector = Zone Is Full
$1 79 10=$second 13=3 = Invalid Zone State Transition
$1 79 10=$second 13=4 = Success
$1 79 10=0 13=0x104 = Success
$1 79 10=0 13=0x101 = Success
ROWS
}

# A key of three bytes, "key", is 0x79656b.
pair_rows() {
    cat <<'ROWS'
4 01 2=0x79656b 10=512 11=3 Wsector = Success
4 01 2=0x79656b 10=512 11=0x203 Wsector = 0x89
4 01 2=0x79656c 10=512 11=0x103 Wsector = 0x87
4 01 2=0x79656b 10=0x200001 11=3 Wsector = 0x85
4 01 10=512 Wsector = 0x86
+ 4 01 10=512 11=17 Wsector = Invalid Field in Command
4 02 2=0x79656b 10=512 11=3 R512 = Success
4 02 2=0x79656c 10=512 11=3 R512 = 0x87
+ 4 02 10=512 11=0 R512 = 0x86
4 14 2=0x79656b 11=3 = Success
4 14 2=0x79656b 11=2 = 0x87
+ 4 14 11=255 = Invalid Field in Command
4 06 2=0x79656b 10=64 11=3 R64 = Success
+ 4 06 10=64 R64 = Success
4 10 2=0x79656b 11=3 = Success
4 10 2=0x79656b 11=3 = Success
+ 4 10 11=0 = 0x86
4 00 = Success
4 0e 10=1023 11=1 R4096 = Success
+ 4 0d 10=1 Wkeys = Reservation Conflict
4 05 Wsector = Invalid Command Opcode
4 09 11=4 Wrange_long = Invalid Command Opcode
+ 4 79 = Invalid Command Opcode
4 7f = Invalid Command Opcode
4 b3 11=2 12=0x79656b = 0x310
+ 4 b3 11=255 = 0x303
ROWS
}

check "all namespaces are there" test -c "${devices[1]}" -a -c "${devices[2]}" -a -c "${devices[3]}" -a -c "${devices[4]}"
sweep < <(admin_rows)

# One range is longer than 4096 LBAs, and there are more than 32.
file range_long 528 4:0 4:4097 8:64
file keys 16 8:1 8:2
file key 8 8:1
file copy 32 8:0 8:0 2:0
for nsid in 1 2 3; do
    block=$(namespace_device "$nsid")
    lbas=$(blockdev --getsz "$block")
    file "range_$nsid" 16 4:0 4:8 8:64
    file "range_beyond_$nsid" 16 4:0 4:8 8:$((lbas - 7))
    file "copy_beyond_$nsid" 32 8:0 8:"$lbas" 2:0
    check "the first LBAs of namespace $nsid can be written" \
        nvme write "$block" --start-block=0 --block-count=0 --data-size=512 --data="$scratch/sector"
    sweep < <(block_rows "$nsid" "$lbas")
done
sweep < <(conventional_rows 1; conventional_rows 2; zoned_rows 3 "$lbas" "$(<"/sys/block/$(basename "$block")/queue/chunk_sectors")"; pair_rows)

# After all that, each namespace does its work.
for nsid in 1 2; do
    check "namespace $nsid is sound" fio --name=sound --filename="$(namespace_device "$nsid")" --size=4m --bs=4k --rw=randwrite --direct=1 \
        --ioengine=libaio --iodepth=16 --verify=crc32c --output="$scratch/fio"
done
order_zone_writes "$block"
check "namespace 3 is sound" fio --name=sound --filename="$block" --zonemode=zbd --size=1z --io_size=4m --bs=4k --rw=write --direct=1 --ioengine=libaio \
    --iodepth=4 --verify=crc32c --output="$scratch/fio"
check "namespace 4 is sound" "$NVMEV_COMMAND" kv bench "${devices[4]}" --keys 100 --value-bytes 100 --threads 1
check "and everything outlives a reset" nvme reset "$controller"
check_equal "with all namespaces" 4 "$(nvme list-ns "$controller" | grep -c '0x')"
finish
