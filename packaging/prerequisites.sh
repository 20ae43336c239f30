#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Installs the missing ones of the given packages as root, or prints the command.
set -eu

packages="$*"

# The names are Debian's; other distributions have to do without this.
command -v dpkg-query >/dev/null || exit 0

# Those whose triggers are still to come are there, too (t, W).
find_missing() {
	# shellcheck disable=SC2086 # a list of words
	missing=$(dpkg-query -W -f='${Package} ${db:Status-Abbrev}\n' $packages 2>/dev/null |
		awk -v wanted="$packages" '
			$2 ~ /^.[itW]/ { have[$1] = 1 }
			END {
				n = split(wanted, names)
				for (i = 1; i <= n; i++)
					if (!(names[i] in have))
						printf " %s", names[i]
			}')
	[ -n "$missing" ]
}

find_missing || exit 0
if [ "$(id -u)" -ne 0 ]; then
	echo "packages are missing; to install them:" \
		"sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

# Another one may be at it.
exec 9</var/lib/dpkg
flock 9
find_missing || exit 0
echo "# installing missing packages:$missing"
install() {
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends \
		-o DPkg::Lock::Timeout=600 -y $missing >/dev/null 9<&-
}
# The package indexes may be missing or out of date.
install 2>/dev/null || { apt-get -qq update && install; }
