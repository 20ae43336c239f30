// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the library logs, to a function and as IVSHMEM_LOG says (lib/log.c).
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/fake_server.h"
#include "ivshmem_sync.h"

#define NOBODY	65534

static char log_text[1 << 16];	/* a line "LEVEL TEXT" for each event */

static void keep(void *argument, int level, const char *text)
{
	size_t used = strlen(log_text);

	if (argument != log_text)
		tap_bail("the log's function gets another argument");
	snprintf(log_text + used, sizeof(log_text) - used, "%d %s\n", level, text);
}

/* Whether this has been logged since the last call. Each text begins with the handle's name. */
static void logged(int level, const char *text)
{
	char line[300];

	snprintf(line, sizeof(line), "%d %s: %s\n", level, scratch("socket"), text);
	if (!tap_ok(strstr(log_text, line), "%s", text))
		tap_note("log: %s", log_text);
}

static void forget(void)
{
	*log_text = '\0';
}

static void test_peers(struct ivshmem **a, struct ivshmem **b)
{
	*a = must_open(0);
	logged(IVSHMEM_LOG_INFO, "connected");
	logged(IVSHMEM_LOG_INFO, "joined as peer 0 with 2 vectors, 0x100000 bytes; other peers: 0");
	forget();
	*b = must_open(0);
	logged(IVSHMEM_LOG_INFO, "joined as peer 1 with 2 vectors, 0x100000 bytes; other peers: 1");
	tap_ok(eventually(ivshmem_peers(*a, NULL, 0) == 1), "a peer comes");
	logged(IVSHMEM_LOG_INFO, "peer 1 is there");
	ivshmem_peer_gone(*a, 9);
	logged(IVSHMEM_LOG_INFO, "peer 9 is reported to be gone");
}

static void test_channels(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_channel_options options = { .offset = 4096 };
	struct ivshmem_channel *one, *other, *successor;
	char text[8];

	forget();
	ivshmem_channel_attach(a, &options, ivshmem_after(1000000), &other);
	logged(IVSHMEM_LOG_INFO, "channel at 0x1000: waiting for its creator");
	options.size = 8192;
	one = must_create(a, &options);
	other = must_attach(b, &options);
	handshake(one, other);
	logged(IVSHMEM_LOG_INFO, "channel at 0x1000: open to send to peer 1");
	logged(IVSHMEM_LOG_INFO, "channel at 0x1000: open to receive from peer 0");
	successor = must_attach(b, &options);
	tap_eq(say(other, "no"), -ESTALE, "an end is replaced");
	logged(IVSHMEM_LOG_ERROR, "channel at 0x1000: another program has taken over this end");
	tap_eq(ivshmem_channel_recv(one, text, sizeof(text), 0), -ECONNRESET, "the other hears");
	logged(IVSHMEM_LOG_INFO, "channel at 0x1000: the other end has restarted");
	handshake(one, successor);
	ivshmem_channel_close(successor);
	ivshmem_channel_recv(one, text, sizeof(text), 0);
	logged(IVSHMEM_LOG_INFO, "channel at 0x1000: the other end has closed");
	ivshmem_channel_shutdown(one);
	logged(IVSHMEM_LOG_INFO, "channel at 0x1000: this end has been shut down");
	ivshmem_channel_close(other);
	ivshmem_channel_close(one);
}

static void die_with_mutex(void)
{
	struct ivshmem_mutex *mutex;
	struct ivshmem *handle = must_open(0);

	if (ivshmem_mutex_open(handle, 0, 0, IVSHMEM_SYNC_CREATE, &mutex) ||
	    ivshmem_mutex_lock(mutex, 0))
		_exit(1);
	raise(SIGKILL);
}

static void test_mutex(struct ivshmem *handle, struct ivshmem *other)
{
	struct ivshmem_mutex *mutex;

	if (!fork())
		die_with_mutex();
	wait(NULL);
	forget();
	if (ivshmem_mutex_open(handle, 0, 0, 0, &mutex))
		tap_bail("no mutex");
	tap_eq(ivshmem_mutex_lock(mutex, ivshmem_after(PATIENCE)), -EOWNERDEAD,
	       "the owner of a mutex has died");
	logged(IVSHMEM_LOG_INFO, "mutex at 0: taken from peer 2: it has died");
	ivshmem_mutex_close(mutex);
	logged(IVSHMEM_LOG_INFO, "mutex at 0: taken from peer 0: it closes it");
	/* That is logged as well, when it is heard. */
	if (!eventually(ivshmem_peers(handle, NULL, 0) == 1 && ivshmem_peers(other, NULL, 0) == 1))
		tap_bail("the dead peer does not leave");
}

/* As if a program on a device without doorbells used it as well. */
static void test_polling(struct ivshmem *handle)
{
	struct ivshmem_event *event;
	uint32_t *words;
	void *memory;

	if (ivshmem_map(handle, 0, 0, &memory) ||
	    ivshmem_event_open(handle, 2048, 0, IVSHMEM_SYNC_CREATE, &event))
		tap_bail("no event");
	words = memory;
	words[2048 / 4 + 2] = 0x6d757465;
	forget();
	ivshmem_event_wait(event, ivshmem_after(1000000));
	logged(IVSHMEM_LOG_INFO, "object at 0x800: polling: a user has no doorbells");
	forget();
	ivshmem_event_wait(event, ivshmem_after(1000000));
	tap_ok(!*log_text, "only once");
	ivshmem_event_close(event);
	ivshmem_unmap(handle, memory, 1 << 20);
}

static void test_levels(struct ivshmem *handle)
{
	forget();
	ivshmem_set_log(IVSHMEM_LOG_ERROR, keep, log_text);
	ivshmem_peer_gone(handle, 9);
	tap_ok(!*log_text, "error: nothing else");
	ivshmem_set_log(IVSHMEM_LOG_INFO, keep, log_text);
	ivshmem_ring(handle, 70000, 0);
	tap_ok(!*log_text, "info: no reasons of errors");
	ivshmem_set_log(IVSHMEM_LOG_DEBUG, keep, log_text);
	ivshmem_ring(handle, 70000, 0);
	tap_ok(!strcmp(log_text, "3 peer 70000: the last one is 65535 (Invalid argument)\n"),
	       "debug: the reasons of errors");
}

static void test_end(struct ivshmem *handle, pid_t server)
{
	ivshmem_set_log(IVSHMEM_LOG_ERROR, keep, log_text);
	stop_server(server, SIGKILL);
	tap_eq(ivshmem_peers(handle, NULL, 0), -ENODEV, "the server ends");
	logged(IVSHMEM_LOG_ERROR,
	       "the connection is over: the server has closed the connection");
	forget();
	ivshmem_peers(handle, NULL, 0);
	tap_ok(!*log_text, "only once");
}

static void version_1(int client)
{
	put(client, 1, NONE);
}

static void test_protocol(void)
{
	struct ivshmem *handle;
	pthread_t thread;

	unlink(scratch("socket"));
	fake_listen();
	thread = fake_run(version_1);
	ivshmem_open(&handle, scratch("socket"), 0);
	pthread_join(thread, NULL);
	logged(IVSHMEM_LOG_ERROR,
	       "cannot open: the server's protocol has version 1 instead of 0");
}

/* What a program (this one) prints that makes a wrong call; run by a user (0: this one). */
static const char *output(const char *program, const char *level, uid_t user)
{
	static char text[1000];
	int fd = open(scratch("output"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	int file = open(program, O_RDONLY | O_CLOEXEC);
	char *const words[] = { "lib_log", "wrong", NULL };
	ssize_t size;

	if (!fork()) {
		if (level)
			setenv("IVSHMEM_LOG", level, 1);
		else
			unsetenv("IVSHMEM_LOG");
		dup2(fd, STDERR_FILENO);
		if (!user || !setuid(user))
			fexecve(file, words, environ);
		dprintf(STDERR_FILENO, "cannot run: %m");
		_exit(1);
	}
	wait(NULL);
	size = pread(fd, text, sizeof(text) - 1, 0);
	close(file);
	close(fd);
	text[size > 0 ? size : 0] = '\0';
	return text;
}

static void test_environment(void)
{
	const char *line, *self = "/proc/self/exe";

	tap_ok(!*output(self, NULL, 0), "IVSHMEM_LOG is not set: nothing");
	tap_ok(!*output(self, "info", 0), "IVSHMEM_LOG=info: no reasons");
	tap_ok(!*output(self, "", 0), "IVSHMEM_LOG is empty: nothing");
	line = output(self, "nonsense", 0);
	if (!tap_ok(strstr(line, "]: error: IVSHMEM_LOG is neither off, error, info nor debug\n") &&
		    strchr(line, '\n') == line + strlen(line) - 1, "IVSHMEM_LOG=nonsense: that alone"))
		tap_note("%s", line);
	line = output(self, "debug", 0);
	if (!tap_ok(!strncmp(line, "ivshmem[", 8) &&
		    strstr(line, "]: debug: unknown flags 0x6 (Invalid argument)\n"),
		    "IVSHMEM_LOG=debug: the reason"))
		tap_note("%s", line);
}

/* A program that runs with another user's rights does not listen to its caller. */
static void test_setuid(void)
{
	const char *copy = scratch("copy");
	const char *line;
	char command[300];
	struct statvfs fs;

	snprintf(command, sizeof(command), "cp /proc/%d/exe %s", (int)getpid(), copy);
	if (geteuid() || statvfs(scratch(""), &fs) || fs.f_flag & ST_NOSUID) {
		tap_skip("a set-user-ID program", "needs root and a file system without nosuid");
		return;
	}
	if (system(command) || chmod(copy, 0755))
		tap_bail("no copy of the program");
	line = output(copy, "debug", NOBODY);
	if (!tap_ok(strstr(line, "unknown flags"), "another user: the reason"))
		tap_note("%s", line);
	chmod(copy, 04755);
	line = output(copy, "debug", NOBODY);
	if (!tap_ok(!*line, "another user, but set-user-ID: nothing"))
		tap_note("%s", line);
}

int main(int argc, char **argv)
{
	struct ivshmem *a, *b;
	pid_t server;

	(void)argv;
	if (argc > 1)
		return ivshmem_open(&a, "x", 6) != -EINVAL;
	server = start_server("--memfd", "-l", "1M", "-n", "2", NULL);
	ivshmem_set_log(IVSHMEM_LOG_INFO, keep, log_text);
	test_peers(&a, &b);
	test_channels(a, b);
	test_mutex(a, b);
	test_polling(a);
	ivshmem_close(b);
	tap_ok(eventually(ivshmem_peers(a, NULL, 0) == 0), "a peer goes");
	logged(IVSHMEM_LOG_INFO, "peer 1 has left");
	test_levels(a);
	test_end(a, server);
	ivshmem_close(a);
	test_protocol();
	test_environment();
	test_setuid();
	return tap_done();
}
