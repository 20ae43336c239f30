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

# The verb: the first word that is neither an option nor the value of one.
_ivshmemctl_verb()
{
	local i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-d | --device)
			((i++))
			[[ ${COMP_WORDS[i]} != = ]] || ((i++))
			;;
		-*) ;;
		*)
			echo "${COMP_WORDS[i]}"
			return
			;;
		esac
	done
}

_ivshmemctl_options()
{
	local always="--help --usage"
	case $1 in
	list | doctor) echo "$always --json" ;;
	info) echo "$always --device --json" ;;
	peers) echo "$always --device --json --watch --count" ;;
	top) echo "$always --device --json --once --interval" ;;
	read) echo "$always --device --json --raw --output" ;;
	write) echo "$always --device --input" ;;
	ring) echo "$always --device --count" ;;
	wait) echo "$always --device --json --count --timeout" ;;
	ping) echo "$always --device --json --answer --count --interval --timeout --vector --spin" ;;
	send | recv) echo "$always --device --json --offset --size --timeout" ;;
	add) echo "$always --json --address --size --irq --doorbell --vectors --node" ;;
	remove) echo "$always" ;;
	format) echo "$always --device --json --peers --doorbells --net --vsock --ports --dry-run --force" ;;
	label) echo "$always --device --json" ;;
	partition) echo "$always --device --json --type --offset --vectors --first-vector --ports --dry-run --force" ;;
	net) echo "$always --device --json --tap" ;;
	rescan) echo "$always --device" ;;
	wipe) echo "$always --device --force" ;;
	trace) echo "$always --json --graph --list --timeout" ;;
	"") echo "--device --json --help --version" ;;
	esac
}

_ivshmemctl_arguments()
{
	case $1 in
	"") mapfile -t COMPREPLY < <(compgen -W "list info peers top read write ring wait ping send recv add remove format label partition net rescan wipe trace doctor help" -- "$2") ;;
	remove)
		mapfile -t COMPREPLY < <(cd /sys/kernel/config/ivshmem 2>/dev/null &&
			compgen -d -- "$2")
		;;
	partition)
		[[ $3 != partition ]] ||
			mapfile -t COMPREPLY < <(compgen -W "list add remove resize" -- "$2")
		;;
	trace) mapfile -t COMPREPLY < <(compgen -c -- "$2") ;;
	send | recv) mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
	esac
}

_ivshmemctl()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb

	verb=$(_ivshmemctl_verb)
	# --option=value is three words.
	if [[ $before == = ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $word == = ]]; then
		word=
	fi
	case $before in
	-d | --device)
		_ivshmemctl_devices "$word"
		return
		;;
	-i | -o | --input | --output)
		[[ $verb == ping || $verb == partition || $verb == top ]] || mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	-b | -c | -p | --tap | -s | -t | -v | -O | -P | -S | --doorbells | --first-vector | --peers | --ports | --type | --address | --irq | --doorbell | --vectors | --node | --count | --spin | --timeout | --vector | --interval | --offset | --size)
		return
		;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_ivshmemctl_options "$verb")" -- "$word")
	else
		_ivshmemctl_arguments "$verb" "$word" "$before"
	fi
}

complete -o filenames -F _ivshmemctl ivshmemctl
