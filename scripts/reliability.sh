#!/bin/sh
# reliability.sh [TIME] [ROW...]: the checks of docs/reliability.md on pictures and
# the server, rows 5 to 14 or those named, a line or more each with what was found.
# TIME is for each check that goes on for as long as it is let, default 1m; overload
# ends after 10m. Rows 8, 9 and 11 take it twice or three times. Wants a machine
# without other work: rows 10 and 12 measure times.
#   PYTHON=python3    with tritonclient[http] and schemathesis, for a part of row 9
# Status 1 if a check fails. Linux.
set -eu
cd "$(dirname "$0")/.."
time=${1:-1m}
[ $# -eq 0 ] || shift
case $time in
*[0-9]s | *[0-9]m | *[0-9]h) ;;
*) echo "reliability: time $time, want a number with s, m or h" >&2; exit 2 ;;
esac
rows=${*:-5 6 7 8 9 10 11 12 13 14}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
status=0

# check ROW PACKAGE TESTS [FLAG...]: tests of a package; prints what they logged,
# of that only the lines with $keep.
keep=
check() {
	row=$1 package=$2 tests=$3
	shift 3
	result=ok
	go test "./$package" -count 1 -timeout 0 -v -run "^($tests)\$" "$@" >"$dir/log" 2>&1 || result=FAILED status=1
	grep -q '^--- PASS' "$dir/log" || result=FAILED status=1
	printf 'row %-3s %-7s %s %s\n' "$row" "$result" "$package" "$tests"
	if [ $result = ok ]; then
		sed -n -E 's/^ +[a-z_]+\.go:[0-9]+: /        /p' "$dir/log" | grep -E "$keep" || :
	else
		tail -n 40 "$dir/log"
	fi
}

# fuzz ROW TARGET: a fuzz target.
fuzz() {
	result=ok
	sh scripts/fuzz.sh "$time" "$2" >"$dir/log" 2>&1 || result=FAILED status=1
	printf 'row %-3s %-7s %s\n' "$1" "$result" "fuzzing for $time"
	sed 's/^/        /' "$dir/log"
}

for row in $rows; do
	keep=
	case $row in
	5)
		keep=square
		check 5 imageprep TestRefused
		;;
	6)
		keep='scans|bomb'
		check 6 imageprep TestRefused
		keep=
		check 6 serve 'TestScans|TestDecodeTime|TestDecodeMemory'
		;;
	7) check 7 imageprep 'TestDecodeEqualsPillow|TestOrientation|TestGIFCanvas|TestWebPAnimation|TestAlphaIsDropped' ;;
	8)
		check 8 serve TestImageFuzz -full -time "$time"
		fuzz 8 imageprep.FuzzDecode
		;;
	9)
		check 9 serve TestRouteFuzz -full -time "$time"
		fuzz 9 serve
		python=${PYTHON:-python3}
		if "$python" -c 'import tritonclient.http, schemathesis' 2>/dev/null; then
			result=ok
			go build -o "$dir/effnet" ./cmd/effnet
			"$python" scripts/check_serve.py "$dir/effnet" >"$dir/log" 2>&1 || result=FAILED status=1
			printf 'row 9   %-7s scripts/check_serve.py\n' $result
			if [ $result = ok ]; then grep -E 'answers equal|generated|passed' "$dir/log" | sed 's/^ */        /'; else tail -n 40 "$dir/log"; fi
		else
			echo 'row 9   left out scripts/check_serve.py: set PYTHON to one with tritonclient[http] and schemathesis'
		fi
		;;
	10) check 10 serve 'TestOverload|TestThroughput' -full -time "$time" ;;
	11) check 11 serve TestSoak -full -time "$time" ;;
	12) check 12 serve 'TestSlowClients|TestGzipBomb' -full ;;
	13) EFFNET_SERVE_ENDS=100 check 13 cmd/effnet TestServeEnds ;;
	14) check 14 serve TestReload -full ;;
	*) echo "reliability: row $row, want 5 to 14" >&2; exit 2 ;;
	esac
done
exit $status
