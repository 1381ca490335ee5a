#!/bin/sh
# What a second worker brings: the same search with one trial at a time and with
# two, one thread each, and the time between its first start and its last end of
# a trial. Wants a machine with two idle cores; alternates, and takes the best of
# each.
#
#	bench-workers.sh [ROUNDS]     default 3
#
# BASE, DATA and FLAGS choose the search, EFFNET the program.
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-3}
effnet=${EFFNET:-bin/effnet}
base=${BASE:-small_300k} data=${DATA:-fashion-mnist}
flags=${FLAGS:---networks 8 --seeds 2 --epochs 2 --train-images 4000 --validate 0}
[ -x "$effnet" ] || { echo "no $effnet: run make build first" >&2; exit 2; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

# moment KIND WHICH RUN: when the first or last event of a kind was, in seconds.
moment() {
	at=$(grep "\"kind\":\"$1\"" "$3/ledger.jsonl" | $2 -n 1 | sed -E 's/.*"time":"([^"]*)".*/\1/')
	date -d "$at" +%s.%3N
}

# round WORKERS: one search; prints its seconds.
round() {
	rm -rf "$dir/run"
	# shellcheck disable=SC2086
	"$effnet" search "$base" --data "$data" $flags --workers "$1" --threads "$1" --out "$dir/run" >"$dir/out" 2>&1 || { cat "$dir/out" >&2; exit 1; }
	echo "$(moment start head "$dir/run") $(moment finish tail "$dir/run")" | awk '{ printf "%.2f", $2 - $1 }'
}

one= two=
i=0
while [ "$i" -lt "$rounds" ]; do
	i=$((i + 1))
	a=$(round 1)
	b=$(round 2)
	echo "round $i: one worker $a s, two workers $b s" >&2
	one=$(echo "$a ${one:-$a}" | awk '{ print $1 < $2 ? $1 : $2 }')
	two=$(echo "$b ${two:-$b}" | awk '{ print $1 < $2 ? $1 : $2 }')
done
echo "$one $two" | awk '{ r = $1 / $2; printf "one worker %.2f s, two workers %.2f s: %.2f times the throughput\n", $1, $2, r; exit r < 1.8 }' ||
	{ echo "FAIL: want at least 1.8"; exit 1; }
