#!/bin/sh
# Compares training speed and memory with PyTorch on this CPU, whole steps:
#
#	bench/train.sh [--net NET] [--batch 128] [--threads 1,2] [FLAG...]
#
# Without --net all cases: B0 at 224x224, batch 16; B0 at 32x32 (b0-32.yaml),
# batch 128; small_1m and small_5m, batch 128. PyTorch runs as it comes, in
# channels_last, and compiled, which needs a C++ compiler and minutes for B0
# (before anything is measured); a mode that fails is named below the table, and
# the exit status is 1. With several threads effnet also takes turns with itself
# on one. Other flags go to 'effnet bench --train': --rounds 5, --seconds 2 (8 and
# 4 for B0), --data, --optimizer rmsprop, --compare torch,torch-eager,torch-compile.
# PyTorch and timm come from the Python that $PYTHON names, else from a virtual
# environment that is made in .cache/. Reports are written to .cache/bench/train;
# the table at the end is of this run's.
set -eu
cd "$(dirname "$0")/.."
net= batch=128 threads=1,2
while [ $# -gt 0 ]; do
	case $1 in
	--net) net=$2; shift 2 ;;
	--batch) batch=$2; shift 2 ;;
	--threads) threads=$2; shift 2 ;;
	-h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;;
	*) break ;;
	esac
done
mkdir -p .cache
. bench/python.sh torch scripts/golden/requirements.txt
go build -o bin/effnet ./cmd/effnet
out=.cache/bench/train
mkdir -p "$out"
files= status=0
# measure NET BATCH SECONDS FLAG...: one case, with each number of threads.
measure() {
	n=$1 b=$2 s=$3
	shift 3
	for t in $(echo "$threads" | tr , ' '); do
		echo "$n, batch $b, $t thread(s)" >&2
		engines=torch,torch-eager,torch-compile
		[ "$t" = 1 ] || engines=$engines,effnet-1
		file=$out/$(basename "$n" .yaml)-batch$b-threads$t.json
		bin/effnet bench --train "$n" --batch "$b" --threads "$t" --seconds "$s" --compare $engines --python "$PYTHON" --json "$@" >"$file.part" || status=1
		[ -s "$file.part" ] || exit 1
		mv "$file.part" "$file"
		files="$files $file"
	done
}
if [ -n "$net" ]; then
	measure "$net" "$batch" 2 "$@"
else
	measure efficientnet_b0 16 8 "$@"
	measure bench/b0-32.yaml 128 4 "$@"
	measure small_1m 128 2 --data fashion-mnist "$@"
	measure small_5m 128 2 --data fashion-mnist "$@"
fi
"$PYTHON" bench/table.py $files
exit $status
