// SPDX-License-Identifier: GPL-2.0-only
/*
 * A transfer by ivshmemctl send and recv: see transfer.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "fileio.h"
#include "numbers.h"
#include "progress.h"
#include "stream.h"
#include "transfer.h"

#define DEFAULT_TIMEOUT_NS	INT64_C(10000000000)
/* Must exceed the heartbeat interval of a side that is blocked in file I/O. */
#define MIN_TIMEOUT_NS		INT64_C(1000000000)

static struct {
	const char *file;
	uint64_t offset;
	uint64_t size;
	int64_t timeout_ns;
	bool has_timeout;
} option = { .timeout_ns = DEFAULT_TIMEOUT_NS };

/* Why a transfer ended: an error of the file or of the stream (negative errno). */
struct end {
	int file_error;
	int stream_error;
};

/* Move bytes from file to region or back. 0: end of file. */
static int64_t move(struct stream *stream, const struct file *file,
		    uint8_t *bytes, size_t count)
{
	int64_t done;

	stream_busy(stream);
	do {
		done = stream->sending ? file_read(file, bytes, count) :
					 file_write(file, bytes, count);
	} while (done == -EINTR && !stopped);
	stream_idle();
	/* Ctrl-C also kills the other end of a pipe, which is not an end of file. */
	return done == 0 && stopped ? -EINTR : done;
}

static struct end pump(struct stream *stream, const struct file *file,
		       struct progress *progress)
{
	uint64_t total = stream->sending ? file->size : stream_total(stream);

	for (;;) {
		uint8_t *bytes;
		size_t count;
		int64_t done;
		int error = stream_wait(stream, &bytes, &count);

		if (error || !count)
			return (struct end){ .stream_error = error };
		done = move(stream, file, bytes, count);
		if (done == -EINTR || done == -EFAULT)
			return (struct end){ .stream_error = (int)done };
		if (done < 0)
			return (struct end){ .file_error = (int)done };
		if (done == 0)
			return (struct end){ 0 };
		stream_advance(stream, (size_t)done);
		progress_update(progress, stream->position, total);
	}
}

/* Handshake, stream, and exchange checksums. */
static struct end transfer(struct stream *stream, struct file *file,
			   struct progress *progress)
{
	struct end end = { 0 };

	/* By default, wait for the other side without a limit. */
	stream->timeout_ns = option.has_timeout ? option.timeout_ns :
						  IVSHMEM_FOREVER;
	end.stream_error = stream_handshake(stream, file->size);
	stream->timeout_ns = option.timeout_ns;
	progress_start(progress);
	if (end.stream_error)
		return end;
	/* Keep the old contents until there is a sender. */
	if (!stream->sending)
		end.file_error = file_truncate(file);
	if (!end.file_error)
		end = pump(stream, file, progress);
	if (end.file_error || end.stream_error)
		return end;
	/* Check for late write errors before reporting success. */
	stream_busy(stream);
	end.file_error = file_close(file);
	stream_idle();
	if (!end.file_error)
		end.stream_error = stream_finish(stream);
	return end;
}

static enum exit_code summarize(const struct stream *stream,
				const struct file *file, double seconds)
{
	bool data_on_stdout = !stream->sending && file->name &&
			      !strcmp(file->name, "stdout");
	const char *verb = stream->sending ? "sent" : "received";
	char checksum[17], size[SIZE_TEXT], rate[SIZE_TEXT];
	uint64_t bytes = stream->position;

	snprintf(checksum, sizeof(checksum), "%016" PRIx64,
		 stream_checksum(stream));
	if (common.json)
		return print_json(data_on_stdout ? stderr : stdout,
				  json_pack("{s:I, s:f, s:s}",
					    "bytes", (json_int_t)bytes,
					    "seconds", seconds,
					    "xxh64", checksum), false);
	fprintf(stderr, "%s %" PRIu64 " bytes (%s) in %.3f s (%s/s), XXH64 %s\n",
		verb, bytes, format_size(size, (double)bytes), seconds,
		format_size(rate, seconds > 0 ? (double)bytes / seconds : 0),
		checksum);
	return EXIT_OK;
}

static enum exit_code complain_end(const struct stream *stream,
				   const struct file *file, struct end end)
{
	enum exit_code code;

	if (end.file_error)
		code = complain(EXIT_FAILED, "cannot %s %s: %s",
				stream->sending ? "read" : "write", file->name,
				strerror(-end.file_error));
	else
		code = stream_complain(stream, end.stream_error);
	if (!stream->sending && stream->position)
		complain(code, "%s is incomplete: it has the first %" PRIu64 " bytes",
			 file->name, stream->position);
	return code;
}

static enum exit_code run(const struct device *device, struct file *file,
			  bool sending)
{
	struct progress progress = { 0 };
	struct stream stream = { 0 };
	enum exit_code code;
	struct end end;
	double seconds;

	code = stream_open(&stream, device, sending, option.offset, option.size);
	if (code)
		return code;
	stop_on_signals();
	signal(SIGPIPE, SIG_IGN);
	end = transfer(&stream, file, &progress);
	seconds = progress_end(&progress);
	if (end.file_error || end.stream_error) {
		stream_give_up(&stream);
		code = complain_end(&stream, file, end);
	} else {
		code = summarize(&stream, file, seconds);
	}
	stream_close(&stream);
	return code;
}

/* Apply defaults to and check --offset and --size. */
static enum exit_code choose_window(const struct device *device)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t size = device->properties.size;

	if (option.offset % page)
		return complain(EXIT_USAGE, "--offset must be a multiple of the page size, %" PRIu64,
				page);
	if (option.offset >= size)
		return complain(EXIT_USAGE, "--offset %" PRIu64 " is beyond the end: %s has %" PRIu64 " bytes",
				option.offset, device->name, size);
	if (!option.size)
		option.size = size - option.offset;
	if (option.size > size - option.offset)
		return complain(EXIT_USAGE, "--size %" PRIu64 " does not fit: %s has %" PRIu64 " bytes after offset %" PRIu64,
				option.size, device->name,
				size - option.offset, option.offset);
	if (option.size < STREAM_MIN_WINDOW)
		return complain(EXIT_USAGE, "%" PRIu64 " bytes are not enough: the minimum is %d",
				option.size, STREAM_MIN_WINDOW);
	return EXIT_OK;
}

error_t transfer_parse(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 'O':
		option.offset = argument_size(state, "--offset", argument,
					      UINT64_MAX);
		return 0;
	case 'S':
		option.size = argument_size(state, "--size", argument,
					    UINT64_MAX);
		return 0;
	case 't':
		option.timeout_ns = argument_seconds(state, "--timeout", argument);
		option.has_timeout = true;
		if (option.timeout_ns < MIN_TIMEOUT_NS)
			argp_error(state, "--timeout must be at least 1");
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "too many arguments");
		option.file = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp_option transfer_options[] = {
	{ "offset", 'O', "OFFSET", 0, "Start of the part of the region to use (default: 0)", 0 },
	{ "size", 'S', "SIZE", 0, "Size of that part (default: up to the end)", 0 },
	{ "timeout", 't', "SECONDS", 0,
	  "Give up after SECONDS without progress on the other side (default: 10, and no limit before it is there)", 0 },
	{ 0 }
};

enum exit_code transfer_run(bool sending)
{
	struct device device;
	struct file file;
	enum exit_code code;

	code = device_open(&device, 0);
	if (code)
		return code;
	code = choose_window(&device);
	if (!code)
		code = sending ? file_open_input(&file, option.file) :
				 file_open_output(&file, option.file);
	if (!code) {
		code = run(&device, &file, sending);
		file_close(&file);
	}
	device_close(&device);
	return code;
}
