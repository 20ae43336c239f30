// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl peers --watch: who comes and goes.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "peers.h"
#include "printable.h"
#include "progress.h"

/* Not all that ends a device is news. */
#define LOOK_NS		1000000000L

struct watch {
	const struct device *device;
	struct present known, now;
	uint64_t left;			/* events; 0: no limit */
	enum exit_code code;
};

static enum exit_code print_event(const char *event, const struct ivshmem_peer *peer)
{
	json_t *object;

	progress_erase();
	if (common.json) {
		object = present_json(peer);
		json_object_set_new(object, "event", json_string(event));
		return print_json(stdout, object, true);
	}
	printf("%-8s %4u %8u  %-8s %-5s  ", event, peer->slot, peer->id, present_kind(peer),
	       peer->self ? "self" : "other");
	print_printable(peer->name);
	putchar('\n');
	return flush_output();
}

static bool has(const struct present *present, const struct ivshmem_peer *peer)
{
	for (size_t i = 0; i < present->count; i++)
		if (present->list[i].owner == peer->owner && present->list[i].slot == peer->slot)
			return true;
	return false;
}

static bool is_done(const struct watch *watch)
{
	return watch->code || stopped;
}

/* Those of @present that are not among @others. True: there were as many as are wanted. */
static bool report(struct watch *watch, const char *event, const struct present *present,
		   const struct present *others)
{
	for (size_t i = 0; i < present->count && !is_done(watch); i++) {
		if (has(others, &present->list[i]))
			continue;
		watch->code = print_event(event, &present->list[i]);
		if (watch->left && !--watch->left)
			return true;
	}
	return false;
}

static void print_those_there(struct watch *watch)
{
	for (size_t i = 0; i < watch->known.count && !is_done(watch); i++)
		watch->code = print_event("present", &watch->known.list[i]);
}

/* Compare with the last look. True: there was enough. */
static bool compare(struct watch *watch)
{
	struct present former = watch->known;

	if (report(watch, "left", &watch->known, &watch->now) ||
	    report(watch, "arrived", &watch->now, &watch->known))
		return true;
	watch->known = watch->now;
	watch->now = former;
	return false;
}

/* What has come until here is not waited for: the next look has it. */
static int forget_news(const struct device *device)
{
	int count = ivshmem_peers(device->handle, NULL, 0);

	return count < 0 ? count : 0;
}

static int wait_for_news(struct pollfd *poller, const sigset_t *awake)
{
	const struct timespec pause = { .tv_sec = LOOK_NS / 1000000000L };

	progress_wait("peers that come or go");
	if (ppoll(poller, 1, &pause, awake) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

static int watch_until_done(struct watch *watch, const sigset_t *awake)
{
	struct pollfd poller = { .fd = ivshmem_fd(watch->device->handle), .events = POLLIN };
	int error = poller.fd < 0 ? poller.fd : 0;

	while (!error && !is_done(watch)) {
		error = forget_news(watch->device);
		if (!error)
			error = present_look(watch->device, &watch->now);
		if (!error && compare(watch))
			return 0;
		if (!error && !is_done(watch))
			error = wait_for_news(&poller, awake);
	}
	return error;
}

enum exit_code peers_watch(const struct device *device, uint64_t count)
{
	struct watch watch = { .device = device, .left = count };
	sigset_t awake;
	int error;

	stop_on_signals();
	error = present_begin(device, &watch.known);
	/* From now on signals are delivered inside ppoll() only, so none is missed. */
	block_stopping(&awake);
	print_those_there(&watch);
	if (!error && !is_done(&watch))
		error = watch_until_done(&watch, &awake);
	progress_erase();
	sigprocmask(SIG_SETMASK, &awake, NULL);
	present_free(&watch.known);
	present_free(&watch.now);
	if (error && !watch.code)
		return present_complain(device, error);
	return watch.code;
}
