/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owners of mutexes: numbers that are never those of another program, and what is known
 * about their lives (owner.c).
 */
#ifndef IVSHMEM_OWNER_H
#define IVSHMEM_OWNER_H

#include "handle.h"

/* An owner has 39 bits; 0 is none. */
#define OWNER_ID		UINT64_C(0xffff)
#define OWNER_HAS_ID		(UINT64_C(1) << 16)
#define OWNER_IS_WITNESSED	(UINT64_C(1) << 17)	/* holds a lock while it lives */
#define OWNER_RANDOM		(UINT64_C(0x1fffff) << 18)

static inline bool ivshmem_is_on_host(const struct ivshmem *handle)
{
	return handle->on_host;
}

/* Become an owner that is not @former: 0 or why not. */
int ivshmem_owner_begin(const struct ivshmem *handle, uint32_t id, uint64_t former,
			uint64_t *owner);
void ivshmem_owner_end(const struct ivshmem *handle, uint64_t owner);

/* Whether this program can tell by itself if the owner lives. */
static inline bool ivshmem_owner_is_known(const struct ivshmem *handle, uint64_t owner)
{
	return owner & OWNER_IS_WITNESSED && ivshmem_is_on_host(handle);
}

/* Whether it is certain that it does not. */
bool ivshmem_owner_has_ended(const struct ivshmem *handle, uint64_t owner);

#endif /* IVSHMEM_OWNER_H */
