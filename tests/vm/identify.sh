#!/bin/bash
# nvme-cli's first screen: everything that a person asks a new drive.
. "$(dirname "$0")/lib.sh"

device=$(block_device)
controller=$(controller)
function=$(pci_function)

check_equal "PCI vendor and device" "0x0c51 0x0110" \
    "$(<"/sys/bus/pci/devices/$function/vendor") $(<"/sys/bus/pci/devices/$function/device")"
# As NVMeVirt's; no other function of the guest is in domain 1. Tools read four digits of a domain.
check_equal "PCI address" 0001:10:00.0 "$function"
check_equal "PCI class" 0x010802 "$(<"/sys/bus/pci/devices/$function/class")"
check_equal "the nvme driver has it" nvme "$(basename "$(readlink "/sys/bus/pci/devices/$function/driver")")"
check "config space can be read to its end" dd if="/sys/bus/pci/devices/$function/config" of=/dev/null bs=4096 count=1

check "nvme list" nvme list
check_matches "nvme list shows it" "$device" "$(nvme list)"
check "id-ctrl" nvme id-ctrl "$controller"
id_ctrl=$(nvme id-ctrl "$controller")
check_matches "vid is PCI's" 'vid +: 0xc51' "$id_ctrl"
check_matches "a serial number" 'sn +: [^ ]' "$id_ctrl"
check_matches "a model number" 'mn +: [^ ]' "$id_ctrl"
check_matches "NVMe 2.0" 'ver +: 0x20000' "$id_ctrl"
check "id-ns" nvme id-ns "$device"
sectors=$(($(blockdev --getsize64 "$device") / $(blockdev --getss "$device")))
check_matches "id-ns has the block device's size" "nsze +: $(printf '0x%x' "$sectors")" "$(nvme id-ns "$device")"
check_matches "list-ns" '0\]:0x1' "$(nvme list-ns "$controller")"
check_matches "ns-descs has an identifier" '(uuid|nguid|eui64)' "$(nvme ns-descs "$device" -n 1)"

check "smart-log" nvme smart-log "$controller"
check_matches "a temperature a drive can have" 'temperature[[:space:]]*: [1-9][0-9][^0-9]' "$(nvme smart-log "$controller")"
check "error-log" nvme error-log "$controller"
check "fw-log" nvme fw-log "$controller"
check "effects-log" nvme effects-log "$controller"
check "supported-log-pages" nvme supported-log-pages "$controller"
check "get-log, part of a page" nvme get-log "$controller" --log-id=2 --log-len=64 --lpo=32
check "a short self-test" nvme device-self-test "$controller" -n 1 -s 1
check_matches "the log says that it is under way" 'operation[[:space:]]*: 0x1' "$(nvme self-test-log "$controller")"
check "no other self-test meanwhile" fails nvme device-self-test "$controller" -n 1 -s 2
check "a self-test can be aborted" nvme device-self-test "$controller" -n 1 -s 0xf
check_matches "the log says that none is under way" 'operation[[:space:]]*: 0[^x]' "$(nvme self-test-log "$controller")"
check_matches "the log has its result" 'Operation Result[[:space:]]*: 0x1' "$(nvme self-test-log "$controller")"
for feature in 1 2 4 6 7 8 9 0xa 0xb 0x80; do
    for select in 0 1 3; do
        check "get-feature $feature, select $select" nvme get-feature "$controller" -f "$feature" -s "$select" -n 0
    done
done
check "get-feature 5, of a namespace" nvme get-feature "$controller" -f 5 -n 1
check_matches "the driver has the power state changed by itself" '\(APSTE\)[^:]*: *Enabled' "$(nvme get-feature "$controller" -f 0xc -H)"
check "host behavior support" nvme get-feature "$controller" -f 0x16
check "smart-log of a namespace" nvme smart-log "$controller" -n 1
check_matches "power states have latencies" 'ps +2 : .*non-operational enlat:2000 exlat:8000' "$(nvme id-ctrl "$controller" | tr '\n' ' ')"
check "the volatile write cache can be switched" nvme set-feature "$controller" -f 6 -v 0
check "and back" nvme set-feature "$controller" -f 6 -v 1
check "an unknown feature is refused" fails nvme get-feature "$controller" -f 0xbf
check "an unknown log page is refused" fails nvme get-log "$controller" --log-id=0xbf --log-len=64
check "an unknown admin command is refused" fails nvme admin-passthru "$controller" --opcode=0xff
check "an unknown I/O command is refused" fails nvme io-passthru "$device" --opcode=0x7f --namespace-id=1
check "a read beyond the end is refused" fails nvme read "$device" --start-block="$sectors" --block-count=0 --data-size=4096
# Elsewhere the kernel keeps a driver's registers from everybody else.
if grep -qw iomem=relaxed /proc/cmdline; then
    check "show-regs" nvme show-regs "$controller"
fi
check "flush" nvme flush "$device"

check "fid-support-effects-log" nvme fid-support-effects-log "$controller"
check "mi-cmd-support-effects-log" nvme mi-cmd-support-effects-log "$controller"


{ printf 'VMTEST01'; head -c $((3 * 4096 - 8)) /dev/urandom; } >"$scratch/image"
built_in=$(nvme id-ctrl "$controller" | awk '/^fr / { print $3 }')
check "fw-commit without an image is refused" fails nvme fw-commit "$controller" -s 2 -a 1
check "fw-download" nvme fw-download "$controller" -f "$scratch/image"
check "a slot that cannot be written is refused" fails nvme fw-commit "$controller" -s 1 -a 3
check "fw-commit, activated at once" nvme fw-commit "$controller" -s 2 -a 3
check_matches "the firmware's revision is the image's" 'fr +: VMTEST01' "$(nvme id-ctrl "$controller")"
check_matches "fw-log has it in its slot" 'afi +: 0x2.*frs2 .*VMTEST01' "$(nvme fw-log "$controller" | tr '\n' ' ')"
check "back to the firmware built in" nvme fw-commit "$controller" -s 1 -a 3
check_equal "which is there again" "$built_in" "$(nvme id-ctrl "$controller" | awk '/^fr / { print $3 }')"

check "telemetry-log" nvme telemetry-log "$controller" -o "$scratch/telemetry"
check "it has what the host did" grep -qaE '^read_commands [1-9]' "$scratch/telemetry"
check "and the queues" grep -qaE '^queue 1$' "$scratch/telemetry"
check "the controller's telemetry-log" nvme telemetry-log "$controller" -c -o "$scratch/telemetry"
check "persistent-event-log, a context" nvme persistent-event-log "$controller" -a 1 -l 512
events=$(nvme persistent-event-log "$controller" -a 0)
check_matches "it has the commits" 'Firmware Commit Event' "$events"
check_matches "and the telemetry" 'Telemetry' "$events"
check "the context can be released" nvme persistent-event-log "$controller" -a 2
check "and is gone then" fails nvme persistent-event-log "$controller" -a 0

before=$(nvme smart-log "$controller" | awk -F: '/^host_read_commands/ { gsub(/[^0-9]/, "", $2); print $2 }')
dd if="$device" of=/dev/null bs=64k count=64 iflag=direct status=none
after=$(nvme smart-log "$controller" | awk -F: '/^host_read_commands/ { gsub(/[^0-9]/, "", $2); print $2 }')
if ((after - before >= 64)); then
    ok "smart-log counts commands"
else
    not_ok "smart-log counts commands" "$before before 64 reads, $after after"
fi

for text in 'Version' 'Storage: ' 'ns [0-9]+/[0-9]+: size' 'Virtual PCI bus created' 'nvmev_dispatcher started on cpu' \
    'Virtual NVMe device created'; do
    check "the log says '$text'" bash -c "dmesg | grep -qE 'NVMeVirt: .*$text'"
done
finish
