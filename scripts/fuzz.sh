#!/bin/sh
# fuzz.sh [TIME] [TARGET...]: every fuzz target of the repository, TIME each
# (10m), one line a target. TARGET: only those of a folder (internal/npy), of a
# name (FuzzDecode), or one (internal/npy.FuzzReader).
#   FUZZ_PARALLEL=1   go test's -parallel
# Status 1 if a target fails. Go keeps the input that did it in the package's
# testdata/fuzz, and its way there in the build cache. `go test` runs the seeds.
set -eu
cd "$(dirname "$0")/.."
time=${1:-10m}
[ $# -eq 0 ] || shift
case $time in
*[0-9]s | *[0-9]m | *[0-9]h | *[0-9]x) ;;
*) echo "fuzz: time $time, want a number with s, m, h, or x for executions" >&2; exit 2 ;;
esac

matches() { # TARGET WANT
	case $2 in "$1" | "${1%.*}" | "${1##*.}") ;; *) return 1 ;; esac
}
targets=$(grep -rn --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' . | sed 's|^\./||; s|/[^/]*_test.go:[0-9]*:func |.|' | sort)
if [ $# -gt 0 ]; then
	chosen=
	for want in "$@"; do
		found=
		for target in $targets; do
			if matches "$target" "$want"; then found="$found $target"; fi
		done
		[ -n "$found" ] || { echo "fuzz: no target is or is in $want; there are:" $targets >&2; exit 2; }
		chosen="$chosen $found"
	done
	targets=$chosen
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
status=0
for target in $targets; do
	# Every input that is kept is made smaller first: of large ones, with a limit of
	# time, that would take all of it.
	if go test "./${target%.*}" -run '^$' -fuzz "^${target##*.}\$" -fuzztime "$time" \
		-fuzzminimizetime 100x -parallel "${FUZZ_PARALLEL:-1}" >"$log" 2>&1; then
		result=ok
	elif grep -q '^    context deadline exceeded$' "$log" && ! grep -q 'Failing input' "$log"; then
		result=ok # go test takes the end of its own time for a failure now and then
	else
		result=FAILED status=1
	fi
	execs=$(sed -n 's/.* execs: \([0-9]*\) .*/\1/p' "$log" | tail -1)
	printf '%-6s  %-28s  %12s executions\n' "$result" "$target" "${execs:-0}"
	[ $result = ok ] || cat "$log"
done
exit $status
