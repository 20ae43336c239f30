# SPDX-License-Identifier: GPL-2.0-only
# bash completion for ivshmem-server: options, files, directories.
# shellcheck shell=bash

_ivshmem_server()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}

	# --option=value is three words.
	if [[ $before == = ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $word == = ]]; then
		word=
	fi
	case $before in
	-p | -S | --pid-file | --socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	-m | --directory)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return
		;;
	-l | -M | -n | --size | --mode | --name | --vectors)
		return
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "--reuse-ids --foreground --help --size --memfd --mode --directory --name --vectors --pid-file --socket --usage --verbose --version" -- "$word")
}

complete -o filenames -F _ivshmem_server ivshmem-server
