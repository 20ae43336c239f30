// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where log lines go.
 */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "log.h"

static bool verbose_log;
static bool use_syslog;

static const char *const names[] = {
	[LOG_ERR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

void log_open(bool verbose)
{
	verbose_log = verbose;
}

void log_to_syslog(void)
{
	openlog("ivshmem-server", LOG_PID, LOG_DAEMON);
	use_syslog = true;
}

void log_event(int severity, const char *format, ...)
{
	char line[512];
	va_list arguments;

	if (severity == LOG_DEBUG && !verbose_log)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (use_syslog)
		syslog(severity, "%s", line);
	else
		fprintf(stderr, "level=%s %s\n", names[severity], line);
}

int log_limited(int severity)
{
	static time_t last;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec == last)
		return LOG_DEBUG;
	last = now.tv_sec;
	return severity;
}
