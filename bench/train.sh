#!/bin/sh
# Compares training speed with PyTorch on this CPU: bench/train.sh [--net NET]
# [--batch N] [--threads 1,2] ... (see --help). PyTorch and timm come from the
# Python named by $PYTHON, else from a virtual environment made in .cache/.
set -eu
cd "$(dirname "$0")/.."
mkdir -p bin .cache
go build -o bin/trainspeed ./bench/trainspeed
if [ -z "${PYTHON:-}" ]; then
	PYTHON=.cache/torch/bin/python
	if [ ! -x "$PYTHON" ]; then
		python3 -m venv .cache/torch
		.cache/torch/bin/pip install -q -r scripts/golden/requirements.txt
	fi
fi
exec "$PYTHON" bench/train.py --trainspeed bin/trainspeed "$@"
