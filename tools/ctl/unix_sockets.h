/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Unix sockets of this machine.
 */
#ifndef CTL_UNIX_SOCKETS_H
#define CTL_UNIX_SOCKETS_H

#define UNIX_SOCKETS	"/proc/net/unix"

/*
 * List the paths of listening sockets, each once and in order. @file has the format of
 * UNIX_SOCKETS. Returns their number, 0 if there is no such file, or a negative errno.
 * Free the result with free_names().
 */
int listening_paths(const char *file, char ***paths);

#endif /* CTL_UNIX_SOCKETS_H */
