#!/bin/sh
# Trains the same networks here and in PyTorch, from the same weights on the
# same batches, and shows that the losses coincide:
#
#	bench/curves.sh [--steps 200] [--b0-steps 30] [--threads 2] [--out FIGURE.svg] [FLAG...]
#
# small_1m on Fashion-MNIST with every optimizer, and EfficientNet B0 at 32x32
# (b0-32.yaml), which is slower and gets fewer steps (0: leave it out) and the
# learning rate of an early warm-up: at the full one, from random weights, float32
# soon parts from float64 in every engine. PyTorch runs as it comes, in channels_last, and in float64, which all others are
# measured by; docs/bench.md states the tolerance. The exit status is 1 where
# effnet is farther away than that. Other flags go to 'effnet bench --losses':
# --data, --compare. PyTorch and timm come from the Python that $PYTHON names,
# else from a virtual environment that is made in .cache/. Reports are written to
# .cache/bench/curves.
set -eu
cd "$(dirname "$0")/.."
steps=200 b0_steps=30 threads=2 figure=.cache/bench/curves/curves.svg
while [ $# -gt 0 ]; do
	case $1 in
	--steps) steps=$2; shift 2 ;;
	--b0-steps) b0_steps=$2; shift 2 ;;
	--threads) threads=$2; shift 2 ;;
	--out) figure=$2; shift 2 ;;
	-h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;;
	*) break ;;
	esac
done
mkdir -p .cache
. bench/python.sh torch scripts/golden/requirements.txt
go build -o bin/effnet ./cmd/effnet
out=.cache/bench/curves
mkdir -p "$out"
files= status=0
# follow NET OPTIMIZER STEPS FLAG...: one case; the report is there whatever it says.
follow() {
	net=$1 optimizer=$2 n=$3
	shift 3
	echo "$net, $optimizer, $n steps" >&2
	file=$out/$(basename "$net" .yaml)-$optimizer.json
	bin/effnet bench --train "$net" --batch 128 --threads "$threads" --data fashion-mnist --optimizer "$optimizer" --losses "$n" \
		--compare torch,torch-eager --python "$PYTHON" --json "$@" >"$file.part" || status=1
	if [ -s "$file.part" ]; then
		mv "$file.part" "$file"
		files="$files $file"
	else
		rm -f "$file.part"
	fi
}
for optimizer in rmsprop sgd adamw; do
	follow small_1m $optimizer "$steps" "$@"
done
if [ "$b0_steps" -gt 0 ]; then
	follow bench/b0-32.yaml rmsprop "$b0_steps" --lr 0.0001 "$@"
fi
[ -z "$files" ] || go run ./bench/curves -o "$figure" $files || status=1
exit $status
