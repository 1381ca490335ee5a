#!/bin/sh
# Trains a network once, left alone, and then again and again: each run is
# killed with SIGKILL at an instant drawn evenly from its processor time, which
# other work on the machine does not stretch, from when the data is read and the
# run folder locked; every fourth once more while it is resumed; and resumed to its
# end with another number of threads. Weights, the best epoch's weights, metrics
# and summary must come out as the first's, with nothing half-written left. Every
# other run saves a checkpoint after every step, so that many kills fall inside a
# save. Linux only.
#
#	kill-train.sh [--kills N]      runs to kill, default 10
#
# NET, DATA, IMAGES, EPOCHS and ARGS, more flags of train, choose the job, EFFNET
# the program.
set -eu
cd "$(dirname "$0")/.."
. scripts/kills.sh
net=${NET:-small_300k} data=${DATA:-fashion-mnist} images=${IMAGES:-1000} epochs=${EPOCHS:-3}

# content RUN: all that must be equal; fields of time are left out.
content() {
	sha256sum <"$1/model.safetensors"
	sha256sum <"$1/best.safetensors"
	sed -E 's/,"(images_per_second|data_wait|loader_images_per_second|elapsed_s)":[^,}]*//g' "$1/metrics.jsonl" | sha256sum
	cut -d, -f1-7 "$1/summary.csv" | sha256sum
	ls -A "$1" | grep -E '\.tmp$|\.damaged$' || :
	ls "$1" | grep -c tfevents
}

# start RUN THREADS SAVES: trains in the background, or goes on.
start() {
	if [ -e "$1/config.yaml" ]; then
		"$effnet" train --resume "$1" --threads "$2" $3 >"$dir/out" 2>"$dir/err" &
	else
		rm -rf "$1"
		"$effnet" train "$net" --data "$data" --train-images "$images" --epochs "$epochs" --batch 32 --ema 0.99 --drop-path 0.1 ${ARGS:-} \
			--threads "$2" $3 --out "$1" >"$dir/out" 2>"$dir/err" &
	fi
	pid=$!
}

# finish: the exit status of what start started.
finish() {
	status=0
	wait $pid 2>/dev/null || status=$?
	pid=
}

fail() {
	cat "$dir/err" >&2
	trap - EXIT
	echo "FAIL: $*; see $dir"
	exit 1
}

# spent: sets ticks to the clock ticks that the processors spent on $pid; false
# when it has ended.
spent() {
	read -r stat 2>/dev/null <"/proc/$pid/stat" || return 1
	set -- ${stat##*) } # from the third field on, the state
	[ "$1" != Z ] || return 1
	ticks=$((${12} + ${13}))
}

# begun RUN: waits until the process has locked the run folder; sets from to ticks.
begun() {
	while [ "$(cat "$1/lock" 2>/dev/null)" != "$pid" ] && spent; do sleep 0.005; done
	ticks=0
	spent || :
	from=$ticks
}

# alone RUN SAVES: leaves a run alone and sets took to the ticks of all of it.
alone() {
	start "$1" 1 "$2"
	begun "$1"
	while spent; do sleep 0.005; done
	took=$((ticks - from))
	finish
	[ $status = 0 ] || fail "a run that was left alone ended with $status"
}

# Durations of both kinds of run.
often="--checkpoint-steps 1" rarely="--checkpoint-every 200ms"
alone "$dir/saving" "$often"
tooksaving=$took
alone "$dir/whole" "$rarely"
content "$dir/whole" >"$dir/want"
content "$dir/saving" | cmp -s - "$dir/want" || fail "how often checkpoints are saved makes a difference"
echo "a run takes $took ticks, $tooksaving with a checkpoint every step; now $kills are killed" >&2

run=0 again=0 insave=0 inother=0 pruning=0
# strike LIMIT: kills after a random part of LIMIT ticks; counts where it hit.
# Status 137 if there was something to kill.
strike() {
	begun "$dir/cut"
	until=$(random 0 "$1")
	until=$((from + ${until%.*}))
	while spent && [ $ticks -lt $until ]; do sleep 0.002; done
	sleep "$(random 0 0.02)" # within a tick, or while it waits for the disk
	kill -9 $pid 2>/dev/null || :
	finish
	[ $status = 137 ] || return 0
	if ls -A "$dir/cut" 2>/dev/null | grep -q '^\.ckpt.*tmp$'; then
		insave=$((insave + 1))
	elif ls -A "$dir/cut" 2>/dev/null | grep -q '^\..*tmp$'; then
		inother=$((inother + 1))
	elif [ "$(ls "$dir/cut" 2>/dev/null | grep -c '^ckpt.*bin$')" -gt 3 ]; then
		pruning=$((pruning + 1))
	fi
}

while [ $run -lt "$kills" ]; do
	saves=$rarely limit=$took
	[ $((run % 2)) = 0 ] || saves=$often limit=$tooksaving
	rm -rf "$dir/cut"
	start "$dir/cut" 1 "$saves"
	strike "$limit"
	[ $status = 137 ] || { [ $status = 0 ] || fail "a run ended by itself with $status"; continue; }
	if [ $((run % 4)) = 3 ]; then
		start "$dir/cut" 2 "$saves"
		strike "$limit"
		case $status in 137) again=$((again + 1)) ;; 0) ;; *) fail "a resumed run ended by itself with $status" ;; esac
	fi
	start "$dir/cut" 2 "$rarely"
	finish
	[ $status = 0 ] || fail "a killed run could not be resumed: status $status"
	content "$dir/cut" >"$dir/have"
	cmp -s "$dir/have" "$dir/want" || { diff "$dir/want" "$dir/have" >&2 || :; fail "run $((run + 1)), killed and resumed, differs"; }
	run=$((run + 1))
	[ $((run % 10)) != 0 ] || echo "$run of $kills equal" >&2
done
echo "PASS: $run of $run killed runs end with the same model.safetensors ($(head -c 16 "$dir/want")...), best.safetensors, metrics and summary;" \
	"$((run + again)) kills: $insave inside a checkpoint save, $inother inside another file's, $pruning before old checkpoints were removed"
