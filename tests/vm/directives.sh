#!/bin/bash
# The directives of a namespace with nvme-cli: streams are enabled, written to and closed.
. "$(dirname "$0")/lib.sh"

device=$(block_device)

# The parameters, or the open streams, of the Streams Directive.
streams() {
    nvme dir-receive "$device" --namespace-id=1 --dir-type=1 --dir-oper="$1" --data-len="$2" --human-readable 2>&1
}

# shellcheck disable=SC2317,SC2329 # called by `check`
write_to_stream() {
    nvme write "$device" --start-block=0 --block-count=0 --data-size=4096 --data=/dev/zero --dir-type=1 --dir-spec="$1"
}

check_matches "streams are supported" 'Stream Directive *: supported' \
    "$(nvme dir-receive "$device" --namespace-id=1 --dir-type=0 --dir-oper=1 --data-len=4096 --human-readable 2>&1)"
check "a write to a stream is refused" fails write_to_stream 5
check "streams are enabled" nvme dir-send "$device" --namespace-id=1 --dir-type=0 --dir-oper=1 --target-dir=1 --endir=1
check_matches "64 streams at most" 'MSL.*: 64|Max Streams Limit.*: *64' "$(streams 1 32)"
check "a write to a stream" write_to_stream 5
check_matches "it is open" '(Open Stream Count|Open Stream count).*: *1' "$(streams 2 128)"
check "streams for the namespace alone" \
    nvme dir-receive "$device" --namespace-id=1 --dir-type=1 --dir-oper=3 --req-resource=4
check "and back" nvme dir-send "$device" --namespace-id=1 --dir-type=1 --dir-oper=2
check "the stream is closed" nvme dir-send "$device" --namespace-id=1 --dir-type=1 --dir-oper=1 --dir-spec=5
check "streams are disabled" nvme dir-send "$device" --namespace-id=1 --dir-type=0 --dir-oper=1 --target-dir=1 --endir=0
check "a write to a stream is refused again" fails write_to_stream 5
finish
