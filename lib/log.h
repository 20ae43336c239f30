/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Why a call has failed, and what else happens: for ivshmem_error() and the log.
 */
#ifndef IVSHMEM_LOG_H
#define IVSHMEM_LOG_H

#pragma GCC visibility push(default)
#include "ivshmem.h"
#pragma GCC visibility pop

#include <stdatomic.h>
#include <stdbool.h>

extern _Atomic int ivshmem_log_level;	/* what is logged: enum ivshmem_log_level */

/*
 * The reason for an error that can have several: keeps it for ivshmem_error() and logs it.
 * Returns @error. An error that has a reason in one place needs one in all, or
 * ivshmem_error() gives that of an earlier call.
 */
int ivshmem_fail(int error, const char *format, ...)
	__attribute__((format(printf, 2, 3), cold));

/*
 * What calls with a deadline return. -EAGAIN and -ETIMEDOUT tell all there is to tell, but where
 * a handle is opened or rung they have reasons: forgets that of an earlier call. Returns @error,
 * whatever it is.
 */
int ivshmem_late(int error);

/* Costs one load while the level is lower. Can be called with any lock held. */
#define ivshmem_log(level, ...) do { \
	if (atomic_load_explicit(&ivshmem_log_level, memory_order_relaxed) >= (level)) \
		ivshmem_write_log(level, __VA_ARGS__); \
} while (0)
void ivshmem_write_log(int level, const char *format, ...)
	__attribute__((format(printf, 2, 3), cold));

/*
 * The same whatever the level is, as an error: for what is wrong in the environment. Who set
 * a variable wants to know that it does nothing.
 */
void ivshmem_write_always(const char *format, ...)
	__attribute__((format(printf, 1, 2), cold));

#endif /* IVSHMEM_LOG_H */
