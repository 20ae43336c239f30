/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the programs of the bench. Each measures one thing once and prints the
 * figures as lines of JSON, which bench.py collects. Devices, clocks and requests to the
 * host are those of the guest tests.
 */
#ifndef BENCH_H
#define BENCH_H

#include <sys/resource.h>

#include "dev.h"

/* The region begins with words that the two guests share; the data follows. */
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

/* A quantile of the samples, 0.5 for the median; sorts them. */
static inline int64_t bench_quantile(int64_t *samples, size_t n, double part)
{
	qsort(samples, n, sizeof(*samples), bench_by_value);
	return samples[(size_t)(part * (n - 1))];
}

/* Processor time that this process has used. */
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

#endif
