#!/bin/sh
# Installs a Debian or Ubuntu package where it may, as root or by sudo without a
# password; status 1 elsewhere.
#
#	apt-install.sh PACKAGE
set -eu
command -v apt-get >/dev/null 2>&1 || exit 1
as_root=
if [ "$(id -u)" != 0 ]; then
	{ command -v sudo && sudo -n true; } >/dev/null 2>&1 || exit 1
	as_root=sudo
fi
install="$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $1"
{ $install || { $as_root apt-get update && $install; }; } >&2
