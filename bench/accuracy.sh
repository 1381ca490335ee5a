#!/bin/sh
# Trains a network with effnet and, by the same recipe, with PyTorch, several
# seeds each, and compares the accuracy on the test images:
#
#	bench/accuracy.sh [--net small_1m] [--data FOLDER] [--seeds 0,1,2] [--threads 1] [FLAG...]
#
# FOLDER holds Fashion-MNIST, or other grey images, as IDX files. Other flags go to
# 'effnet train': --epochs 5, --recipe quick, --optimizer rmsprop. Weights start by
# the same rules, images are shifted, mirrored and shuffled alike; the random
# numbers are not the same ones. All training images are trained on, and the
# test images looked at once. PyTorch and timm come from the Python that $PYTHON
# names, else from a virtual environment that is made in .cache/.
set -eu
cd "$(dirname "$0")/.."
net=small_1m data= seeds=0,1,2 threads=1
while [ $# -gt 0 ]; do
	case $1 in
	--net) net=$2; shift 2 ;;
	--data) data=$2; shift 2 ;;
	--seeds) seeds=$2; shift 2 ;;
	--threads) threads=$2; shift 2 ;;
	-h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;;
	*) break ;;
	esac
done
for folder in "${EFFNET_DATA:-}/fashion-mnist" /usr/share/datasets/fashion-mnist; do
	[ -n "$data" ] || [ ! -d "$folder" ] || data=$folder
done
[ -n "$data" ] || { echo "accuracy.sh: no fashion-mnist in \$EFFNET_DATA or /usr/share/datasets; name its folder with --data" >&2; exit 2; }
mkdir -p .cache
. bench/python.sh torch scripts/golden/requirements.txt
go build -o bin/effnet ./cmd/effnet
out=.cache/bench/accuracy
mkdir -p "$out"
"$PYTHON" bench/accuracy.py bin/effnet "$out" "$data" "$seeds" "$threads" -- "$net" --epochs 5 "$@"
