/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Without the timer that would repair a lost wake-up after a while, a loss is a hang.
 */
#ifndef TIMER_H
#define TIMER_H

#include <sys/timerfd.h>

#include "../../../lib/listener.h"

static inline void stop_timer(struct ivshmem_listener *listener)
{
	listener->interval = 0;
	listener->poll = 0;
	timerfd_settime(listener->timer, 0, &(struct itimerspec){ 0 }, NULL);
}

#endif /* TIMER_H */
