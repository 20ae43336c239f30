# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# TAP and requests to the host for guest tests in shell, as in tap.h and rig.h for those
# in C. A test begins with ". /tests/lib.sh" and ends with tap_done.
tap_points=0
tap_failures=0

# tap_ok DESCRIPTION COMMAND...: the command must succeed
tap_ok() {
	tap_what=$1
	shift
	tap_points=$((tap_points + 1))
	if "$@"; then
		echo "ok $tap_points - $tap_what"
	else
		tap_failures=$((tap_failures + 1))
		echo "not ok $tap_points - $tap_what"
	fi
}

# tap_eq DESCRIPTION VALUE EXPECTED: two strings must be equal
tap_eq() {
	[ "$2" = "$3" ] || echo "# $1: got '$2', not '$3'"
	tap_ok "$1" [ "$2" = "$3" ]
}

# tap_skip DESCRIPTION REASON: a check that is not possible here
tap_skip() {
	tap_points=$((tap_points + 1))
	echo "ok $tap_points - $1 # SKIP $2"
}

# doctor_finds NAME...: ivshmemctl doctor must find just these problems, and exit with 1
doctor_finds() {
	tap_eq "doctor finds: $*" "$(ivshmemctl doctor --json |
		sed -n 's/.*"name": "\(.*\)",/\1/p' | tr '\n' ' ')" "$* "
	ivshmemctl doctor >/tmp/said
	tap_eq "with problems doctor exits with 1: $*" $? 1
	tap_eq "doctor prints one line for each problem: $*" "$(wc -l </tmp/said)" $#
}

# doctor_follow SED: run the command in the first line of doctor_finds. SED extracts it, and
# drops what this small system does not have. It wants kernel_modules.
doctor_follow() {
	sed "1!d; $1; s/sudo //g" /tmp/said >/tmp/command
	sed 's/^/# /' /tmp/command
	/bin/dash /tmp/command # not this shell, which has a modprobe of its own
}

# kernel_modules: have modprobe, modinfo and depmod of kmod find what is in /lib, where the
# rig puts the driver and its modules=; wants programs=dash,kmod. Those of busybox have no
# index and show no configuration; and busybox's shell would run its own modinfo.
kernel_modules() {
	mkdir -p "/lib/modules/$(uname -r)/updates" /usr/lib
	ln -s /lib/modules /usr/lib/modules # some builds of kmod look there
	for kernel_program in depmod modinfo modprobe; do
		ln -sf kmod /bin/$kernel_program
	done
	ln -sf dash /bin/sh
}

# udev_start [GID]: run udev with our rule, where this is the number of the group ivshmem; wants
# programs=udevadm, and for other rights than root's also chown and chmod, which the rule runs
udev_start() {
	mkdir -p /run/udev /etc/udev/rules.d
	cp /conf/udev/rules.d/60-ivshmem.rules /etc/udev/rules.d/
	echo "root:x:0:0::/:/bin/sh" >/etc/passwd
	printf 'root:x:0:\nivshmem:x:%s:\n' "${1:-977}" >/etc/group
	# udevadm is also the daemon, if called by that name.
	ln -s "$(command -v udevadm)" /tmp/systemd-udevd
	/tmp/systemd-udevd --daemon
}

# interrupts WHAT: does the device have vectors? If not, skip WHAT.
interrupts() {
	[ "$(cat /sys/class/ivshmem/ivshmem0/vectors)" -gt 0 ] && return
	tap_skip "$1" "the device has no vectors"
	false
}

# tap_bail REASON: end the test at once
tap_bail() {
	echo "Bail out! $*"
	exit 1
}

# tap_done: print the plan and end the test
tap_done() {
	echo "1..$tap_points"
	[ "$tap_failures" -eq 0 ]
	exit
}

# conforms VERB JSON: this is what that verb of ivshmemctl may print
conforms() {
	tap_ok "the JSON of $1 is as its schema says" rig_ask conforms "$1" \
		"$(printf '%s' "$2" | tr -d '\n')"
}

# status EXPECTED COMMAND...: the command must exit with this status
status() {
	tap_expected=$1
	shift
	"$@" >/tmp/out 2>&1
	tap_eq "exit code $tap_expected: $*" $? "$tap_expected"
}

# says EXPECTED WORDS COMMAND...: it must say WORDS as well
says() {
	tap_status=$1
	tap_words=$2
	shift 2
	status "$tap_status" "$@"
	tap_ok "it says: $tap_words" grep -q "$tap_words" /tmp/out
}

# rig_ask VERB ARGUMENTS: print the host's result; fails if the host refuses. It writes to
# the serial port and not to standard output, so that $(rig_ask ...) works.
rig_ask() {
	echo "@rig $*" >"/dev/${rig_port:?}"
	read -r rig_answer <"/dev/${rig_port:?}"
	case $rig_answer in
	ok) ;;
	"ok "*) echo "${rig_answer#ok }" ;;
	*)
		echo "# $*: $rig_answer" >"/dev/${rig_port:?}"
		return 1
		;;
	esac
}

# soon COMMAND...: the command must succeed before long
soon() {
	soon_tries=0
	until "$@"; do
		soon_tries=$((soon_tries + 1))
		[ $soon_tries -lt 300 ] || return
		sleep 0.1
	done
}

# segment_make OPTION...: guest 0 gives all of the memory to a network, and all guests make it
segment_make() {
	export IVSHMEM_DEVICE=/dev/ivshmem0
	[ "$RIG_GUEST" != 0 ] || tap_ok "lay out a network" ivshmemctl format --force --net "$@"
	rig_ask barrier segment
	tap_ok "rescan" ivshmemctl rescan
}

# segment_load: load the network driver, whose interface must appear
segment_load() {
	for segment_module in ivshmem_rings ivshmem_net; do
		[ -d /sys/module/$segment_module ] || insmod /lib/$segment_module.ko
	done
	tap_ok "there is an interface" soon test -d /sys/class/net/ivs0
}

# segment_up [INTERFACE]: set it up, with the addresses 10.9.0.N and fd09::N, where N is 1 in guest 0
segment_up() {
	echo 0 >"/proc/sys/net/ipv6/conf/${1:-ivs0}/accept_dad"
	ip link set "${1:-ivs0}" up
	ip addr add 10.9.0.$((RIG_GUEST + 1))/24 dev "${1:-ivs0}" 2>/dev/null
	ip addr add fd09::$((RIG_GUEST + 1))/64 dev "${1:-ivs0}"
}

# segment_carrier [0]: the interface must have a carrier, or none
segment_carrier() {
	soon grep -qx "${1:-1}" /sys/class/net/ivs0/carrier
}

# pings ADDRESS [OPTION...]: somebody must answer
pings() {
	soon ping -c 1 -W 2 -q "$@" >/tmp/ping 2>&1
}

# segment_sizes ADDRESS: packets from empty to the largest
segment_sizes() {
	for size in 0 1 56 1472 1473 9000 30000 65000; do
		tap_ok "ping $1, $size bytes" pings -s $size "$1"
	done
}

# segment_stream NAME FROM TO FILE: send a file, which both guests have, from one guest to another
segment_stream() {
	if [ "$RIG_GUEST" = "$3" ]; then
		# Without input, nc says so at once, and the other nc ends then.
		[ -p /tmp/idle ] || mkfifo /tmp/idle
		nc -l -p 5000 <>/tmp/idle >/tmp/stream &
		segment_receiver=$!
		soon grep -q ":1388 " /proc/net/tcp /proc/net/tcp6
		rig_ask barrier "$1"
		wait $segment_receiver
		tap_ok "$1: what was sent has come" cmp "$4" /tmp/stream
	elif [ "$RIG_GUEST" = "$2" ]; then
		rig_ask barrier "$1"
		tap_ok "$1: send" sh -c "nc 10.9.0.$(($3 + 1)) 5000 <$4"
	else
		rig_ask barrier "$1"
	fi
}
