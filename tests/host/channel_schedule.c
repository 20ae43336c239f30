// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two ends that send, receive, close, are replaced and come back at random, while a third
 * thread stops each of them at random instructions. So each state of one end meets each
 * step of the other. Neither breaks the rules, so neither may be told that the other did;
 * and a replaced end that goes on must not disturb its successor.
 */
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "common/channel.h"

#define STEPS		60000
#define LONGEST_PAUSE	500	/* us */

static const struct ivshmem_channel_options options = {
	.size = 4096 + 2 * 384,
	.spin_ns = 2000,
};

/* Each message says which end of all has sent it, and its number from there. */
struct message_text {
	uint64_t life, number;
};

struct end {
	const char *name;
	bool creator;
	struct ivshmem *handle;
	struct ivshmem_channel *channel;
	struct ivshmem_channel *replaced;	/* an earlier end that was not closed */
	uint64_t random;
	struct message_text next;	/* to send */
	struct message_text heard;	/* the latest; life 0: none in this session */
	uint64_t newest;		/* the highest number received from any life */
	unsigned long sent, received, reports, stale, wrong;
	pthread_t thread;
	_Atomic bool done;
};

static uint64_t draw(struct end *end, uint64_t below)
{
	return pattern_next(&end->random) % below;
}

static void complain(struct end *end, const char *call, int64_t result)
{
	if (!end->wrong++)
		tap_note("%s: %s gives %lld (%s)", end->name, call, (long long)result,
			 result < 0 ? strerror((int)-result) : "");
}

/* What a call has returned: a session may end at any time, and then both sides may differ. */
static bool succeeded(struct end *end, const char *call, int64_t result)
{
	if (result >= 0)
		return true;
	if (result == -EPIPE || result == -ECONNRESET) {
		end->reports++;
		end->heard.life = 0;
	} else if (result != -EAGAIN && result != -ETIMEDOUT && result != -EINTR) {
		complain(end, call, result);
	}
	return false;
}

static int64_t deadline(struct end *end)
{
	return draw(end, 4) ? 0 : ivshmem_after((int64_t)draw(end, 3000000));
}

static void send_one(struct end *end)
{
	uint64_t size = sizeof(end->next) + draw(end, 150);
	unsigned int flags = draw(end, 4) ? 0 : IVSHMEM_MORE;
	char text[200] = "";
	void *room;
	int error;

	memcpy(text, &end->next, sizeof(end->next));
	if (draw(end, 2)) {
		error = ivshmem_channel_send(end->channel, text, size, flags, deadline(end));
		if (!succeeded(end, "send", error))
			return;
	} else {
		error = ivshmem_channel_reserve(end->channel, size, &room, deadline(end));
		if (!succeeded(end, "reserve", error))
			return;
		memcpy(room, text, size);
		if (!succeeded(end, "commit",
			       ivshmem_channel_commit(end->channel, size, flags)))
			return;
	}
	end->next.number++;
	end->sent++;
}

/* In a session messages are complete and in order; in none they come twice. */
static void check_message(struct end *end, const struct message_text *text)
{
	bool follows = text->life == end->heard.life && text->number == end->heard.number + 1;
	bool first = !end->heard.life && text->number > end->newest;

	if (!follows && !first && !end->wrong++)
		tap_note("%s: message %llu of %llx after %llu of %llx, newest %llu", end->name,
			 (unsigned long long)text->number, (unsigned long long)text->life,
			 (unsigned long long)end->heard.number,
			 (unsigned long long)end->heard.life,
			 (unsigned long long)end->newest);
	end->heard = *text;
	end->newest = text->number;
	end->received++;
}

static void receive_one(struct end *end)
{
	struct message_text text;
	const void *message;
	char buffer[200];
	int64_t result;
	size_t size;

	if (draw(end, 2)) {
		result = ivshmem_channel_recv(end->channel, buffer, sizeof(buffer),
					      deadline(end));
		if (!succeeded(end, "recv", result))
			return;
		memcpy(&text, buffer, sizeof(text));
	} else {
		result = ivshmem_channel_peek(end->channel, &message, &size, deadline(end));
		if (!succeeded(end, "peek", result))
			return;
		memcpy(&text, message, sizeof(text));
		/* It may have been replaced meanwhile; the message is good all the same. */
		succeeded(end, "release", ivshmem_channel_release(end->channel));
	}
	check_message(end, &text);
}

static void open_end(struct end *end)
{
	end->channel = end->creator ? must_create(end->handle, &options) :
				      must_attach(end->handle, &options);
	end->next.life++;
	end->heard.life = 0;
}

/* Whatever the replaced end tries, it is told that it is replaced. */
static void use_replaced(struct end *end)
{
	struct ivshmem_channel *channel = end->replaced;
	const void *message;
	char text[100] = "";
	size_t size;
	void *room;
	int64_t result;

	switch (draw(end, 6)) {
	case 0:
		result = ivshmem_channel_send(channel, text, sizeof(text), 0, deadline(end));
		break;
	case 1:
		result = ivshmem_channel_recv(channel, text, sizeof(text), deadline(end));
		break;
	case 2:
		result = ivshmem_channel_reserve(channel, 8, &room, deadline(end));
		break;
	case 3:
		result = ivshmem_channel_peek(channel, &message, &size, deadline(end));
		break;
	case 4:	/* what it had reserved */
		result = ivshmem_channel_commit(channel, 8, 0);
		break;
	default:	/* what it had peeked at */
		result = ivshmem_channel_release(channel);
	}
	if (result != -ESTALE)
		complain(end, "a replaced end", result);
	end->stale++;
}

static void close_replaced(struct end *end)
{
	ivshmem_channel_close(end->replaced);
	end->replaced = NULL;
}

static void replace(struct end *end)
{
	const void *message;
	size_t size;
	void *room;

	if (end->replaced)
		close_replaced(end);
	/* In the middle of whatever it can be in the middle of. */
	succeeded(end, "reserve", ivshmem_channel_reserve(end->channel, 8, &room, 0));
	succeeded(end, "peek", ivshmem_channel_peek(end->channel, &message, &size, 0));
	end->replaced = end->channel;
	open_end(end);
}

static void step(struct end *end)
{
	uint64_t what = draw(end, 1000);

	if (what < 2) {
		ivshmem_channel_close(end->channel);
		open_end(end);
	} else if (what < 4) {
		replace(end);
	} else if (what < 50 && end->replaced) {
		use_replaced(end);
	} else if (what < 500) {
		send_one(end);
	} else {
		receive_one(end);
	}
}

static void *live(void *argument)
{
	struct end *end = argument;
	int n;

	for (n = 0; n < STEPS && !end->wrong; n++)
		step(end);
	end->done = true;
	return NULL;
}

/* The thread stands still between two instructions. */
static void pause_here(int signal)
{
	int saved = errno;

	(void)signal;
	usleep((useconds_t)(rand() % LONGEST_PAUSE));
	errno = saved;
}

static void disturb(struct end *ends)
{
	struct timespec time = { 0 };

	while (!ends[0].done || !ends[1].done) {
		int victim = rand() % 2;

		time.tv_nsec = rand() % 200000;
		nanosleep(&time, NULL);
		if (!ends[victim].done)
			pthread_kill(ends[victim].thread, SIGUSR1);
	}
}

int main(void)
{
	struct sigaction action = { .sa_handler = pause_here, .sa_flags = SA_RESTART };
	pid_t server = start_server("--memfd", "-l", "1M", "-n", "2", NULL);
	struct end ends[] = {
		{ .name = "creator", .creator = true, .random = 1, .next.life = 1 << 20 },
		{ .name = "other end", .random = 2, .next.life = 2 << 20 },
	};
	int n;

	sigaction(SIGUSR1, &action, NULL);
	for (n = 0; n < 2; n++) {
		ends[n].handle = must_open(0);
		ends[n].next.number = 1;
		open_end(&ends[n]);
	}
	for (n = 0; n < 2; n++)
		pthread_create(&ends[n].thread, NULL, live, &ends[n]);
	disturb(ends);
	for (n = 0; n < 2; n++) {
		pthread_join(ends[n].thread, NULL);
		tap_note("%s: sent %lu, received %lu, %lu ends, %lu calls of replaced ends",
			 ends[n].name, ends[n].sent, ends[n].received, ends[n].reports,
			 ends[n].stale);
		tap_eq(ends[n].wrong, 0, "%s: is told of nothing that nobody did", ends[n].name);
		tap_ok(ends[n].received && ends[n].reports && ends[n].stale,
		       "%s: receives, hears of ends, and has been replaced", ends[n].name);
		close_replaced(&ends[n]);
		ivshmem_channel_close(ends[n].channel);
		ivshmem_close(ends[n].handle);
	}
	return stop_server(server, SIGTERM) || tap_done();
}
