#!/bin/sh
# Makes sure that Fashion-MNIST is on this machine, and prints its folder.
#
# It looks where effnet looks; where it is missing it installs the Debian and
# Ubuntu package dataset-fashion-mnist if it may. Elsewhere effnet downloads
# the data itself, on first use, from the data set's own site.
set -eu

find_data() {
	for dir in \
		"${EFFNET_DATA:+$EFFNET_DATA/fashion-mnist}" "${EFFNET_DATA:-}" \
		/usr/share/datasets/fashion-mnist \
		"${XDG_CACHE_HOME:-${HOME:-}/.cache}/effnet/datasets/fashion-mnist"; do
		[ -n "$dir" ] || continue
		for file in "$dir/train-images-idx3-ubyte" "$dir/train-images-idx3-ubyte.gz"; do
			if [ -f "$file" ]; then
				echo "$dir"
				return 0
			fi
		done
	done
	return 1
}

find_data && exit

as_root=
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		as_root=sudo
	else
		as_root=no
	fi
fi
if [ "$as_root" != no ] && command -v apt-get >/dev/null 2>&1; then
	install="$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends dataset-fashion-mnist"
	{ $install || { $as_root apt-get update && $install; }; } >&2 || true
	find_data && exit
fi

echo "fetch-data: Fashion-MNIST is not installed; effnet downloads it (31 MB) on first use, or install the package dataset-fashion-mnist" >&2
