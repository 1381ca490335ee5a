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
sh "$(dirname "$0")/apt-install.sh" dataset-fashion-mnist || :
find_data && exit

echo "fetch-data: Fashion-MNIST is not installed; effnet downloads it (31 MB) on first use, or install the package dataset-fashion-mnist" >&2
