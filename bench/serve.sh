#!/bin/sh
# Compares 'effnet serve' with Python servers of the same network on this machine,
# pictures in, classes out:
#
#	bench/serve.sh [--nets lite0,b0] [FLAG...]
#
# lite0 has its authors' weights, others have random ones. Servers take turns under
# 1, 2, 8 and 32 clients and under Poisson processes. Other flags go to
# bench/serve: --peers ort-batch,ort-streams,openvino-streams,openvino-streams-cv2, --clients 1,2,8,32,
# --rounds 5, --turn 2s, --max-batch 8, --photos FOLDER, --pprof FILE. The peers
# come from the Python that $PYTHON names, else from a virtual environment that is
# made in .cache/. Reports are written to .cache/bench/serve.
set -eu
cd "$(dirname "$0")/.."
nets=lite0,b0
while [ $# -gt 0 ]; do
	case $1 in
	--nets) nets=$2; shift 2 ;;
	-h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;;
	*) break ;;
	esac
done
sh scripts/fetch-weights.sh
. bench/python.sh serve bench/requirements-serve.txt
go build -o bin/effnet ./cmd/effnet
go build -o bin/bench-serve ./bench/serve
out=.cache/bench/serve
mkdir -p "$out"
for net in $(echo "$nets" | tr , ' '); do
	weights=$net named=
	if [ "$net" = lite0 ]; then
		weights=$(echo .cache/weights/efficientnet-lite0-*.pth) named=tf_efficientnet_lite0
	fi
	bin/bench-serve --effnet bin/effnet --python "$PYTHON" --net "$weights" --named "$named" --json "$out/$(basename "$net" .safetensors).json" "$@"
done
