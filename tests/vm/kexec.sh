#!/bin/bash
# kexec with a drive under load: the next kernel has all memory, and nothing of the drive disturbs it. It loads the module itself.
#
# The script runs once under each kernel, in the same VM: the folder that it shares with the host tells it what was before. Variables from
# outside: NVMEV_KEXEC, NVMEV_IMAGE, NVMEV_INITRAMFS.
. "$(dirname "$0")/lib.sh"

past=/run/nvmev-vm/kexec
mkdir -p "$past"
# The two system calls: kexec_file_load, and kexec_load with the memory map that the program finds.
calls=(--kexec-file-syscall --kexec-syscall)
turn=$(find "$past" -name 'turn-*' | wc -l)

if [[ $turn -eq 0 ]]; then
    meminfo MemTotal >"$past/memory"
else
    read -r before <"$past/memory"
    now=$(meminfo MemTotal)
    difference=$((before > now ? before - now : now - before))
    # The kernel finds other places for its own tables. The drive had 1 GiB.
    check "after kexec ${calls[turn - 1]}, the kernel has all $((before / 1024)) MiB again ($((now / 1024)))" test $difference -lt $((32 * 1024))
    check "and no drive" fails pci_function
fi
check "load" load size=1G cpus=1,2 idle_timeout_us=20 || finish
check "the drive works" dd if="$(block_device)" of=/dev/null bs=4k count=16 iflag=direct status=none
if [[ $turn -lt ${#calls[@]} ]]; then
    check "the next kernel is loaded with ${calls[turn]}" "$NVMEV_KEXEC" "${calls[turn]}" --load "$NVMEV_IMAGE" \
        --initrd="$NVMEV_INITRAMFS" --reuse-cmdline
    touch "$past/turn-$turn"
    fio --name=load --filename="$(block_device)" --ioengine=libaio --iodepth=16 --direct=1 --rw=randwrite --bs=4k --time_based \
        --runtime=600 --output=/dev/null &
    # Long enough for the load to begin, and for what was printed to reach the host.
    sleep 3
    "$NVMEV_KEXEC" --exec
    sleep 60
    not_ok "the next kernel starts" "this one still runs"
    finish
fi
check "unload" unload
finish
