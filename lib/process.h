/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What this process has open, and that a child after fork() has none of it.
 */
#ifndef IVSHMEM_PROCESS_H
#define IVSHMEM_PROCESS_H

#include "handle.h"

struct ivshmem_channel;

#define IVSHMEM_OF_PARENT	"it belongs to the parent of this process"

/* List and unlist them. A handle knows then which process it belongs to. */
void ivshmem_process_add(struct ivshmem *handle);
void ivshmem_process_remove(struct ivshmem *handle);
void ivshmem_process_add_channel(struct ivshmem_channel *channel);
void ivshmem_process_remove_channel(struct ivshmem_channel *channel);

/* False: the handle, and all that uses it, belongs to this process's parent. */
bool ivshmem_process_owns(const struct ivshmem *handle);

/* The same as 0 or -EPERM. */
int ivshmem_process_check(const struct ivshmem *handle);

/* A peer has left: let the channels of the handle see whether it was theirs. */
void ivshmem_process_doubt(struct ivshmem *handle);

/*
 * Close what begin_child() of the handle would close, and make it -1. No fork is in between: the
 * child would close what another thread has opened by the same number.
 */
void ivshmem_process_close(int *fd);

#endif /* IVSHMEM_PROCESS_H */
