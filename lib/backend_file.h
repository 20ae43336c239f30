/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file on the host: what any has (backend_file.c), and those with a peer area (member.c).
 */
#ifndef IVSHMEM_BACKEND_FILE_H
#define IVSHMEM_BACKEND_FILE_H

#include "handle.h"

struct member;

struct file {
	struct ivshmem base;
	struct member *member;		/* NULL: there is no peer area */
};

static inline struct file *to_file(struct ivshmem *handle)
{
	return (struct file *)handle;
}

void ivshmem_file_properties(const struct ivshmem *handle, struct ivshmem_properties *out);

/* Unmap and close what any file has. */
void ivshmem_file_close(struct ivshmem *handle);

/* Become a peer of others, if the file has a peer area: 0, also if not; or an error. */
int ivshmem_member_join(struct file *file);

#endif /* IVSHMEM_BACKEND_FILE_H */
