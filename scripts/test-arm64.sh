#!/bin/sh
# Builds everything for arm64 and runs the tests of the numeric packages under
# qemu's user-mode emulation, which it installs where apt can.
set -eu
cd "$(dirname "$0")/.."
find_qemu() { command -v qemu-aarch64 || command -v qemu-aarch64-static; }
if ! qemu=$(find_qemu); then
	if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
		apt-get update -q >/dev/null && apt-get install -y -q qemu-user >/dev/null
	fi
	qemu=$(find_qemu) || { echo "test-arm64: no qemu-aarch64; install qemu-user" >&2; exit 1; }
fi
export GOARCH=arm64 CGO_ENABLED=0
go build ./...
go vet ./...
# Not those that start themselves again as another process: the kernel of the
# host would have to know the emulator.
go test -short -timeout 60m -exec "$qemu" ./arch ./internal/kernel/... ./internal/par ./internal/ref ./internal/npy ./internal/jpeg ./infer ./train
