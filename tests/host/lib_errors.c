// SPDX-License-Identifier: GPL-2.0-only
/*
 * Wrong calls, and what ivshmem_error() says about each (lib/log.c and all that fails).
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/fake_server.h"
#include "ivshmem_sync.h"
#include "../../lib/log.h"

#define SIZE	(1 << 20)	/* of the region */

static void says(int error, int expected, const char *text)
{
	if (!tap_ok(error == expected && !strcmp(ivshmem_error(error), text), "%s", text))
		tap_note("%d: %s", error, ivshmem_error(error));
}

static int map_error(struct ivshmem *handle, uint64_t offset, size_t length)
{
	void *address;

	return ivshmem_map(handle, offset, length, &address);
}

static int wait_error(struct ivshmem *handle, struct ivshmem_wait_options options)
{
	return ivshmem_wait(handle, &options, NULL);
}

static void test_handle(struct ivshmem *handle, struct ivshmem *reader)
{
	struct { struct ivshmem_wait_options known; uint64_t more; } future = { .more = 1 };
	struct ivshmem *none;

	tap_about("handle");
	says(ivshmem_open(&none, "x", 6), -EINVAL, "unknown flags 0x6");
	says(ivshmem_open(&none, "/tmp", 0), -ENOTTY, "neither a socket, a device nor a file");
	says(ivshmem_open(&none, "/dev/null", 0), -ENOTTY, "the device is not of ivshmem");
	says(ivshmem_open(&none, "/no", 0), -ENOENT, "No such file or directory");
	says(map_error(handle, 100, 0), -EINVAL,
	     "the offset 0x64 is not a multiple of the page size 0x1000");
	says(map_error(handle, SIZE, 0), -EINVAL,
	     "the offset 0x100000 is not in the region of 0x100000 bytes");
	says(map_error(handle, 4096, SIZE), -EINVAL,
	     "0x100000 bytes from 0x1000 on are more than the region has: 0x100000");
	says(ivshmem_unmap(handle, (void *)1, 4096), -EINVAL,
	     "not the address and the length of a mapping");
	says(ivshmem_ring(handle, 65536, 0), -EINVAL, "peer 65536: the last one is 65535");
	says(ivshmem_ring(handle, 0, 256), -EINVAL, "vector 256: the last one is 255");
	says(ivshmem_ring(reader, 0, 0), -EACCES, "the handle is read-only");
	says(ivshmem_peer_gone(handle, 70000), -EINVAL, "peer 70000: the last one is 65535");
	says(ivshmem_eventfd(handle, 2), -EINVAL, "vector 2: the last one is 1");
	says(wait_error(handle, (struct ivshmem_wait_options){ .flags = 0x18 }), -EINVAL,
	     "unknown flags 0x18");
	says(wait_error(handle, (struct ivshmem_wait_options){ .vector = 2 }), -EINVAL,
	     "vector 2: the last one is 1");
	says(wait_error(handle, (struct ivshmem_wait_options){ .spin_ns = 2000000000 }), -EINVAL,
	     "spinning for 2000000000 ns is longer than 1000000000 ns");
	says(wait_error(handle, (struct ivshmem_wait_options){ .flags = IVSHMEM_WAIT_WORD,
							       .offset = 6 }), -EINVAL,
	     "the word's offset 6 is not a multiple of 4");
	says(wait_error(handle, (struct ivshmem_wait_options){ .flags = IVSHMEM_WAIT_WORD,
							       .offset = SIZE }), -EINVAL,
	     "the word's offset 0x100000 is not in the region of 0x100000 bytes");
	says(wait_error(handle, (struct ivshmem_wait_options){ .flags = IVSHMEM_WAIT_SET }),
	     -EINVAL, "the set of vectors is empty");
	says(wait_error(handle, (struct ivshmem_wait_options){ .flags = IVSHMEM_WAIT_SET,
							       .set = { 3, 2 } }), -EINVAL,
	     "vector 65: the last one is 1");
	says(ivshmem_wait_sized(handle, &future.known, sizeof(future), NULL, 0), -E2BIG,
	     "the library knows 72 bytes of options, not byte 72");
}

static void test_ring(struct ivshmem *handle)
{
	tap_about("ring");
	says(ivshmem_ring(handle, 77, 0), -ENXIO, "there is no peer 77");
	says(ivshmem_ring(handle, 0, 2), -ENXIO,
	     "peer 0 has no vector 2: the last one is 1");
}

static int create_error(struct ivshmem *handle, struct ivshmem_channel_options options)
{
	struct ivshmem_channel *channel;

	return ivshmem_channel_create(handle, &options, &channel);
}

static int attach_error(struct ivshmem *handle, struct ivshmem_channel_options options)
{
	struct ivshmem_channel *channel;

	return ivshmem_channel_attach(handle, &options, 0, &channel);
}

#define OPTIONS(...) ((struct ivshmem_channel_options){ __VA_ARGS__ })

static void test_channel_options(struct ivshmem *handle, struct ivshmem *reader)
{
	tap_about("create");
	says(create_error(handle, OPTIONS(.offset = 100, .size = 8192)), -EINVAL,
	     "the channel's offset 100 is not a multiple of 128");
	says(create_error(handle, OPTIONS(.size = 8200)), -EINVAL,
	     "the channel's size 8200 is not a multiple of 128");
	says(create_error(handle, OPTIONS(.size = 4096)), -EINVAL,
	     "the channel's size 4096 is less than 4608");
	says(create_error(handle, OPTIONS(.offset = 4096, .size = SIZE)), -EINVAL,
	     "a channel of 0x100000 bytes at 0x1000 is not in the region of 0x100000 bytes");
	says(create_error(handle, OPTIONS(.size = 8192, .send_size = 300)), -EINVAL,
	     "the buffer's size 300 is not a multiple of 128");
	says(create_error(handle, OPTIONS(.size = 8192, .send_size = 3968)), -EINVAL,
	     "buffers of 3968 and 128 bytes: each needs 256, both have 4096");
	says(create_error(handle, OPTIONS(.size = 8192, .reserved = 1)), -EINVAL,
	     "a reserved field of the channel's options is not 0");
	says(create_error(handle, OPTIONS(.size = 8192, .spin_ns = 2000000000)), -EINVAL,
	     "spinning for 2000000000 ns is longer than 1000000000 ns");
	says(create_error(handle, OPTIONS(.size = 8192, .vector = 9)), -EINVAL,
	     "vector 9: the last one is 1");
	says(create_error(reader, OPTIONS(.size = 8192)), -EACCES, "the handle is read-only");
	tap_about("attach");
	says(attach_error(handle, OPTIONS(.offset = 1024)), -ENOENT,
	     "nobody has created a channel at 0x400");
	says(attach_error(handle, OPTIONS(.offset = SIZE)), -EINVAL,
	     "a channel at 0x100000 is not in the region of 0x100000 bytes");
}

/* What the range may contain when an end attaches: magic and version, then the sizes. */
static void test_channel_contents(struct ivshmem *handle)
{
	struct ivshmem_channel *channel;
	uint64_t *words;
	void *memory;

	tap_about("attach");
	channel = must_create(handle, &OPTIONS(.size = 8192));
	says(attach_error(handle, OPTIONS(.size = 4096)), -EMSGSIZE,
	     "the channel's size is 8192, not 4096");
	if (ivshmem_map(handle, 0, 0, &memory))
		tap_bail("no memory");
	words = memory;
	words[3]++;
	says(attach_error(handle, OPTIONS(0)), -EBADMSG,
	     "the creator says nonsense: the buffer's size 2049 is not a multiple of 128");
	words[1] = 77;
	says(attach_error(handle, OPTIONS(0)), -EPROTONOSUPPORT,
	     "the channel is of another version of the library");
	words[0] = __builtin_bswap64(words[0]);
	says(attach_error(handle, OPTIONS(0)), -EPROTONOSUPPORT,
	     "the channel's creator has another byte order");
	words[0] = 0;
	ivshmem_channel_close(channel);
	ivshmem_unmap(handle, memory, SIZE);
}

static void test_messages(struct ivshmem *handle)
{
	struct ivshmem_channel *a = must_create(handle, &OPTIONS(.size = 8192));
	struct ivshmem_channel *b, *other;
	char text[4096];
	void *room;

	tap_about("message");
	says(ivshmem_channel_release(a), -EINVAL,
	     "no message, for there is no session with the other end");
	b = must_attach(handle, &OPTIONS(0));
	handshake(a, b);
	says(ivshmem_channel_send(a, text, 4096, 0, 0), -EMSGSIZE,
	     "a message of 4096 bytes: the largest has 2032");
	says(ivshmem_channel_send(a, text, 1, 2, 0), -EINVAL, "unknown flags 0x2");
	says(ivshmem_channel_commit(a, 1, 0), -EINVAL, "no message is reserved");
	ivshmem_channel_reserve(a, 10, &room, 0);
	says(ivshmem_channel_commit(a, 11, 0), -EINVAL, "11 bytes are more than the 10 reserved");
	says(ivshmem_channel_commit(a, 10, 6), -EINVAL, "unknown flags 0x6");
	says(ivshmem_channel_release(b), -EINVAL, "no message to release: peek comes first");
	says((int)ivshmem_channel_recv(b, text, 100, 0), -EAGAIN, strerror(EAGAIN));
	say(a, "hello");
	says((int)ivshmem_channel_recv(b, text, 4, 0), -EMSGSIZE,
	     "a message of 5 bytes does not fit into 4");
	hear(b, "hello", 0);

	tap_about("end");
	ivshmem_channel_close(a);
	says((int)ivshmem_channel_recv(b, text, 100, 0), -EPIPE, "the other end has closed");
	other = must_attach(handle, &OPTIONS(0));
	says(say(b, "hello"), -ESTALE, "another program has taken over this end");
	says(say(b, "hello"), -ESTALE, "another program has taken over this end");
	ivshmem_channel_close(b);
	a = must_create(handle, &OPTIONS(.size = 16384));
	says(say(other, "hello"), -ESTALE,
	     "the channel was created again with another geometry");
	ivshmem_channel_shutdown(a);
	says(say(a, "hello"), -ESHUTDOWN, "this end has been shut down");
	ivshmem_channel_close(other);
	ivshmem_channel_close(a);
}

/* To ring the other end, who cannot hear it any more, fails as well. */
static void test_killed(struct ivshmem *handle)
{
	struct ivshmem_channel *channel = must_create(handle, &OPTIONS(.size = 8192));
	int64_t size;
	char text[8];
	pid_t pid = fork();

	if (!pid) {
		ivshmem_channel_send(must_attach(must_open(0), &OPTIONS(0)), "hello", 5, 0,
				     ivshmem_after(PATIENCE));
		pause();
	}
	tap_about("killed");
	tap_ok(hear(channel, "hello", ivshmem_after(PATIENCE)), "there is another end");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	size = ivshmem_channel_recv(channel, text, sizeof(text), ivshmem_after(PATIENCE));
	says((int)size, -EPIPE, "the peer of the other end has disconnected");
	ivshmem_channel_close(channel);
}

/* Opening and ringing have reasons for these errors, which others must not give as theirs. */
static void test_late(struct ivshmem *handle)
{
	struct ivshmem_wait_options options = { .vector = 1, .timeout_ns = 1000 };
	const char *again = strerror(EAGAIN), *late = strerror(ETIMEDOUT);
	struct ivshmem_channel_set *set;
	struct ivshmem_channel *channel, *found;
	struct ivshmem_event *event;
	char text[8];

	tap_about("late");
	if (ivshmem_event_open(handle, 1 << 18, 0, IVSHMEM_SYNC_CREATE, &event) ||
	    ivshmem_channel_set_open(handle, 1 << 17, IVSHMEM_CHANNEL_SET_SIZE, 0, &set))
		tap_bail("no objects");
	channel = must_create(handle, &OPTIONS(.size = 8192));
	ivshmem_fail(-EAGAIN, "of an earlier call");
	says(ivshmem_channel_send(channel, "", 0, 0, 0), -EAGAIN, again);
	ivshmem_fail(-EAGAIN, "of an earlier call");
	says(ivshmem_channel_set_next(set, &found), -EAGAIN, again);
	ivshmem_fail(-EAGAIN, "of an earlier call");
	says(ivshmem_event_wait(event, 0), -EAGAIN, again);
	ivshmem_fail(-ETIMEDOUT, "of an earlier call");
	says(ivshmem_event_wait(event, ivshmem_after(1000)), -ETIMEDOUT, late);
	ivshmem_fail(-ETIMEDOUT, "of an earlier call");
	says(ivshmem_wait(handle, &options, NULL), -ETIMEDOUT, late);
	ivshmem_fail(-ETIMEDOUT, "of an earlier call");
	says(ivshmem_ring_wait(handle, 0, 0, &options, NULL), -ETIMEDOUT, late);
	ivshmem_fail(-ETIMEDOUT, "of an earlier call");
	says((int)ivshmem_channel_recv(channel, text, 8, ivshmem_after(1000)), -ETIMEDOUT, late);
	ivshmem_channel_close(channel);
	ivshmem_channel_set_close(set);
	ivshmem_event_close(event);
}

static int mutex_error(struct ivshmem *handle, uint64_t offset, unsigned int flags)
{
	struct ivshmem_mutex *mutex;

	return ivshmem_mutex_open(handle, offset, 0, flags, &mutex);
}

static void test_sync_open(struct ivshmem *handle, struct ivshmem *reader)
{
	unsigned int create = IVSHMEM_SYNC_CREATE;
	struct ivshmem_semaphore *semaphore;
	struct ivshmem_event *event, *none;

	tap_about("object");
	says(mutex_error(handle, 100, 0), -EINVAL,
	     "the object's offset 100 is not a multiple of 64");
	says(mutex_error(handle, SIZE - 512, 0), -EINVAL,
	     "an object at 0xffe00 is not in the region of 0x100000 bytes");
	says(mutex_error(handle, 0, 0x70), -EINVAL, "unknown flags 0x70");
	says(mutex_error(handle, 0, IVSHMEM_SYNC_EXCLUSIVE), -EINVAL,
	     "EXCLUSIVE and RESET need CREATE");
	says(mutex_error(handle, 0, 7), -EINVAL, "EXCLUSIVE and RESET exclude each other");
	says(mutex_error(reader, 0, create), -EACCES, "the handle is read-only");
	says(mutex_error(handle, 1 << 19, 0), -ENOENT, "there is no object at 0x80000");
	says(ivshmem_semaphore_open(handle, 0, 0, create, 0x80000000, &semaphore), -EINVAL,
	     "2147483648 permits: the most are 2147483647");
	says(ivshmem_event_open(handle, 0, 2, create, &event), -EINVAL,
	     "vector 2: the last one is 1");
	if (ivshmem_event_open(handle, 1 << 18, 0, create, &event))
		tap_bail("no event");
	says(mutex_error(handle, 1 << 18, 0), -ENOENT, "the object at 0x40000 is of another kind");
	says(mutex_error(handle, 1 << 18, create), -EEXIST,
	     "the object at 0x40000 is of another kind");
	says(ivshmem_event_open(handle, 1 << 18, 0, create | IVSHMEM_SYNC_EXCLUSIVE, &none),
	     -EEXIST, "there is an object at 0x40000");
	ivshmem_event_close(event);
}

static void test_mutex(struct ivshmem *handle)
{
	struct ivshmem_mutex *mutex, *other;
	int status;

	tap_about("mutex");
	if (ivshmem_mutex_open(handle, 1 << 17, 0, IVSHMEM_SYNC_CREATE, &mutex) ||
	    ivshmem_mutex_open(handle, 1 << 17, 0, 0, &other))
		tap_bail("no mutex");
	says(ivshmem_mutex_unlock(mutex), -EPERM, "this thread has not locked the mutex");
	says(ivshmem_mutex_consistent(mutex), -EINVAL, "this thread has not locked the mutex");
	says(ivshmem_mutex_recover(mutex, 0), -ENOENT, "nobody has locked the mutex");
	ivshmem_mutex_lock(mutex, 0);
	says(ivshmem_mutex_consistent(mutex), -EINVAL, "the mutex is consistent");
	says(ivshmem_mutex_recover(other, 7), -ENOENT, "the mutex's owner is peer 0, not 7");
	ivshmem_mutex_recover(other, 0);
	says(ivshmem_mutex_unlock(mutex), -EPERM, "the mutex was taken from this thread");
	if (!fork())
		_exit(strcmp(ivshmem_error(ivshmem_mutex_lock(mutex, 0)),
			     "it belongs to the parent of this process"));
	wait(&status);
	tap_ok(!status, "it belongs to the parent of this process");
	ivshmem_mutex_close(mutex);
	ivshmem_mutex_close(other);
}

/* Servers that speak something else: a script and what the client says about it. */

static void hangs_up(int client)
{
	(void)client;
}

static void version_1(int client)
{
	put(client, 1, NONE);
}

static void id_of_100000(int client)
{
	put(client, 0, NONE);
	put(client, 100000, NONE);
}

static void version_with_descriptor(int client)
{
	put(client, 0, doorbell());
}

static void no_memory(int client)
{
	put(client, 0, NONE);
	put(client, 3, NONE);
	put(client, 4, doorbell());
}

static void doorbell_as_memory(int client)
{
	put(client, 0, NONE);
	put(client, 3, NONE);
	put(client, -1, doorbell());
}

static void memory_as_doorbell(int client)
{
	begin(client);
	put(client, 3, memory(4096));
}

static void peer_minus_5(int client)
{
	begin(client);
	put(client, -5, NONE);
}

static void we_have_left(int client)
{
	begin(client);
	put(client, 3, doorbell());
	put(client, 3, NONE);
}

static const struct {
	fake_script script;
	int error;
	const char *text;
} servers[] = {
	{ hangs_up, -ECONNRESET, "the server has closed the connection" },
	{ version_1, -EPROTO, "the server's protocol has version 1 instead of 0" },
	{ id_of_100000, -EPROTO, "the server gives us the id 100000" },
	{ version_with_descriptor, -EPROTO, "the server says 0 with a descriptor" },
	{ no_memory, -EPROTO, "the server says 4 where the memory must come" },
	{ doorbell_as_memory, -EPROTO, "the server's memory is no file with contents" },
	{ memory_as_doorbell, -EPROTO, "the server sends a doorbell that is no eventfd" },
	{ peer_minus_5, -EPROTO, "the server says -5 where a peer's id must be" },
	{ we_have_left, -EPROTO, "the server says that we have left" },
};

static void test_servers(void)
{
	struct ivshmem *handle;
	pthread_t thread;
	unsigned int n;

	tap_about("server");
	unlink(scratch("socket"));
	fake_listen();
	for (n = 0; n < sizeof(servers) / sizeof(*servers); n++) {
		thread = fake_run(servers[n].script);
		says(ivshmem_open(&handle, scratch("socket"), 0), servers[n].error,
		     servers[n].text);
		pthread_join(thread, NULL);
	}
}

static void *latest_of_thread(void *error)
{
	return (void *)ivshmem_error(*(int *)error);
}

/* A text belongs to one error of one thread. */
static void test_text(struct ivshmem *handle)
{
	int error = ivshmem_ring(handle, 70000, 0);
	pthread_t thread;
	void *text;

	tap_about("text");
	tap_ok(!strcmp(ivshmem_error(-ENOMEM), strerror(ENOMEM)), "not of another error");
	pthread_create(&thread, NULL, latest_of_thread, &error);
	pthread_join(thread, &text);
	tap_ok(!strcmp(text, strerror(EINVAL)), "not of another thread");
	says(error, -EINVAL, "peer 70000: the last one is 65535");
}

/* One thread hears of the end, and all say why. */
static void test_end(struct ivshmem *handle, pid_t server)
{
	const char *text = "the server has closed the connection";

	tap_about("end");
	stop_server(server, SIGKILL);
	says(ivshmem_peers(handle, NULL, 0), -ENODEV, text);
	ivshmem_ring(handle, 70000, 0);
	says(ivshmem_ring(handle, 0, 0), -ENODEV, text);
}

int main(void)
{
	pid_t server = start_server("--memfd", "-l", "1M", "-n", "2", NULL);
	struct ivshmem *handle = must_open(0), *reader = must_open(IVSHMEM_READ_ONLY);

	test_handle(handle, reader);
	test_ring(handle);
	test_channel_options(handle, reader);
	test_channel_contents(handle);
	test_messages(handle);
	test_killed(handle);
	test_late(handle);
	test_sync_open(handle, reader);
	test_mutex(handle);
	test_text(handle);
	test_end(handle, server);
	ivshmem_close(handle);
	ivshmem_close(reader);
	test_servers();
	return tap_done();
}
