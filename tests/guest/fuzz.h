/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What fuzzers have in common: chance, which a seed repeats, and a table of what
 * there is to do.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <signal.h>
#include <stdint.h>
#include <time.h>

#include "guarded.h"

static __thread uint64_t random_state;

static inline uint64_t draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dULL;
}

static inline unsigned int below(unsigned int end)
{
	return (draw() >> 32) % end;
}

static inline bool once_in(unsigned int times)
{
	return !below(times);
}

/* One operation; each fuzzer says what it consists of. */
struct op;

/* What there is to do, and how often. */
struct kind {
	void (*run)(const struct op *o);
	unsigned int often;
};

static inline unsigned int draw_kind(const struct kind *kinds, unsigned int count)
{
	unsigned int kind = 0, left, all = 0;

	for (unsigned int i = 0; i < count; i++)
		all += kinds[i].often;
	for (left = below(all); left >= kinds[kind].often; kind++)
		left -= kinds[kind].often;
	return kind;
}

static inline void fuzz_seed(uint64_t seed)
{
	random_state = seed * 2 + 1;
	for (int i = 0; i < 8; i++)
		draw();
}

static inline void on_alarm(int signal)
{
	(void)signal;
}

/* A signal that interrupts whatever takes this thread long. */
static inline void alarm_often(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	struct itimerspec often = { { .tv_nsec = 20000000 }, { .tv_nsec = 20000000 } };
	struct sigaction alarm = { .sa_handler = on_alarm };
	timer_t timer;

	sigaction(SIGALRM, &alarm, NULL);
	event._sigev_un._tid = gettid();
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &often, NULL);
}

#endif
