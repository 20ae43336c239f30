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

static inline int rig_number(const char *name)
{
	const char *value = getenv(name);

	if (!value)
		tap_bail("%s is not set: run this through make check", name);
	return atoi(value);
}

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

/* One line from the host, a byte at a time: the next line is not ours yet. It
 * sends zeros between lines, to see whether we are there.
 */
static inline void rig_read_line(char *line, size_t size)
{
	size_t length = 0;
	char c;

	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		if (c && length + 1 < size)
			line[length++] = c;
	line[length] = '\0';
}

static inline const char *rig_vask(bool must, const char *fmt, va_list args)
{
	static char line[65536];
	char request[4096];

	vsnprintf(request, sizeof(request), fmt, args);
	printf("@rig %s\n", request);
	fflush(stdout);
	rig_read_line(line, sizeof(line));
	if (!strncmp(line, "ok", 2))
		return line[2] == ' ' ? line + 3 : line + 2;
	if (must)
		tap_bail("%s: %s", request, line);
	return NULL;
}

/* Does the machine have S3, from which the host can wake it? */
static inline bool rig_can_sleep(void)
{
	/* With KCSAN, Linux 6.12 does not wake up, with no device at all. */
	bool wakes = access("/sys/kernel/debug/kcsan", F_OK);
	FILE *f = wakes ? fopen("/sys/power/mem_sleep", "r") : NULL;
	char line[64] = "";

	if (f && !fgets(line, sizeof(line), f))
		line[0] = '\0';
	if (f)
		fclose(f);
	return strstr(line, "deep");
}

/* Sleep until the host wakes the machine; 0, or what went wrong is noted. */
static inline int rig_sleep(void)
{
	FILE *state = fopen("/sys/power/state", "w");
	char line[128];
	bool slept;

	printf("@rig suspended-wakeup\n");
	fflush(stdout);
	slept = state && fputs("mem", state) >= 0 && !fclose(state);
	rig_read_line(line, sizeof(line));
	if (slept && !strcmp(line, "ok"))
		return 0;
	tap_note("%s, host: %s", slept ? "slept" : "did not sleep", line);
	return -1;
}

/* Ask the host; ends the test if it refuses. Gives the result ("" if none),
 * valid until the next request.
 */
__attribute__((format(printf, 1, 2)))
static inline const char *rig_ask(const char *fmt, ...)
{
	const char *result;
	va_list args;

	va_start(args, fmt);
	result = rig_vask(true, fmt, args);
	va_end(args);
	return result;
}

/* The same; gives NULL if the host refuses. */
__attribute__((format(printf, 1, 2)))
static inline const char *rig_try(const char *fmt, ...)
{
	const char *result;
	va_list args;

	va_start(args, fmt);
	result = rig_vask(false, fmt, args);
	va_end(args);
	return result;
}

#endif
