#!/bin/sh
# Trains a few small runs, one of them killed and resumed, one that diverges,
# and asks TensorBoard whether it shows them: scripts/tensorboard-check.py.
#
# PYTHON has tensorboard, pillow and pyyaml; without it a virtual environment is
# made in venv. EFFNET is the program.
set -eu
cd "$(dirname "$0")/.."
effnet=${EFFNET:-bin/effnet}
[ -x "$effnet" ] || { echo "no $effnet: run make build first" >&2; exit 2; }
python=${PYTHON:-}
if [ -z "$python" ]; then
	python=venv/bin/python
	[ -x "$python" ] || python3 -m venv venv
	"$python" -c 'import tensorboard, PIL, yaml' 2>/dev/null || "$python" -m pip install -q tensorboard==2.21.0 pillow pyyaml
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
job="small_300k --data synthetic:size=16,train=2000,test=50 --resolution 16 --batch 16 --threads 1"
train() { "$effnet" train $job "$@" >/dev/null 2>"$dir/err"; }
ran() { train "$@" || { cat "$dir/err" >&2; exit 1; }; }

ran --epochs 3 --out "$dir/runs/grey"
ran --epochs 2 --data synthetic:size=16,channels=3,train=600,test=50 --optimizer sgd --ema 0.9 --out "$dir/runs/colour"
train --epochs 4 --optimizer sgd --lr 1e30 --out "$dir/runs/diverged" && { echo "a learning rate of 1e30 did not diverge" >&2; exit 1; }
"$effnet" train $job --epochs 6 --checkpoint-steps 20 --out "$dir/runs/killed" >/dev/null 2>"$dir/err" &
pid=$!
until grep -q '"epoch":2,' "$dir/runs/killed/metrics.jsonl" 2>/dev/null; do sleep 0.05; done
kill -9 $pid 2>/dev/null || :
wait $pid 2>/dev/null || :
"$effnet" train --resume "$dir/runs/killed" >/dev/null 2>"$dir/err" || { cat "$dir/err" >&2; exit 1; }
"$python" scripts/tensorboard-check.py "$dir/runs/grey" "$dir/runs/colour" "$dir/runs/diverged" "$dir/runs/killed"
