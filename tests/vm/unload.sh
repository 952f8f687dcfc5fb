#!/bin/bash
# The end of a drive that was in use: nothing of the module stays, and it can be loaded again.
. "$(dirname "$0")/lib.sh"

check "unload" unload
total=$(meminfo MemTotal)
check "nothing is left" nothing_left "$total"
check "load again" load
check "with a drive that can be read" dd if="$(block_device)" of=/dev/null bs=4k count=64 iflag=direct status=none
check "unload again" unload
check "nothing is left again" nothing_left "$total"
finish
