// SPDX-License-Identifier: GPL-2.0-only
/*
 * Logging.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

static bool verbose_log;
static bool use_syslog;
static bool use_journal;

static const char *const names[] = {
	[LOG_ERR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

/* Is stderr the journal? See JOURNAL_STREAM in systemd.exec(5). */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	       st.st_ino == inode;
}

void log_open(bool verbose)
{
	verbose_log = verbose;
	use_journal = is_journal();
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
	else if (use_journal)
		fprintf(stderr, "<%d>%s\n", severity, line);
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
