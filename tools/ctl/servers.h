/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The servers of this machine, as list shows them.
 */
#ifndef CTL_SERVERS_H
#define CTL_SERVERS_H

#include <jansson.h>

/*
 * Find the sockets of servers, by their control sockets. Returns their number or a
 * negative errno. Free the result with free_names().
 */
int servers_find(char ***sockets);

/* The same in a file of the format of UNIX_SOCKETS. */
int servers_find_in(const char *file, char ***sockets);

/* Ask each of them, then print a table, or append to @array with --json. */
void servers_list(char **sockets, int count, json_t *array);

#endif /* CTL_SERVERS_H */
