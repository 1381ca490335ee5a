#!/bin/sh
# Kills worker processes and pauses them for longer than the ack wait, damages
# the store of a queue, and kills the nodes of a three-node cluster in turn, all
# at random instants. Every trial must be recorded exactly once, with the bits it
# has without faults, and what comes late must be refused. All happens on the
# loopback interface.
#
#	fault-workers.sh [FAULTS]     default 500: workers killed and paused
#
# CORRUPTIONS is how often each kind of damage is done to the store, default 10.
set -eu
cd "$(dirname "$0")/.."
faults=${1:-500}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

go test -c -o "$dir/queue.test" ./search/queue

# check TEST [FLAG...]: one test; prints what it counted.
check() {
	name=$1
	shift
	echo "$name $*" >&2
	if ! "$dir/queue.test" -test.run "^$name\$" -test.v -test.timeout 60m "$@" >"$dir/log" 2>&1; then
		tail -n 40 "$dir/log"
		echo "FAIL: $name"
		exit 1
	fi
	sed -n 's/^ *[a-z_]*\.go:[0-9]*: \(.*{Refused.*\)/  \1/p' "$dir/log" | sort | uniq -c
}

check TestFaults -faults "$faults"
check TestZombie
check TestKiller
check TestCorruptStore -corruptions "${CORRUPTIONS:-10}"
check TestCluster -faults "$faults"
check TestSearch -faults "$faults"
echo "PASS: $faults workers killed or paused; every trial recorded once"
