#compdef ivshmem-server
# SPDX-License-Identifier: GPL-2.0-only
# zsh completion for ivshmem-server.

_arguments -s \
	'--reuse-ids[Give the lowest free id]' \
	'(-F --foreground)'{-F,--foreground}'[Stay in the foreground]' \
	'(-h --help)'{-h,--help}'[Print help]' \
	'(-l --size)'{-l,--size=}'[Size of the memory]:size:' \
	'--memfd[Share an anonymous file that peers cannot resize]' \
	'--mode=[Permissions of the socket]:octal:' \
	'(-m --directory)'{-m,--directory=}'[Share an unlinked file in DIR]:directory:_files -/' \
	'(-M --name)'{-M,--name=}'[Share the POSIX shared memory object NAME]:name:' \
	'(-n --vectors)'{-n,--vectors=}'[Doorbells per peer, 1 to 256]:number:' \
	'(-p --pid-file)'{-p,--pid-file=}'[Write the process id to FILE]:file:_files' \
	'(-S --socket)'{-S,--socket=}'[Listen on PATH]:socket:_files' \
	'--usage[Print a short help]' \
	'(-v --verbose)'{-v,--verbose}'[Log repeated events as well]' \
	'(-V --version)'{-V,--version}'[Print the version]'
