#!/bin/sh
# Searches twice: once left alone, once killed with SIGKILL at random instants
# and resumed. Of every four kills one falls anywhere from the start of the process,
# two once it has begun a trial, and one as soon as a rung has ended or the ratio
# was chosen. The rungs, the choice, all that was found and the best model's weights
# must come out the same, and no trial that had ended may be done again. A search
# that ends before it has been killed often enough is compared and begun anew.
#
#	kill-search.sh [--kills N]      default 10
#
# BASE, DATA, THREADS and FLAGS choose the search, EFFNET the program.
set -eu
cd "$(dirname "$0")/.."
. scripts/kills.sh
base=${BASE:-small_300k} data=${DATA:-fashion-mnist} threads=${THREADS:-2}
flags=${FLAGS:---networks 7 --epochs 3 --rungs 2 --train-images 400 --validation 0.02 --noise-seeds 2 --fresh-seeds 1 --finalists 2 --validate 2 --final-seeds 1}

# run OUT [FLAG...]: a search that goes on where there is one.
run() {
	out=$1
	shift
	# shellcheck disable=SC2086
	exec "$effnet" search "$base" --data "$data" $flags --threads "$threads" --out "$out" --resume "$@"
}

# content RUN: the rungs and the choice, what was found, without what depends on
# time and attempts, and the best model.
content() {
	sed -nE '/"kind":"(rung|choice)"/ { s/"seq":[0-9]*,//; s/"time":"[^"]*",//; s/,"sum":"[^"]*"//; p; }' "$1/ledger.jsonl"
	"$effnet" report "$1" --json |
		awk '/^  "timing": \{/ { exit } !/^ *"(seconds|attempts)":/'
	sha256sum <"$1/model.safetensors"
}

# again RUN: trials that were done once more after they had ended.
again() {
	sed -nE 's/.*"kind":"finish".*"trial":"([^"]*)".*/\1/p' "$1/ledger.jsonl" | sort | uniq -d
}

echo "searching from $base on $data, left alone" >&2
began=$(date +%s.%N)
(run "$dir/whole" --checkpoint-every 200ms) >"$dir/out" 2>"$dir/err" || { cat "$dir/err" >&2; exit 1; }
took=$(echo "$began $(date +%s.%N)" | awk '{ print $2 - $1 }')
echo "took $took s; now with $kills kills" >&2
content "$dir/whole" >"$dir/whole.txt"

# compare RUN: ends the script where it differs from the uninterrupted one.
compare() {
	content "$1" >"$dir/cut.txt"
	if ! cmp -s "$dir/whole.txt" "$dir/cut.txt"; then
		echo "FAIL: the killed and resumed search differs"
		diff "$dir/whole.txt" "$dir/cut.txt" | head -n 20
		exit 1
	fi
	[ -z "$(again "$1")" ] || { echo "FAIL: done again: $(again "$1")"; exit 1; }
}

# lines KIND: how many lines of the ledger are of that kind.
lines() {
	grep -c "\"kind\":\"$1\"" "$dir/cut/ledger.jsonl" 2>/dev/null || :
}

# open: trials that have a start but no finish in the ledger, over all attempts.
open_trials() {
	starts=$(lines start) finishes=$(lines finish)
	echo $((${starts:-0} - ${finishes:-0}))
}

# settled: how many rungs have ended, and the choice.
settled() {
	rungs=$(lines rung) choices=$(lines choice)
	echo $((${rungs:-0} + ${choices:-0}))
}

# another_rung SECONDS: whether another rung ends, or the ratio is chosen, while $pid
# runs and before so many seconds have passed.
another_rung() {
	had=$(settled)
	until=$(($(date +%s) + $1))
	while kill -0 $pid 2>/dev/null && [ "$(date +%s)" -lt "$until" ]; do
		[ "$(settled)" -le "$had" ] || return 0
		sleep 0.01
	done
	return 1
}

# a_trial: waits until $pid has begun a trial, or has ended.
a_trial() {
	had=$(lines start)
	while kill -0 $pid 2>/dev/null && [ "$(lines start)" = "$had" ]; do
		sleep 0.01
	done
}

killed=0 inside=0 between=0
while [ "$killed" -lt "$kills" ]; do
	before=$(open_trials)
	run "$dir/cut" --checkpoint-every 200ms >"$dir/out" 2>"$dir/err" &
	pid=$!
	at_rung=
	if [ $((killed % 4)) = 3 ]; then
		another_rung 60 && at_rung=1
	else
		[ $((killed % 4)) = 0 ] || a_trial
		# Any instant of a quarter of a search, so that one is killed in many places.
		sleep "$(random 0.05 "$(echo "$took" | awk '{ print $1 / 4 }')")"
	fi
	kill -9 $pid 2>/dev/null || :
	status=0
	wait $pid 2>/dev/null || status=$?
	pid=
	if [ "$status" = 137 ]; then
		killed=$((killed + 1))
		where="outside a trial"
		if [ "$(open_trials)" -gt "$before" ]; then
			inside=$((inside + 1))
			where="inside a trial"
		fi
		if [ -n "$at_rung" ]; then
			between=$((between + 1))
			where="$where, as a rung ended"
		fi
		ended=$(lines finish)
		echo "kill $killed: $where, ${ended:-0} trials had ended" >&2
	else
		[ "$status" = 0 ] || { cat "$dir/err" >&2; echo FAIL; exit 1; }
		echo "ended before kill $((killed + 1)); once more from the start" >&2
		compare "$dir/cut"
		rm -rf "$dir/cut"
	fi
done
(run "$dir/cut" --checkpoint-every 200ms) >"$dir/out" 2>"$dir/err" || { cat "$dir/err" >&2; echo FAIL; exit 1; }
compare "$dir/cut"
# Kills that meet only start-up prove nothing.
[ $((inside * 2)) -ge "$kills" ] || { echo "FAIL: only $inside of $kills kills fell inside a trial; nothing is shown"; exit 1; }
[ "$between" -gt 0 ] || [ "$kills" -lt 8 ] || { echo "FAIL: no kill fell as a rung ended"; exit 1; }
echo "PASS: $kills kills, $inside inside a trial, $between as a rung ended; rungs, choice, results and model $(tail -n 1 "$dir/cut.txt" | head -c 16)... equal the uninterrupted search's"
