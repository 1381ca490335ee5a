#!/bin/sh
# Compares the speed of inference with ONNX Runtime and OpenVINO on this CPU:
#
#	bench/infer.sh [--nets b0,b4,...] [--batches 1,16] [--threads 1,2] [FLAG...]
#
# Other flags go to 'effnet bench': --rounds 5, --seconds 1, --compare
# ort,openvino,torch. The engines come from the Python that $PYTHON names, else
# from a virtual environment that is made in .cache/. Reports are written to
# .cache/bench/infer; the table at the end is of this run's.
set -eu
cd "$(dirname "$0")/.."
nets=b0,b4,lite0,efficientnetv2_s batches=1,16 threads=1,2
while [ $# -gt 0 ]; do
	case $1 in
	--nets) nets=$2; shift 2 ;;
	--batches) batches=$2; shift 2 ;;
	--threads) threads=$2; shift 2 ;;
	-h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;;
	*) break ;;
	esac
done
mkdir -p .cache
. bench/python.sh engines bench/requirements.txt
go build -o bin/effnet ./cmd/effnet
out=.cache/bench/infer
mkdir -p "$out"
files=
for net in $(echo "$nets" | tr , ' '); do
	for batch in $(echo "$batches" | tr , ' '); do
		for t in $(echo "$threads" | tr , ' '); do
			echo "$net, batch $batch, $t thread(s)" >&2
			file=$out/$(basename "$net")-batch$batch-threads$t.json
			bin/effnet bench "$net" --batch "$batch" --threads "$t" --seconds 1 --compare ort,openvino --python "$PYTHON" --json "$@" >"$file.part"
			mv "$file.part" "$file"
			files="$files $file"
		done
	done
done
"$PYTHON" bench/table.py $files
