// SPDX-License-Identifier: GPL-2.0-only
/* Random numbers and interruptions for fuzzers: see fuzz.h. */
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "../fuzz.h"

static __thread uint64_t random_state;

uint64_t draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dULL;
}

unsigned int below(unsigned int end)
{
	return (draw() >> 32) % end;
}

unsigned int draw_kind(const struct kind *kinds, unsigned int count)
{
	unsigned int kind = 0, left, all = 0;

	for (unsigned int i = 0; i < count; i++)
		all += kinds[i].often;
	for (left = below(all); left >= kinds[kind].often; kind++)
		left -= kinds[kind].often;
	return kind;
}

void fuzz_seed(uint64_t seed)
{
	random_state = seed * 2 + 1;
	for (int i = 0; i < 8; i++)
		draw();
}

static void on_alarm(int signal)
{
	(void)signal;
}

void alarm_often(void)
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
