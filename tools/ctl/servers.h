/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The servers of this machine, as list shows them.
 */
#ifndef CTL_SERVERS_H
#define CTL_SERVERS_H

#include <jansson.h>

/*
 * Find the sockets of servers, by their control sockets, that can be reached from here.
 * @root is put before all paths that are looked at; it is empty but for tests. Returns
 * their number or a negative errno. Free the result with free_names().
 */
int servers_find(const char *root, char ***sockets);

/* Ask each of them, then print a table, or append to @array with --json. */
void servers_list(char **sockets, int count, json_t *array);

#endif /* CTL_SERVERS_H */
