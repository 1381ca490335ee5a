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
sh "$(dirname "$0")/apt-install.sh" chromium || :
find_chromium && exit

echo "fetch-chromium: no Chromium here, and it cannot be installed; EFFNET_CHROMIUM says where one is" >&2
exit 1
