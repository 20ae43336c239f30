/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the server says: one line of key=value pairs per event, on stderr in
 * the foreground (with the journal's mark of severity if it goes there), and to
 * syslog from a daemon.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <syslog.h>

/* Severity is LOG_ERR to LOG_DEBUG; debug lines only if verbose. */
void log_open(bool verbose);
void log_to_syslog(void);
void log_event(int severity, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The severity of what an overload repeats: aloud once a second only. */
int log_limited(int severity);

#endif /* LOG_H */
