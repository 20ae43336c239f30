// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl ping: doorbell round trips. One side rings and waits, the other one
 * (--answer) rings back.
 *
 * A doorbell carries no data, so an answer cannot be matched with its ring. Hence
 * only one ring is in flight, and after a timeout the next ring waits for a late
 * answer as long again.
 *
 * A guest that has not opened its device yet loses the ring, and a program that has not
 * opened the file or joined the server yet does not exist. Rings before the first answer do
 * not count on either side, so both sides count the same number.
 */
#include <errno.h>
#include <inttypes.h>
#include <ivshmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ctl.h"
#include "numbers.h"
#include "progress.h"
#include "sysfs.h"

/* Upper bound for noticing a signal between the check of @stopped and the wait. */
#define LOOK_NS		INT64_C(1000000000)
#define ANNOUNCE_NS	INT64_C(100000000)
/* How long to ring a peer that has never answered, and the interval. */
#define START_NS	INT64_C(10000000000)
#define PAUSE_NS	INT64_C(100000000)

/* Of more answers, the times of the last ones. */
#define KEPT		((size_t)1 << 20)

static struct {
	uint32_t peer;
	uint32_t vector;
	uint64_t count;
	bool has_count;
	int64_t interval_ns;
	int64_t timeout_ns;
	bool has_timeout;
	uint64_t spin_ns;
	bool answer;
	int operands;
} option = { .count = 1000, .timeout_ns = LOOK_NS };

struct result {
	uint64_t *times;	/* nanoseconds per answered ring */
	size_t answered;
	size_t room;
	uint64_t sent;
	uint64_t late;		/* answers after the timeout */
	struct progress progress;
};

/* What both sides wait for. */
static char awaited[sizeof("peer 65535")];

/* Both count rings. */
static void start(struct progress *progress)
{
	uint64_t limit = option.answer && !option.has_count ? 0 : option.count;

	progress->done = option.answer ? "answered " : "";
	progress->thing = "ring";
	progress->total = limit ?: UINT64_MAX;
	snprintf(awaited, sizeof(awaited), "peer %u", option.peer);
	progress_start(progress);
}

static size_t kept(const struct result *result)
{
	return result->answered < KEPT ? result->answered : KEPT;
}

static int remember(struct result *result, int64_t time)
{
	if (result->answered == result->room && result->room < KEPT) {
		size_t room = result->room ? 2 * result->room : 1024;
		uint64_t *larger = reallocarray(result->times, room,
						sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		result->times = larger;
		result->room = room;
	}
	result->times[result->answered++ % KEPT] = (uint64_t)time;
	return 0;
}

/* Wait until @deadline. Only signals that stop the program interrupt this. */
static int wait_rung(const struct device *device, int64_t deadline)
{
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_ABSTIME,
		.vector = option.vector,
		.timeout_ns = deadline,
		.spin_ns = option.spin_ns,
	};
	struct ivshmem_wait_result result;
	int error;

	do {
		error = ivshmem_wait(device->handle, &options, &result);
	} while ((error == -EINTR && !stopped) || (!error && !result.count));
	return error;
}

/* Discard doorbells from before the next ring. */
static int drain(const struct device *device)
{
	int error = wait_rung(device, 0);

	return error == -ETIMEDOUT ? 0 : error;
}

/* Returns the time of a round trip or a negative errno. */
static int64_t round_trip(const struct device *device)
{
	int64_t start = now_ns();
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_ABSTIME,
		.vector = option.vector,
		.timeout_ns = start + option.timeout_ns,
		.spin_ns = option.spin_ns,
	};
	struct ivshmem_wait_result result = { .count = 0 };
	int error;

	error = ivshmem_ring_wait(device->handle, option.peer, option.vector,
				  &options, &result);
	if ((error == -EINTR && !stopped) || (!error && !result.count))
		error = wait_rung(device, options.timeout_ns);
	return error ? error : now_ns() - start;
}

static void pause_between(int64_t nanoseconds)
{
	struct timespec pause = { nanoseconds / 1000000000,
				  nanoseconds % 1000000000 };

	if (nanoseconds)
		nanosleep(&pause, NULL);
}

/* As round_trip(). @late: the answer arrived after the timeout, -ETIMEDOUT. */
static int64_t ask_once(const struct device *device, struct result *result, bool *late)
{
	int64_t time = drain(device);

	*late = false;
	if (!time)
		time = round_trip(device);
	if (time != -ETIMEDOUT)
		return time;
	progress_show(&result->progress, result->sent, awaited);
	time = wait_rung(device, now_ns() + option.timeout_ns);
	*late = !time;
	return time ? time : -ETIMEDOUT;
}

/* No answer yet, or nobody is there yet who could: ring again? */
static bool keep_waiting(int64_t begin, int64_t error)
{
	if ((error != -ETIMEDOUT && error != -ENXIO) || now_ns() - begin >= START_NS)
		return false;
	pause_between(PAUSE_NS);
	return true;
}

static int measure(const struct device *device, struct result *result)
{
	int64_t begin = now_ns();
	int error = 0;
	bool late;

	while (!error && !stopped &&
	       (!option.count || result->sent < option.count)) {
		int64_t time;

		if (!result->sent)
			start(&result->progress);
		progress_show(&result->progress, result->sent, awaited);
		time = ask_once(device, result, &late);
		if (time == -EINTR || (time == -EBUSY && stopped))
			break;
		/* A reset lasted longer than the timeout, and nothing was rung. */
		if (time == -EBUSY)
			continue;
		if (!result->sent && !late && keep_waiting(begin, time))
			continue;
		if (time < 0 && time != -ETIMEDOUT)
			return (int)time;
		if (!result->sent && time < 0 && !late)
			break;
		result->sent++;
		result->late += late;
		if (time >= 0)
			error = remember(result, time);
		if (!option.count || result->sent < option.count)
			pause_between(option.interval_ns);
	}
	return error;
}

static double microseconds(const struct result *result, double percent)
{
	return (double)percentile(result->times, kept(result),
				  percent) / 1000;
}

static void print_result(const struct result *result)
{
	char total[TOTAL_TEXT], answers[COUNT_TEXT];

	printf("peer %u, vector %u: %s, %s, %" PRIu64 " lost (%" PRIu64 " of them late)\n",
	       option.peer, option.vector,
	       progress_total(&result->progress, result->sent, total),
	       format_count(answers, result->answered, "answer"),
	       result->sent - result->answered, result->late);
	if (result->answered)
		printf("round trip min/median/p99/max = %.1f/%.1f/%.1f/%.1f µs\n",
		       microseconds(result, 0), microseconds(result, 50),
		       microseconds(result, 99), microseconds(result, 100));
}

static enum exit_code print_result_json(const struct result *result)
{
	json_t *json = json_pack("{s:i, s:i, s:I, s:I, s:I, s:I}",
				 "peer", (int)option.peer,
				 "vector", (int)option.vector,
				 "sent", (json_int_t)result->sent,
				 "answered", (json_int_t)result->answered,
				 "lost", (json_int_t)(result->sent - result->answered),
				 "late", (json_int_t)result->late);

	if (json && result->answered)
		json_object_set_new(json, "round_trip_us", json_pack(
			"{s:f, s:f, s:f, s:f}",
			"min", microseconds(result, 0),
			"median", microseconds(result, 50),
			"p99", microseconds(result, 99),
			"max", microseconds(result, 100)));
	return print_json(stdout, json, false);
}

/* Is the peer there? Then it is its vector that is not. */
static bool is_there(const struct device *device)
{
	uint32_t *ids = NULL;
	int count = device_peers(device, &ids);
	bool found = false;

	for (int i = 0; i < count && !found; i++)
		found = ids[i] == option.peer;
	if (count >= 0)
		free(ids);
	return found;
}

static enum exit_code ask(const struct device *device)
{
	struct result result = { 0 };
	enum exit_code code = EXIT_OK;
	int error;

	error = measure(device, &result);
	progress_erase();
	sort_values(result.times, kept(&result));
	if (common.json)
		code = print_result_json(&result);
	else if (result.sent)
		print_result(&result);
	if (error)
		code = device_complain_ring(device, error, option.peer);
	if (error == -ENXIO && !result.sent && !is_there(device))
		code = EXIT_TIMEOUT;
	else if (!error && !code && !result.answered && device->properties.id == IVSHMEM_ID_UNKNOWN)
		code = complain(EXIT_TIMEOUT,
				"no answer: is 'ivshmemctl ping --answer PEER' running on peer %u, with the PEER by which that rings this device?",
				option.peer);
	else if (!error && !code && !result.answered)
		code = complain(EXIT_TIMEOUT,
				"no answer: is 'ivshmemctl ping --answer %u' running on peer %u?",
				device->properties.id, option.peer);
	free(result.times);
	return code;
}

/* The server may not have announced a new peer yet: retry for a while. */
static int ring_back(const struct device *device)
{
	int64_t deadline = now_ns() + ANNOUNCE_NS;
	int error;

	for (;;) {
		error = ivshmem_ring(device->handle, option.peer, option.vector);
		if (error != -ENXIO || now_ns() > deadline)
			return error;
		pause_between(1000000);
	}
}

static int answer_rings(const struct device *device, struct progress *progress,
			uint64_t *answered)
{
	int64_t last = now_ns();
	int error;

	while (!stopped && (!option.has_count || *answered < option.count)) {
		int64_t now = now_ns(), deadline = now + LOOK_NS;

		if (option.has_timeout && deadline > last + option.timeout_ns)
			deadline = last + option.timeout_ns;
		progress_show(progress, *answered, awaited);
		error = wait_rung(device, deadline);
		if (error == -ETIMEDOUT && option.has_timeout &&
		    now_ns() - last >= option.timeout_ns)
			return error;
		if (error == -ETIMEDOUT)
			continue;
		if (error)
			return error == -EINTR ? 0 : error;
		if (!*answered)
			start(progress);
		error = ring_back(device);
		/* The peer has left. Its successor gets the same id. */
		if (error && error != -ENXIO)
			return error;
		*answered += !error;
		last = now_ns();
	}
	return 0;
}

static enum exit_code answer(const struct device *device)
{
	enum exit_code code = EXIT_OK;
	struct progress progress;
	char total[TOTAL_TEXT];
	uint64_t answered = 0;
	int error;

	start(&progress);
	error = answer_rings(device, &progress, &answered);
	progress_erase();
	if (common.json)
		code = print_json(stdout, json_pack("{s:i, s:i, s:I}",
						    "peer", (int)option.peer,
						    "vector", (int)option.vector,
						    "answered", (json_int_t)answered),
				  false);
	else
		printf("peer %u, vector %u: %s\n", option.peer, option.vector,
		       progress_total(&progress, answered, total));
	if (error && error != -ETIMEDOUT)
		return device_complain(device, error, "answer doorbells");
	if (error && !answered)
		return complain(EXIT_TIMEOUT, "no doorbell was rung");
	return code;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 'a':
		option.answer = true;
		return 0;
	case 'c':
		option.count = argument_size(state, "--count", argument,
					     UINT64_MAX);
		option.has_count = option.count;
		return 0;
	case 'i':
		option.interval_ns = argument_seconds(state, "--interval",
						      argument);
		return 0;
	case 's':
		option.spin_ns = argument_size(state, "--spin", argument,
					       IVSHMEM_MAX_SPIN_NS);
		return 0;
	case 't':
		option.timeout_ns = argument_seconds(state, "--timeout", argument);
		option.has_timeout = true;
		return 0;
	case 'v':
		option.vector = (uint32_t)argument_size(state, "--vector",
			argument, IVSHMEM_MAX_VECTORS - 1);
		return 0;
	case ARGP_KEY_ARG:
		if (option.operands++)
			argp_error(state, "too many arguments");
		option.peer = (uint32_t)argument_size(state, "PEER", argument,
						      IVSHMEM_MAX_PEER);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "missing operand PEER");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "answer", 'a', NULL, 0,
	  "Ring PEER back for each doorbell, until interrupted", 0 },
	{ "count", 'c', "N", 0,
	  "Exit after N rings (default: 1000, unlimited with --answer; 0: unlimited)", 0 },
	{ "interval", 'i', "SECONDS", 0, "Pause between rings (default: 0)", 0 },
	{ "timeout", 't', "SECONDS", 0,
	  "Treat an answer as lost after SECONDS (default: 1); with --answer, exit after SECONDS without a doorbell", 0 },
	{ "vector", 'v', "VECTOR", 0, "Vector to ring and to listen on (default: 0)", 0 },
	{ "spin", 's', "NS", 0,
	  "Spin this many nanoseconds before sleeping (default: 0)", 0 },
	{ 0 }
};

static const struct argp ping_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "PEER",
	.doc = "Measure doorbell round trips to PEER, which must run 'ivshmemctl ping --answer ID' with this side's id.\vWhere each program has an id of its own, on a file or a server, both print theirs. The two sides can start in any order: this one rings for up to 10 seconds before the first answer, and those rings do not count. The exit code is 5 if there was no answer.",
	.children = with_device_json_and_numbers,
};

/* Where each program has an id of its own, nothing else tells it to the other side. */
static void tell_id(const struct device *device)
{
	uint32_t id = device->properties.id;
	struct sysfs_device entry;
	char name[NAME_MAX + 1];

	if (id == IVSHMEM_ID_UNKNOWN ||
	    (device->properties.transport == IVSHMEM_TRANSPORT_DEVICE &&
	     !sysfs_name(device->name, name) && !sysfs_read(name, &entry) && entry.id == id))
		return;
	complain(EXIT_OK, "note: this side is peer %u: the other one runs 'ivshmemctl ping %s%u'",
		 id, option.answer ? "" : "--answer ", id);
}

int verb_ping(int argc, char **argv)
{
	struct device device;
	enum exit_code code;

	parse_numbers(&ping_argp, argc, argv);
	code = device_open(&device, 0);
	if (code)
		return code;
	stop_on_signals();
	code = device_need_ringing(&device);
	if (!code)
		code = device_need_vector(&device, option.vector);
	if (!code && option.peer == device.properties.id)
		complain(EXIT_OK, "note: peer %u is this device itself",
			 option.peer);
	if (!code)
		tell_id(&device);
	if (!code)
		code = option.answer ? answer(&device) : ask(&device);
	device_close(&device);
	return code;
}
