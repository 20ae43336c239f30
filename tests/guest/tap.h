/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TAP for guest tests: each check is one numbered line, the plan comes last.
 * A test is a main() of tap_ok() calls that ends with "return tap_done();".
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* One count for all files of a program that include this. */
__attribute__((weak)) unsigned int tap_points, tap_failures;

/* What the next points are about; it begins their descriptions. "" ends that. */
__attribute__((weak)) char tap_subject[40];

static inline void tap_about(const char *subject)
{
	snprintf(tap_subject, sizeof(tap_subject), "%s%s", subject, *subject ? ": " : "");
}

static inline void tap_vline(const char *head, const char *fmt, va_list args)
{
	fputs(head, stdout);
	vprintf(fmt, args);
	putchar('\n');
	fflush(stdout);
}

/* A line that explains a failure. It belongs before the point. */
__attribute__((format(printf, 1, 2)))
static inline void tap_note(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	tap_vline("# ", fmt, args);
	va_end(args);
}

/* One check; gives its result. */
__attribute__((format(printf, 2, 3)))
static inline bool tap_ok(bool passed, const char *fmt, ...)
{
	char head[80];
	va_list args;

	tap_points++;
	tap_failures += !passed;
	snprintf(head, sizeof(head), "%sok %u - %s", passed ? "" : "not ", tap_points,
		 tap_subject);
	va_start(args, fmt);
	tap_vline(head, fmt, args);
	va_end(args);
	return passed;
}

/* Two numbers must be equal; a failure shows both. */
#define tap_eq(value, expected, ...) ({ \
	long long tap_v = (value), tap_e = (expected); \
	if (tap_v != tap_e) \
		tap_note("%s:%d: %s is %lld, not %lld", __FILE__, __LINE__, \
			 #value, tap_v, tap_e); \
	tap_ok(tap_v == tap_e, __VA_ARGS__); \
})

/* A check that is not possible here, and why. */
static inline void tap_skip(const char *what, const char *why)
{
	printf("ok %u - %s%s # SKIP %s\n", ++tap_points, tap_subject, what, why);
	fflush(stdout);
}

/* End the test at once. */
__attribute__((format(printf, 1, 2), noreturn))
static inline void tap_bail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	tap_vline("Bail out! ", fmt, args);
	va_end(args);
	exit(1);
}

/* Prints the plan; the exit status of the test. */
static inline int tap_done(void)
{
	printf("1..%u\n", tap_points);
	fflush(stdout);
	return tap_failures ? 1 : 0;
}

#endif
