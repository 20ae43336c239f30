// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instances of tracefs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "textfile.h"
#include "tracefs.h"

#define CLOSE_NS	INT64_C(2000000000)

/* The second is the traditional place, in debugfs. */
static const char *const places[] = {
	"/sys/kernel/tracing", "/sys/kernel/debug/tracing"
};

static const char *find_place(void)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/instances", places[i]);
		if (!access(path, F_OK))
			return places[i];
	}
	return NULL;
}

static enum exit_code find_driver(const char **place)
{
	char path[PATH_MAX];

	*place = find_place();
	if (!*place)
		return complain(EXIT_FAILED,
				"tracefs is not mounted: sudo mount -t tracefs tracefs /sys/kernel/tracing; if that fails, the kernel lacks CONFIG_FTRACE");
	snprintf(path, sizeof(path), "%s/events/ivshmem", *place);
	if (access(path, F_OK))
		return complain(EXIT_NO_DEVICE,
				"the driver is not loaded, or the kernel has no tracepoints: sudo modprobe ivshmem, or run 'ivshmemctl doctor'");
	return EXIT_OK;
}

int tracefs_write(const struct tracefs *instance, const char *file, const char *text)
{
	char path[PATH_MAX];
	int fd, error = 0;

	snprintf(path, sizeof(path), "%s/%s", instance->path, file);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

bool tracefs_has(const struct tracefs *instance, const char *file, const char *word)
{
	char path[PATH_MAX], line[512], *rest = line, *found;

	snprintf(path, sizeof(path), "%s/%s", instance->path, file);
	if (read_line(path, line, sizeof(line)))
		return false;
	while ((found = strsep(&rest, " ")))
		if (!strcmp(found, word))
			return true;
	return false;
}

/* An instance inherits the format of lines and can change it. */
static int set_format(const struct tracefs *instance)
{
	int error = tracefs_write(instance, "trace_clock", "mono");

	tracefs_write(instance, "options/context-info", "1");
	tracefs_write(instance, "options/irq-info", "1");
	tracefs_write(instance, "options/latency-format", "0");
	return error;
}

static enum exit_code make_directory(struct tracefs *instance, const char *suffix)
{
	const char *place;
	enum exit_code code = find_driver(&place);

	if (code)
		return code;
	snprintf(instance->path, sizeof(instance->path), "%s/instances/ivshmemctl-%d%s",
		 place, getpid(), suffix);
	if (!mkdir(instance->path, 0700))
		return EXIT_OK;
	complain(EXIT_FAILED, "cannot create %s: %s", instance->path, strerror(errno));
	*instance->path = '\0';
	return EXIT_FAILED;
}

enum exit_code tracefs_make(struct tracefs *instance, const char *suffix)
{
	enum exit_code code = make_directory(instance, suffix);
	int error;

	if (code)
		return code;
	error = set_format(instance);
	if (!error)
		return EXIT_OK;
	complain(EXIT_FAILED, "cannot use %s: %s", instance->path, strerror(-error));
	tracefs_remove(instance);
	return EXIT_FAILED;
}

enum exit_code tracefs_open_pipe(struct tracefs *instance)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/trace_pipe", instance->path);
	instance->pipe = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (instance->pipe >= 0)
		return EXIT_OK;
	return complain(EXIT_FAILED, "cannot read %s: %s", path, strerror(errno));
}

/* The command that was traced may have files open in it, and its children as well. */
static int remove_when_closed(const char *path)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	int64_t end = now_ns() + CLOSE_NS;
	int error;

	while ((error = rmdir(path)) && errno == EBUSY && now_ns() < end)
		nanosleep(&moment, NULL);
	return error;
}

void tracefs_remove(struct tracefs *instance)
{
	if (instance->pipe >= 0)
		close(instance->pipe);
	instance->pipe = -1;
	if (*instance->path && remove_when_closed(instance->path))
		complain(EXIT_FAILED, "cannot remove %s: %s: when no program has its files open any more: sudo rmdir %s",
			 instance->path, strerror(errno), instance->path);
	*instance->path = '\0';
}
