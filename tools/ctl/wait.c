// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl wait: print doorbells as they come in.
 */
#include <errno.h>
#include <inttypes.h>
#include <ivshmem.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "progress.h"

static struct {
	uint64_t count;
	int64_t timeout_ns;
	bool chosen[IVSHMEM_MAX_VECTORS];
	bool any_chosen;
} option = { .timeout_ns = IVSHMEM_FOREVER };

/*
 * One eventfd per vector, because each counts on its own: ivshmem_wait() returns
 * the count of the lowest vector only.
 */
struct listener {
	struct pollfd pollers[IVSHMEM_MAX_VECTORS];	/* fd -1: not selected */
	uint64_t counts[IVSHMEM_MAX_VECTORS];
	uint64_t total;
	uint32_t vectors;
	enum exit_code unwritten;	/* stdout failed */
	struct progress progress;
	char awaited[512];
};

/* The death of a server is no event: poll for it. */
#define LOOK_NS		INT64_C(1000000000)

static int listener_open(struct listener *listener, const struct device *device)
{
	listener->vectors = device->properties.vectors;
	for (uint32_t v = 0; v < listener->vectors; v++) {
		listener->pollers[v].fd = -1;
		listener->pollers[v].events = POLLIN;
	}
	for (uint32_t v = 0; v < listener->vectors; v++) {
		int fd;

		if (option.any_chosen && !option.chosen[v])
			continue;
		fd = ivshmem_eventfd(device->handle, v);
		if (fd < 0)
			return fd;
		listener->pollers[v].fd = fd;
	}
	return 0;
}

static void listener_close(struct listener *listener)
{
	for (uint32_t v = 0; v < listener->vectors; v++)
		if (listener->pollers[v].fd >= 0)
			close(listener->pollers[v].fd);
}

static enum exit_code report(uint32_t vector, uint64_t count)
{
	progress_erase();
	if (common.json)
		return print_json(stdout, json_pack("{s:i, s:I}",
						    "vector", (int)vector,
						    "count", (json_int_t)count),
				  true);
	printf("vector %u: %" PRIu64 "\n", vector, count);
	return flush_output();
}

static void listener_collect(struct listener *listener)
{
	for (uint32_t v = 0; v < listener->vectors && !listener->unwritten; v++) {
		uint64_t count;

		if (listener->pollers[v].fd < 0 ||
		    read(listener->pollers[v].fd, &count, sizeof(count)) !=
		    sizeof(count))
			continue;
		listener->counts[v] += count;
		listener->total += count;
		listener->unwritten = report(v, count);
	}
}

/* Is the device, or the connection to the server, still there? */
static int check_alive(const struct device *device)
{
	struct ivshmem_properties ignored;
	int error = ivshmem_get_properties(device->handle, &ignored);

	if (error || device->properties.transport != IVSHMEM_TRANSPORT_SERVER)
		return error;
	error = ivshmem_peers(device->handle, NULL, 0);
	return error < 0 ? error : 0;
}

static void listener_start(struct listener *listener, const char *device)
{
	size_t used, room = sizeof(listener->awaited);
	char *text = listener->awaited;

	listener->progress = (struct progress){
		.done = "", .thing = "interrupt", .total = option.count ?: UINT64_MAX,
	};
	progress_start(&listener->progress);
	used = (size_t)snprintf(text, room, "interrupts of %.255s", device);
	for (uint32_t v = 0; v < IVSHMEM_MAX_VECTORS && used < room; v++)
		if (option.chosen[v])
			used += (size_t)snprintf(text + used, room - used, ", vector %u", v);
}

/* 0: done, or stdout failed; -ETIMEDOUT; -ENODEV: gone. */
static int listen_until_done(struct listener *listener,
			     const struct device *device, const sigset_t *awake)
{
	int64_t start = now_ns();

	while (!stopped) {
		int64_t left = option.timeout_ns < 0 ? LOOK_NS :
			start + option.timeout_ns - now_ns();
		struct timespec pause;
		int error;

		if (left > LOOK_NS)
			left = LOOK_NS;
		else if (left < 0)
			left = 0;
		progress_show(&listener->progress, listener->total, listener->awaited);
		pause = (struct timespec){ left / 1000000000, left % 1000000000 };
		if (ppoll(listener->pollers, listener->vectors, &pause,
			  awake) < 0 && errno != EINTR)
			return -errno;
		/* The event that reports a removal is not an interrupt. */
		error = check_alive(device);
		if (error)
			return error;
		listener_collect(listener);
		if (listener->unwritten ||
		    (option.count && listener->total >= option.count))
			return 0;
		if (option.timeout_ns >= 0 &&
		    now_ns() - start >= option.timeout_ns)
			return -ETIMEDOUT;
	}
	return 0;
}

static enum exit_code summarize(const struct listener *listener)
{
	char vector[16], text[TOTAL_TEXT];
	json_t *counts;

	if (!common.json) {
		puts(progress_total(&listener->progress, listener->total, text));
		return flush_output();
	}
	counts = json_object();
	for (uint32_t v = 0; v < listener->vectors; v++) {
		snprintf(vector, sizeof(vector), "%u", v);
		if (listener->counts[v])
			json_object_set_new(counts, vector, json_integer(
				(json_int_t)listener->counts[v]));
	}
	return print_json(stdout, json_pack("{s:I, s:f, s:o}",
					    "total", (json_int_t)listener->total,
					    "seconds", progress_seconds(&listener->progress),
					    "vectors", counts), true);
}

static enum exit_code wait_for_vectors(const struct device *device)
{
	static struct listener listener;
	sigset_t awake;
	enum exit_code code = device_need_vectors(device);
	int error;

	for (uint32_t v = 0; !code && v < IVSHMEM_MAX_VECTORS; v++)
		if (option.chosen[v])
			code = device_need_vector(device, v);
	if (code)
		return code;

	/* Signals are delivered inside ppoll() only, so none is missed. */
	block_stopping(&awake);
	stop_on_signals();
	listener_start(&listener, device->name);
	error = listener_open(&listener, device);
	if (!error)
		error = listen_until_done(&listener, device, &awake);
	listener_close(&listener);
	progress_erase();
	sigprocmask(SIG_SETMASK, &awake, NULL);
	code = listener.unwritten;
	if (!code)
		code = summarize(&listener);
	if (code)
		return code;
	if (error == -ETIMEDOUT)
		return option.count || !listener.total ? EXIT_TIMEOUT : EXIT_OK;
	return error ? device_complain(device, error, "wait") : EXIT_OK;
}

static error_t parse_wait(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 'c':
		option.count = argument_count(state, "--count", argument);
		return 0;
	case 't':
		option.timeout_ns = argument_seconds(state, "--timeout", argument);
		return 0;
	case ARGP_KEY_ARG:
		option.chosen[argument_size(state, "VECTOR", argument,
					    IVSHMEM_MAX_VECTORS - 1)] = true;
		option.any_chosen = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option wait_options[] = {
	{ "count", 'c', "N", 0, "Exit after a total of N interrupts", 0 },
	{ "timeout", 't', "SECONDS", 0, "Exit after SECONDS", 0 },
	{ 0 }
};

static const struct argp wait_argp = {
	.options = wait_options,
	.parser = parse_wait,
	.args_doc = "[VECTOR...]",
	.doc = "Print the interrupts of this side's VECTORs (default: all) as they arrive, until interrupted.\vThe exit code is 5 if --timeout expires before --count interrupts have arrived or, without --count, before any has.",
	.children = with_device_json_and_numbers,
};

int verb_wait(int argc, char **argv)
{
	struct device device;
	enum exit_code code;

	parse_numbers(&wait_argp, argc, argv);
	code = device_open_to_wait(&device);
	if (code)
		return code;
	code = wait_for_vectors(&device);
	device_close(&device);
	return code;
}
