/* SPDX-License-Identifier: GPL-2.0-only */
/* As much of io_uring as tests need: one request at a time. */
#ifndef URING_H
#define URING_H

#include <linux/io_uring.h>

#include "dev.h"

#define URING_ENTRIES 4

struct uring {
	int fd;
	struct io_uring_params params;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
};

/* 0 or a negative errno: some kernels have no io_uring, or only for root. */
int uring_open(struct uring *ring, uint32_t flags, uint32_t idle_ms);

/* Submit a request. */
int uring_submit(struct uring *ring, const struct io_uring_sqe *sqe);

/* Is the oldest request complete? Its result goes to *@res. */
bool uring_done(struct uring *ring, int *res);

/* Wait for the oldest request; its result, or -ETIME. */
int uring_wait(struct uring *ring, int seconds);

#endif
