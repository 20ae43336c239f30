// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The log, and the reasons of errors.
 *
 * The lock of the log is taken last, with any other lock of the library held. So messages
 * come one at a time, and none comes after the call that has set another function.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handle.h"
#include "log.h"

static const char *const names[] = {
	[IVSHMEM_LOG_OFF] = "off",
	[IVSHMEM_LOG_ERROR] = "error",
	[IVSHMEM_LOG_INFO] = "info",
	[IVSHMEM_LOG_DEBUG] = "debug",
};

/* One write for each line, so that programs can share a terminal or a file. */
static void write_to_stderr(void *argument, int level, const char *text)
{
	(void)argument;
	dprintf(STDERR_FILENO, "ivshmem[%d]: %s: %s\n", (int)getpid(), names[level], text);
}

_Atomic int ivshmem_log_level;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* protects all below */
static ivshmem_log_function *log_function = write_to_stderr;
static void *log_argument;

static void lock_log(void)
{
	pthread_mutex_lock(&lock);
}

static void unlock_log(void)
{
	pthread_mutex_unlock(&lock);
}

void ivshmem_set_log(int level, ivshmem_log_function *function, void *argument)
{
	lock_log();
	log_function = function ? function : write_to_stderr;
	log_argument = argument;
	ivshmem_log_level = level;
	unlock_log();
}

static void write_text(int level, bool always, const char *format, va_list arguments)
{
	int cancel = ivshmem_cancel_off();
	int saved = errno;
	char text[512];

	vsnprintf(text, sizeof(text), format, arguments);
	lock_log();
	if (always || ivshmem_log_level >= level)
		log_function(log_argument, level, text);
	unlock_log();
	errno = saved;
	ivshmem_cancel_restore(cancel);
}

void ivshmem_write_log(int level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_text(level, false, format, arguments);
	va_end(arguments);
}

void ivshmem_write_always(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_text(IVSHMEM_LOG_ERROR, true, format, arguments);
	va_end(arguments);
}

/*
 * A child must not find the lock held by a thread that it does not have. Registered before
 * all other handlers, this one takes its lock last.
 */
static void __attribute__((constructor)) begin(void)
{
	const char *wanted = secure_getenv("IVSHMEM_LOG");
	int level;

	pthread_atfork(lock_log, unlock_log, unlock_log);
	if (!wanted || !*wanted)
		return;
	for (level = IVSHMEM_LOG_OFF; level <= IVSHMEM_LOG_DEBUG; level++) {
		if (!strcmp(wanted, names[level])) {
			ivshmem_log_level = level;
			return;
		}
	}
	ivshmem_write_always("IVSHMEM_LOG is neither off, error, info nor debug");
}

/* What this thread's latest error with a reason was. */
static _Thread_local struct {
	int error;
	char text[256];
} latest;

int ivshmem_fail(int error, const char *format, ...)
{
	char text[sizeof(latest.text)];
	int saved = errno;
	va_list arguments;

	/* The arguments may contain the latest text. */
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	memcpy(latest.text, text, sizeof(text));
	latest.error = error;
	errno = saved;
	ivshmem_log(IVSHMEM_LOG_DEBUG, "%s (%s)", text, strerror(-error));
	return error;
}

int ivshmem_late(int error)
{
	if ((error == -EAGAIN || error == -ETIMEDOUT) && latest.error == error) {
		latest.error = 0;
		latest.text[0] = '\0';
	}
	return error;
}

const char *ivshmem_error(int error)
{
	return error == latest.error ? latest.text : strerror(error < 0 ? -error : error);
}
