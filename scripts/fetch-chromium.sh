#!/bin/sh
# Makes sure that a Chromium is on this machine, for the tests that drive web
# pages, and prints its path. Where there is none it installs the Debian package
# chromium if it may. Without one those tests are skipped.
set -eu

find_chromium() {
	for name in "${EFFNET_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable chrome \
		"/Applications/Chromium.app/Contents/MacOS/Chromium" "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
		[ -n "$name" ] && command -v "$name" && return 0
	done
	return 1
}

find_chromium && exit

as_root=
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		as_root=sudo
	else
		as_root=no
	fi
fi
if [ "$as_root" != no ] && command -v apt-get >/dev/null 2>&1; then
	install="$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium"
	{ $install || { $as_root apt-get update && $install; }; } >&2 || true
	find_chromium && exit
fi

echo "fetch-chromium: no Chromium here, and it cannot be installed; EFFNET_CHROMIUM says where one is" >&2
exit 1
