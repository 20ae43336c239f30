/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A handle of the library on the server that start_server() started.
 */
#ifndef OPEN_H
#define OPEN_H

#include <string.h>

#include "harness.h"
#include "ivshmem.h"

static inline struct ivshmem *must_open(unsigned int flags)
{
	struct ivshmem *handle;
	int error = ivshmem_open(&handle, scratch("socket"), flags);

	if (error)
		tap_bail("cannot join: %s", strerror(-error));
	return handle;
}

#endif /* OPEN_H */
