/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a server's control socket is: beside its socket, for all programs.
 */
#ifndef CONTROL_PATH_H
#define CONTROL_PATH_H

#include <stdbool.h>
#include <string.h>

#define CONTROL_SUFFIX	".control"

/* The version that an answer begins with. */
#define CONTROL_VERSION	1

static inline bool is_control_path(const char *path)
{
	size_t length = strlen(path), suffix = strlen(CONTROL_SUFFIX);

	return length > suffix && !strcmp(path + length - suffix, CONTROL_SUFFIX);
}

#endif /* CONTROL_PATH_H */
