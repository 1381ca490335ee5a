# What kill-search.sh and kill-train.sh begin with, read by both with '.':
# kills, from the command line; effnet, the program; dir, a folder that goes away
# with the script; pid, a process that is killed with it.
kills=10
case ${1:-} in
--kills) kills=${2:?--kills wants a number} ;;
'') ;;
*) kills=$1 ;;
esac
case $kills in '' | *[!0-9]*) echo "${0##*/}: $kills is no number of kills" >&2; exit 2 ;; esac
effnet=${EFFNET:-bin/effnet}
[ -x "$effnet" ] || { echo "no $effnet: run make build first" >&2; exit 2; }

dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 $pid 2>/dev/null || :; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

# random LOW HIGH: a number, to the thousandth.
random() {
	od -An -N4 -tu4 /dev/urandom | awk -v low="$1" -v high="$2" '{ printf "%.3f", low + (high - low) * $1 / 4294967296 }'
}
