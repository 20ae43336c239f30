/* SPDX-License-Identifier: GPL-2.0-only */
/* Requests to the host, one at a time. tests/rig/verbs.py documents the verbs. */
#ifndef RIG_H
#define RIG_H

#include <string.h>
#include <unistd.h>

#include "tap.h"

/* The node that tests use: a device, or a partition of one with polled doorbells. */
static inline const char *rig_device(void)
{
	const char *path = getenv("RIG_DEVICE");

	return path ? path : "/dev/ivshmem0";
}

#define RIG_DEVICE rig_device()

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

/* Is the device from this transport: pci, window, memory or polled? */
static inline bool rig_over(const char *transport)
{
	const char *value = getenv("RIG_OVER");

	return value && !strcmp(value, transport);
}

/* The number of repetitions: @times, or a twentieth if RIG_QUICK is set. */
static inline int rig_times(int times)
{
	const char *quick = getenv("RIG_QUICK");

	return quick && *quick ? times / 20 : times;
}

/* A number given to the rig as NAME=..., or a default. */
static inline long rig_said(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtol(text, NULL, 0) : otherwise;
}

/* How often devices come and go: @usual, or the rig's CYCLES=. */
static inline int rig_cycles(int usual)
{
	return rig_said("RIG_CYCLES", usual < 100 ? usual : rig_times(usual));
}

/* Does the machine have S3, and resume from it? */
bool rig_can_sleep(void);

/* Sleep until the host wakes the machine; 0, or -1 and a note. */
int rig_sleep(void);

/*
 * Ask the host; ends the test if it refuses. The result ("" if none) is valid until the
 * next request.
 */
__attribute__((format(printf, 1, 2)))
const char *rig_ask(const char *fmt, ...);

/* The same; gives NULL if the host refuses. */
__attribute__((format(printf, 1, 2)))
const char *rig_try(const char *fmt, ...);

#endif
