/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Logging: one line of key=value pairs per event, to stderr in the foreground (with the
 * severity prefix of the journal if that is the target), to syslog in the background.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <syslog.h>

/* Severity: LOG_ERR to LOG_DEBUG. LOG_DEBUG is printed only if verbose. */
void log_open(bool verbose);
void log_to_syslog(void);
void log_event(int severity, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Rate limit: returns @severity once a second, else LOG_DEBUG. */
int log_limited(int severity);

#endif /* LOG_H */
