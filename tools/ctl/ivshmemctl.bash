# SPDX-License-Identifier: GPL-2.0-only
# bash completion for ivshmemctl: verbs, options, devices, files.
# shellcheck shell=bash

# Device names from /sys/class/ivshmem, and paths for nodes and sockets.
_ivshmemctl_devices()
{
	local names
	names=$(cd /sys/class/ivshmem 2>/dev/null && echo *)
	mapfile -t COMPREPLY < <(compgen -f -W "$names" -- "$1")
}

_ivshmemctl()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local verb=${COMP_WORDS[1]} options

	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "list info read write ring wait ping send recv add remove trace doctor help --help --version" -- "$word")
		return
	fi
	case $before in
	-d | --device)
		_ivshmemctl_devices "$word"
		return
		;;
	-i | -o | --input | --output)
		[[ $verb == ping ]] || mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	-c | -s | -t | -v | -O | -S | --address | --irq | --doorbell | --vectors | --node | --count | --spin | --timeout | --vector | --interval | --offset | --size)
		return
		;;
	esac
	options="--help --usage --device"
	case $verb in
	add) options="--help --usage --json --address --size --irq --doorbell --vectors --node" ;;
	remove) options="--help --usage" ;;
	list | doctor) options="--help --usage --json" ;;
	info) options+=" --json" ;;
	read) options+=" --json --raw --output" ;;
	write) options+=" --input" ;;
	ring) options+=" --count" ;;
	wait) options+=" --json --count --timeout" ;;
	ping) options+=" --json --answer --count --interval --timeout --vector --spin" ;;
	trace) options="--help --usage --json --graph --list --timeout" ;;
	send | recv) options+=" --json --offset --size --timeout" ;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
	elif [[ $verb == remove ]]; then
		mapfile -t COMPREPLY < <(cd /sys/kernel/config/ivshmem 2>/dev/null &&
			compgen -d -- "$word")
	elif [[ $verb == trace ]]; then
		mapfile -t COMPREPLY < <(compgen -c -- "$word")
	elif [[ $verb == send || $verb == recv ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}

complete -o filenames -F _ivshmemctl ivshmemctl
