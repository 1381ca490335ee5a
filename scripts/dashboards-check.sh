#!/bin/sh
# Do optuna-dashboard and TensorBoard really open what 'effnet report --export'
# writes? Runs a tiny search, or takes RUN, exports it, starts both servers on
# loopback and compares what they answer with the ledger:
# scripts/dashboards-check.py.
#
#     scripts/dashboards-check.sh [RUN]
#
# PYTHON has optuna-dashboard, tensorboard, pillow and pyyaml; without it they
# are installed into a virtual environment that goes away afterwards. EFFNET is
# the program.
set -eu
cd "$(dirname "$0")/.."
effnet=${EFFNET:-bin/effnet}
[ -x "$effnet" ] || { echo "no $effnet: run make build first" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
python=${PYTHON:-}
if [ -z "$python" ]; then
	python3 -m venv "$dir/venv"
	python=$dir/venv/bin/python
	"$python" -m pip install -q optuna==5.0.0 optuna-dashboard==0.21.0 tensorboard==2.21.0 pillow pyyaml
fi
run=${1:-}
if [ -z "$run" ]; then
	run=$dir/run
	"$effnet" search small_300k --data synthetic:size=28,train=400,test=100 --networks 5 --epochs 2 --batch 16 \
		--threads 1 --validate 3 --out "$run" >/dev/null 2>"$dir/err" || { cat "$dir/err" >&2; exit 1; }
fi
"$effnet" report "$run" --export "$dir/export" >/dev/null
"$effnet" report "$run" --json >"$dir/report.json"
"$python" scripts/dashboards-check.py "$dir/export" "$dir/report.json"
