// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sleeping on a word of the region.
 *
 * Who can be rung sleeps until that happens. But a doorbell can get lost when
 * the one who rings has not yet been told by the server that the other has
 * joined, and neither side learns that. And of a disconnect only one of several
 * threads may be told. So the first sleeps of a wait are short, and each is twice as
 * long as the one before, but never longer than the time after which somebody would
 * come and look what is the matter.
 *
 * Who cannot be rung (a device without doorbells) polls. It sleeps in no call of the handle,
 * and so has to ask whether that still works.
 */
#include <errno.h>
#include <time.h>

#include "park.h"
#include "partition.h"

#define FIRST_SLEEP_NS	INT64_C(20000000)
#define LAST_SLEEP_NS	INT64_C(10000000000)
#define FIRST_POLL_NS	INT64_C(20000)
#define LAST_POLL_NS	INT64_C(1000000)
#define ASK_NS		INT64_C(100000000)

int64_t ivshmem_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * NSEC_PER_SEC + time.tv_nsec;
}

int64_t ivshmem_after(int64_t nanoseconds)
{
	int64_t time = ivshmem_now();

	if (nanoseconds < 0)
		return IVSHMEM_FOREVER;
	return time > INT64_MAX - nanoseconds ? IVSHMEM_FOREVER :
						time + nanoseconds;
}

bool ivshmem_has_doorbell(struct ivshmem *handle, uint32_t vector)
{
	return vector < ivshmem_own_vectors(handle);
}

static int sleep_until(int64_t until)
{
	struct timespec time = {
		.tv_sec = until / NSEC_PER_SEC,
		.tv_nsec = until % NSEC_PER_SEC,
	};

	return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static int poll_until(struct ivshmem *handle, int64_t start, int64_t until)
{
	int error = sleep_until(until);

	if (!error && start / ASK_NS != ivshmem_now() / ASK_NS)
		error = handle->ops->listen(handle);
	return error;
}

static int sleep_on_word(const struct ivshmem_park *park, uint32_t seen,
			 int64_t until)
{
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_WORD | IVSHMEM_WAIT_ABSTIME,
		.vector = park->vector,
		.offset = park->offset,
		.expected = seen,
		.timeout_ns = until,
	};
	int error = ivshmem_wait(park->handle, &options, NULL);

	return error == -ETIMEDOUT ? 0 : error;
}

int64_t ivshmem_next_interval(int64_t interval, bool rung)
{
	int64_t first = rung ? FIRST_SLEEP_NS : FIRST_POLL_NS;
	int64_t last = rung ? LAST_SLEEP_NS : LAST_POLL_NS;

	if (!interval)
		return first;
	return interval < last / 2 ? 2 * interval : last;
}

int ivshmem_park(struct ivshmem_park *park, uint32_t seen)
{
	int64_t time = ivshmem_now();
	int64_t until;

	/* On a guest a doorbell that has ended the last sleep leaves a cancelled thread running. */
	pthread_testcancel();
	if (ivshmem_is_over(park->deadline, time))
		return -ETIMEDOUT;
	park->interval = ivshmem_next_interval(park->interval, park->rung);
	until = time + park->interval;
	if (ivshmem_is_over(park->deadline, until))
		until = park->deadline;
	return park->rung ? sleep_on_word(park, seen, until) :
			    poll_until(park->handle, time, until);
}
