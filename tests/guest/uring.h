/* SPDX-License-Identifier: GPL-2.0-only */
/* As much of io_uring as tests need: one request at a time. */
#ifndef URING_H
#define URING_H

#include <linux/io_uring.h>
#include <sys/uio.h>

#include "dev.h"

#define URING_ENTRIES 4
#define URING_PATIENCE 10	/* seconds, for a request that should not wait */

struct uring {
	int fd;
	struct io_uring_params params;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
};

/* 0 or a negative errno: some kernels have no io_uring, or only for root. */
int uring_open(struct uring *ring, uint32_t flags, uint32_t idle_ms);

void uring_close(struct uring *ring);

/* Make memory the ring's only fixed buffer; 0 or a negative errno. */
int uring_register(struct uring *ring, const struct iovec *memory);

/*
 * Did one of these fail for want of io_uring, or of fixed buffers of such memory? Kernels before
 * 6.12 take none.
 */
static inline bool uring_lacks_buffers(int ret)
{
	return ret == -ENOSYS || ret == -EPERM || (ret == -EOPNOTSUPP && !kernel_since(6, 12));
}

/* Submit a request. */
int uring_submit(struct uring *ring, const struct io_uring_sqe *sqe);

/* Is the oldest request complete? Its result goes to *@res. */
bool uring_done(struct uring *ring, int *res);

/* Wait for the oldest request; its result, or -ETIME. */
int uring_wait(struct uring *ring);

/* A request to read or write. */
struct io_uring_sqe uring_request(int opcode, int fd, void *buffer, uint32_t size, off_t offset);

/* Do one request; its result, or -ETIME. */
int uring_do(struct uring *ring, struct io_uring_sqe sqe);

#endif
