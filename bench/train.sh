#!/bin/sh
# Compares training speed with PyTorch on this CPU, whole steps:
#
#	bench/train.sh [--net small_1m] [--batch 128] [--threads 1,2] [FLAG...]
#
# Other flags go to 'effnet bench --train': --rounds 5, --seconds 2, --data
# fashion-mnist, --optimizer rmsprop, --compare torch,torch-eager,torch-compile.
# PyTorch and timm come from the Python that $PYTHON names, else from a virtual
# environment that is made in .cache/. Reports are written to .cache/bench/train;
# the table at the end is of this run's.
set -eu
cd "$(dirname "$0")/.."
net=small_1m batch=128 threads=1,2
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
files=
for t in $(echo "$threads" | tr , ' '); do
	echo "$net, batch $batch, $t thread(s)" >&2
	file=$out/$(basename "$net")-batch$batch-threads$t.json
	bin/effnet bench --train "$net" --batch "$batch" --threads "$t" --seconds 2 --data fashion-mnist --compare torch,torch-eager,torch-compile --python "$PYTHON" --json "$@" >"$file.part"
	mv "$file.part" "$file"
	files="$files $file"
done
"$PYTHON" bench/table.py $files
