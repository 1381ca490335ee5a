#!/bin/sh
# What a second worker brings: the same search with one trial at a time and with
# two, one thread each, and the time between its first start and its last end of
# a trial. Wants a machine with two idle cores; alternates, and takes the best of
# each. What two searches side by side bring, which share nothing but the machine,
# is the most that two workers can. Trials are short, and where the search waits
# for the last of them one worker is idle: so there are 52.
#
#	bench-workers.sh [ROUNDS]     default 3
#
# BASE, DATA and FLAGS choose the search, EFFNET the program.
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-3}
effnet=${EFFNET:-bin/effnet}
base=${BASE:-small_300k} data=${DATA:-fashion-mnist}
flags=${FLAGS:---networks 16 --seeds 2 --epochs 2 --train-images 4000 --validate 0}
[ -x "$effnet" ] || { echo "no $effnet: run make build first" >&2; exit 2; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

# moment KIND WHICH RUN: when the first or last event of a kind was, in seconds.
moment() {
	at=$(grep "\"kind\":\"$1\"" "$3/ledger.jsonl" | $2 -n 1 | sed -E 's/.*"time":"([^"]*)".*/\1/')
	date -d "$at" +%s.%3N
}

# run WORKERS OUT: one search.
run() {
	rm -rf "$2"
	# shellcheck disable=SC2086
	"$effnet" search "$base" --data "$data" $flags --workers "$1" --threads "$1" --out "$2" >"$2.log" 2>&1 || { cat "$2.log" >&2; exit 1; }
}

# span RUN: seconds of its trainings.
span() {
	echo "$(moment start head "$1") $(moment finish tail "$1")" | awk '{ printf "%.2f", $2 - $1 }'
}

# best A B: the smaller one.
best() {
	echo "$1 $2" | awk '{ print $1 < $2 ? $1 : $2 }'
}

one='' two='' pair=''
i=0
while [ "$i" -lt "$rounds" ]; do
	i=$((i + 1))
	run 1 "$dir/a"
	a=$(span "$dir/a")
	run 2 "$dir/a"
	b=$(span "$dir/a")
	run 1 "$dir/a" &
	run 1 "$dir/b"
	wait $!
	c=$(echo "$(span "$dir/a") $(span "$dir/b")" | awk '{ printf "%.2f", ($1 + $2) / 2 }')
	echo "round $i: one worker $a s, two workers $b s, two searches of one worker $c s" >&2
	one=$(best "$a" "${one:-$a}") two=$(best "$b" "${two:-$b}") pair=$(best "$c" "${pair:-$c}")
done
echo "$one $two $pair" | awk '{
	r = $1 / $2
	printf "one worker %.2f s, two workers %.2f s: %.2f times the throughput; two searches side by side %.2f times\n", $1, $2, r, 2 * $1 / $3
	exit r < 1.8
}' || { echo "FAIL: want at least 1.8"; exit 1; }
