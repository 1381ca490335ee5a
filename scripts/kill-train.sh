#!/bin/sh
# Trains a network twice: once left alone, once killed with SIGKILL at random
# instants and resumed. Weights and metrics must come out the same.
#
#	kill-train.sh [KILLS]      default 10
#
# NET, DATA, EPOCHS, THREADS choose the job, EFFNET the program.
set -eu
cd "$(dirname "$0")/.."
kills=${1:-10}
effnet=${EFFNET:-bin/effnet}
net=${NET:-small_300k} data=${DATA:-fashion-mnist} epochs=${EPOCHS:-10} threads=${THREADS:-2}
[ -x "$effnet" ] || { echo "no $effnet: run make build first" >&2; exit 2; }

dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 $pid 2>/dev/null || :; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

# random LOW HIGH: seconds, to the millisecond.
random() {
	od -An -N4 -tu4 /dev/urandom | awk -v low="$1" -v high="$2" '{ printf "%.3f", low + (high - low) * $1 / 4294967296 }'
}

# content RUN: all that must be equal; fields of time are left out.
content() {
	sha256sum <"$1/model.safetensors"
	sed -E 's/,"(images_per_second|data_wait|loader_images_per_second|elapsed_s)":[^,}]*//g' "$1/metrics.jsonl" | sha256sum
}

echo "training $net on $data, $epochs epochs, left alone" >&2
began=$(date +%s.%N)
"$effnet" train "$net" --data "$data" --epochs "$epochs" --threads "$threads" --out "$dir/whole" >"$dir/out" 2>"$dir/err" || { cat "$dir/err" >&2; exit 1; }
took=$(echo "$began $(date +%s.%N)" | awk '{ print $2 - $1 }')
echo "took $took s; now with $kills kills" >&2

killed=0
while [ "$killed" -lt "$kills" ]; do
	if [ -e "$dir/cut/config.yaml" ]; then
		"$effnet" train --resume "$dir/cut" --threads "$threads" --checkpoint-every 200ms >"$dir/out" 2>"$dir/err" &
	else
		rm -rf "$dir/cut"
		"$effnet" train "$net" --data "$data" --epochs "$epochs" --threads "$threads" --checkpoint-every 200ms --out "$dir/cut" >"$dir/out" 2>"$dir/err" &
	fi
	pid=$!
	# Long enough on average to need a few resumes more than kills.
	sleep "$(random 0.05 "$(echo "$took $kills" | awk '{ print 0.3 + 1.4 * $1 / ($2 + 1) }')")"
	kill -9 $pid 2>/dev/null || :
	status=0
	wait $pid 2>/dev/null || status=$?
	pid=
	if [ "$status" = 137 ]; then
		killed=$((killed + 1))
		echo "kill $killed: $(ls "$dir/cut" 2>/dev/null | grep '^ckpt.*bin$' | tail -n 1)" >&2
	else
		[ "$status" = 0 ] || { cat "$dir/err" >&2; echo FAIL; exit 1; }
		echo "ended before kill $((killed + 1)); once more from the start" >&2
		content "$dir/cut" >"$dir/early"
		content "$dir/whole" | cmp -s - "$dir/early" || { echo "FAIL: the resumed run differs"; exit 1; }
		rm -rf "$dir/cut"
	fi
done
if [ -e "$dir/cut/config.yaml" ]; then
	"$effnet" train --resume "$dir/cut" --threads "$threads" >"$dir/out" 2>"$dir/err" || { cat "$dir/err" >&2; echo FAIL; exit 1; }
else
	rm -rf "$dir/cut"
	"$effnet" train "$net" --data "$data" --epochs "$epochs" --threads "$threads" --out "$dir/cut" >"$dir/out" 2>"$dir/err" || { cat "$dir/err" >&2; echo FAIL; exit 1; }
fi

content "$dir/whole" >"$dir/whole.sum"
content "$dir/cut" >"$dir/cut.sum"
if cmp -s "$dir/whole.sum" "$dir/cut.sum"; then
	echo "PASS: $kills kills, model.safetensors $(head -c 16 "$dir/cut.sum")... and metrics equal the uninterrupted run's"
else
	echo "FAIL: the killed and resumed run differs"
	diff "$dir/whole.sum" "$dir/cut.sum" || :
	exit 1
fi
