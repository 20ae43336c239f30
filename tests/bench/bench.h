/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs of the bench have in common. Each measures one thing once
 * and prints what it found as lines of JSON, which bench.py collects; tests'
 * helpers give devices, clocks and the line to the host.
 */
#ifndef BENCH_H
#define BENCH_H

#include <sys/resource.h>

#include "dev.h"

/* Words of the two guests for each other; the data comes after them. */
#define CONTROL_OFFSET	0
#define DATA_OFFSET	(1 << 20)

static inline void bench_value(const char *key, double value)
{
	printf("{\"%s\": %.3f}\n", key, value);
	fflush(stdout);
}

static int bench_by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The value that a part of the samples is not above; sorts them. */
static inline int64_t bench_quantile(int64_t *samples, size_t n, double part)
{
	qsort(samples, n, sizeof(*samples), bench_by_value);
	return samples[(size_t)(part * (n - 1))];
}

/* Processor time of this process so far. */
static inline int64_t bench_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static inline void bench_pause(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

/* Anything that cannot fail here; says what did. */
#define must(call) ({ \
	long long must_ = (long long)(call); \
	if (must_ < 0) \
		tap_bail("%s: %s", #call, strerror(errno)); \
	must_; \
})

#endif
