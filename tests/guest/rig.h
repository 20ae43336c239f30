/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a guest test can ask its host for. The verbs are documented in
 * tests/rig/verbs.py; one request at a time.
 */
#ifndef RIG_H
#define RIG_H

#include <string.h>
#include <unistd.h>

#include "tap.h"

#define RIG_DEVICE "/dev/ivshmem0"

/* A number from the environment; ends the test if it is not there. */
int rig_number(const char *name);

/* Which guest of the test this is, from 0, and how many there are. */
static inline int rig_guest(void)
{
	return rig_number("RIG_GUEST");
}

static inline int rig_guests(void)
{
	return rig_number("RIG_GUESTS");
}

/* Is the device from this transport: pci, window or memory? */
static inline bool rig_over(const char *transport)
{
	const char *value = getenv("RIG_OVER");

	return value && !strcmp(value, transport);
}

/* How often to repeat what is better repeated many times: a twentieth of that if
 * the rig is in a hurry.
 */
static inline int rig_times(int times)
{
	const char *quick = getenv("RIG_QUICK");

	return quick && *quick ? times / 20 : times;
}

/* A number that was said to the rig, as NAME=..., or else another. */
static inline long rig_said(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtol(text, NULL, 0) : otherwise;
}

/* How often devices come and go, usually: CYCLES= of the rig says another number. */
static inline int rig_cycles(int usual)
{
	return rig_said("RIG_CYCLES", usual < 100 ? usual : rig_times(usual));
}

/* Does the machine have S3, from which the host can wake it? */
bool rig_can_sleep(void);

/* Sleep until the host wakes the machine; 0, or what went wrong is noted. */
int rig_sleep(void);

/* Ask the host; ends the test if it refuses. Gives the result ("" if none),
 * valid until the next request.
 */
__attribute__((format(printf, 1, 2)))
const char *rig_ask(const char *fmt, ...);

/* The same; gives NULL if the host refuses. */
__attribute__((format(printf, 1, 2)))
const char *rig_try(const char *fmt, ...);

#endif
