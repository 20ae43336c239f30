#compdef ivshmemctl
# SPDX-License-Identifier: GPL-2.0-only
# zsh completion for ivshmemctl: verbs, options, devices, files.

# Device names from /sys/class/ivshmem, and paths for nodes and sockets.
_ivshmemctl_devices()
{
	local -a names=(/sys/class/ivshmem/*(N:t))
	_alternative "devices:device:($names)" 'files:socket:_files'
}

_ivshmemctl_verbs()
{
	local -a verbs=(
		'list:List the devices and servers of this machine'
		'info:Show one device in full'
		'peers:Show who is present'
		'top:Show a device live'
		'read:Read from the region'
		'write:Write to the region'
		'ring:Ring a doorbell of a peer'
		'wait:Print doorbells as they arrive'
		'ping:Measure doorbell round trips'
		'send:Stream a file to the other side'
		'recv:Receive a file from the other side'
		'add:Add a device in software'
		'remove:Remove a device in software'
		'format:Write a label to a region'
		'label:Show the label of a region'
		'partition:List, add, remove or resize partitions'
		'net:Give this machine an interface to all others'
		'rescan:Have the driver read the label again'
		'wipe:Remove the label of a region'
		'trace:Trace the driver step by step'
		'doctor:Find out why a device cannot be used'
		'help:Print the list of verbs'
	)
	_describe verb verbs
}

# The options of a verb, and what follows them.
_ivshmemctl_arguments()
{
	local -a options=(
		'--help[Print help]'
		'--usage[Print a short help]'
	)
	local -a device=(
		'(-d --device)'{-d,--device=}'[Device node, name, server socket, or file]:device:_ivshmemctl_devices'
	)
	local -a json=(
		'(-j --json)'{-j,--json}'[Print JSON]'
	)

	case $1 in
	list)
		_arguments -s $options \
			$json
		;;
	info | label)
		_arguments -s $options \
			$device \
			$json
		;;
	peers)
		_arguments -s $options \
			$device \
			$json \
			'(-w --watch)'{-w,--watch}'[Print who comes and goes]' \
			'(-c --count)'{-c,--count=}'[Exit after N of them]:n:'
		;;
	top)
		_arguments -s $options \
			$device \
			$json \
			'(-o --once)'{-o,--once}'[Print it once]' \
			'(-i --interval)'{-i,--interval=}'[Look again after SECONDS]:seconds:'
		;;
	read)
		_arguments -s $options \
			$device \
			$json \
			'(-r --raw)'{-r,--raw}'[Write raw bytes even to a terminal]' \
			'(-o --output)'{-o,--output=}'[Write raw bytes to FILE]:file:_files'
		;;
	write)
		_arguments -s $options \
			$device \
			'(-i --input)'{-i,--input=}'[Write the contents of FILE]:file:_files'
		;;
	ring)
		_arguments -s $options \
			$device \
			'(-c --count)'{-c,--count=}'[Ring N times]:n:'
		;;
	wait)
		_arguments -s $options \
			$device \
			$json \
			'(-c --count)'{-c,--count=}'[Exit after N interrupts]:n:' \
			'(-t --timeout)'{-t,--timeout=}'[Exit after SECONDS]:seconds:'
		;;
	ping)
		_arguments -s $options \
			$device \
			$json \
			'(-a --answer)'{-a,--answer}'[Ring PEER back for each doorbell]' \
			'(-c --count)'{-c,--count=}'[Exit after N rings]:n:' \
			'(-i --interval)'{-i,--interval=}'[Pause between rings]:seconds:' \
			'(-s --spin)'{-s,--spin=}'[Spin before sleeping]:ns:' \
			'(-t --timeout)'{-t,--timeout=}'[Treat an answer as lost after SECONDS]:seconds:' \
			'(-v --vector)'{-v,--vector=}'[Vector to ring and to listen on]:vector:'
		;;
	send | recv)
		_arguments -s $options \
			$device \
			$json \
			'(-O --offset)'{-O,--offset=}'[Start of the part of the region]:offset:' \
			'(-S --size)'{-S,--size=}'[Size of that part]:size:' \
			'(-t --timeout)'{-t,--timeout=}'[Give up after SECONDS without progress]:seconds:' \
			'::file:_files'
		;;
	add)
		_arguments -s $options \
			$json \
			'--address=[Physical address of the memory]:address:' \
			'--size=[Size of the memory]:size:' \
			'--irq=[Number of the interrupt for vector 0]:n:' \
			'--doorbell=[Physical address of the Doorbell register]:address:' \
			'--vectors=[Vectors per peer]:n:' \
			'--node=[NUMA node of the memory]:n:'
		;;
	remove)
		_arguments -s $options \
			':name:_files -W /sys/kernel/config/ivshmem -/'
		;;
	format)
		_arguments -s $options \
			$device \
			$json \
			'(-p --peers)'{-p,--peers=}'[Slots for peers]:n:' \
			'(-b --doorbells)'{-b,--doorbells=}'[Polled doorbells of each peer]:n:' \
			'(-N --net)'{-N,--net=}'[With a partition of the type net]::size:' \
			'(-s --vsock)'{-s,--vsock=}'[With a partition of the type vsock]::size:' \
			'(-P --ports)'{-P,--ports=}'[Ports of that partition]:n:' \
			'(-n --dry-run)'{-n,--dry-run}'[Print what would be, and write nothing]' \
			'(-f --force)'{-f,--force}'[Overwrite what is at the start]'
		;;
	partition)
		_arguments -s $options \
			$device \
			$json \
			'(-t --type)'{-t,--type=}'[What is in the partition]:type:' \
			'(-o --offset)'{-o,--offset=}'[Where it begins]:offset:' \
			'(-v --vectors)'{-v,--vectors=}'[How many vectors it has]:n:' \
			'(-i --first-vector)'{-i,--first-vector=}'[The first of them]:n:' \
			'(-P --ports)'{-P,--ports=}'[Ports, with the types net and vsock]:n:' \
			'(-n --dry-run)'{-n,--dry-run}'[Print what would be, and write nothing]' \
			'(-f --force)'{-f,--force}'[Do it, though it is in use]' \
			'1:action:(list add remove resize)' \
			'2:name:' \
			'3:size:'
		;;
	net)
		_arguments -s $options \
			$device \
			$json \
			'(-t --tap)'{-t,--tap=}'[Name of the interface]:name:' \
			':partition:'
		;;
	rescan)
		_arguments -s $options \
			$device
		;;
	wipe)
		_arguments -s $options \
			$device \
			'(-f --force)'{-f,--force}'[Do it]'
		;;
	trace)
		_arguments -s $options \
			$json \
			'(-g --graph)'{-g,--graph}'[Print function calls as well]' \
			'(-l --list)'{-l,--list}'[List the steps without tracing]' \
			'(-t --timeout)'{-t,--timeout=}'[Exit after SECONDS]:seconds:' \
			'(-)*::command:_normal'
		;;
	doctor)
		_arguments -s $options \
			$json
		;;
	esac
}

_ivshmemctl()
{
	local curcontext=$curcontext state line ret=1

	_arguments -s -C \
		'(-h --help)'{-h,--help}'[Print the list of verbs]' \
		'(-V --version)'{-V,--version}'[Print the version]' \
		'(-j --json)'{-j,--json}'[Print JSON]' \
		'(-d --device)'{-d,--device=}'[Device node, name, server socket, or file]:device:_ivshmemctl_devices' \
		':verb:_ivshmemctl_verbs' \
		'*::argument:->arguments' && ret=0
	if [[ $state == arguments ]]; then
		_ivshmemctl_arguments $line[1] && ret=0
	fi
	return ret
}

_ivshmemctl "$@"
