/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is at the path of a device's node: the node, or something that a program put there
 * before the driver had the device.
 */
#ifndef CTL_NODE_H
#define CTL_NODE_H

#include <stdbool.h>
#include <stddef.h>

#define NODE_TEXT	1024	/* room for the longest explanation */

/*
 * Is something other than the node of device @name there? If so, @text says what, and how
 * to have the node. @root is put before all paths that are looked at; it is empty but for
 * tests. False as well if there is no such device, or nothing at the path.
 */
bool node_is_wrong(const char *root, const char *name, char text[NODE_TEXT]);

/* Format the commands that create the node, with the right group and mode. */
void node_commands(const char *root, const char *name, char *text, size_t size);

#endif /* CTL_NODE_H */
