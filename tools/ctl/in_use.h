/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Nodes that programs cannot open, as a driver of another kind uses them, or none: partitions of
 * the types net and vsock.
 */
#ifndef CTL_IN_USE_H
#define CTL_IN_USE_H

#include <jansson.h>

/* Print them after @count others, or add them to @array with --json. */
void in_use_list(int count, json_t *array);

#endif /* CTL_IN_USE_H */
