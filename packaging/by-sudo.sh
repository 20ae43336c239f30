#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs make as root for who called sudo. Downloads go to their cache, and what root makes
# there and in their tree is theirs in the end, also if make is interrupted.
set -u

home=$(getent passwd "$SUDO_UID" | cut -d: -f6)
cache=${IVSHMEM_CACHE:-${XDG_CACHE_HOME:-$home/.cache}/ivshmem}
as_caller="setpriv --reuid=$SUDO_UID --regid=$SUDO_GID --clear-groups"
# Who has no home has root's cache.
$as_caller mkdir -p "$cache" 2>/dev/null && export IVSHMEM_CACHE="$cache"

# Other systems, which the cache has as well, stay root's.
give_back() {
	for top in . "$cache"; do
		[ "$(stat -c %u "$top" 2>/dev/null)" != "$SUDO_UID" ] || find "$top" -xdev \
			-type d \( -path "$cache/roots" -o -path "$cache/toolchain-*" \) -prune \
			-o -user 0 -exec chown -h "$SUDO_UID:$SUDO_GID" {} +
	done
}

# What a shell runs in the background has no input and ignores Ctrl-C, unless told otherwise.
exec 9<&0
env --default-signal=INT,QUIT "$@" <&9 9<&- &
make=$!
trap : INT
for signal in HUP TERM; do
	# shellcheck disable=SC2064 # the signal of this turn
	trap "kill -s $signal $make" $signal
done
while
	wait $make
	status=$?
	kill -0 $make 2>/dev/null
do :; done
give_back
exit $status
