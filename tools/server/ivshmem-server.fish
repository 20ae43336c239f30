# SPDX-License-Identifier: GPL-2.0-only
# fish completion for ivshmem-server.

complete -c ivshmem-server -f
complete -c ivshmem-server -l reuse-ids -d 'Give the lowest free id'
complete -c ivshmem-server -s F -l foreground -d 'Stay in the foreground'
complete -c ivshmem-server -s h -l help -d 'Print help'
complete -c ivshmem-server -s l -l size -x -d 'Size of the memory'
complete -c ivshmem-server -l memfd -d 'Share an anonymous file that peers cannot resize'
complete -c ivshmem-server -l mode -x -d 'Permissions of the socket'
complete -c ivshmem-server -s m -l directory -xa '(__fish_complete_directories)' -d 'Share an unlinked file in DIR'
complete -c ivshmem-server -s M -l name -x -d 'Share the POSIX shared memory object NAME'
complete -c ivshmem-server -s n -l vectors -x -d 'Doorbells per peer, 1 to 256'
complete -c ivshmem-server -s p -l pid-file -rF -d 'Write the process id to FILE'
complete -c ivshmem-server -s S -l socket -rF -d 'Listen on PATH'
complete -c ivshmem-server -l usage -d 'Print a short help'
complete -c ivshmem-server -s v -l verbose -d 'Log repeated events as well'
complete -c ivshmem-server -s V -l version -d 'Print the version'
