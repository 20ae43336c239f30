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

static struct end end_of(int file_error, int stream_error)
{
	return (struct end){ file_error, stream_error };
}

/* After an access to the file that gave @done, which may be -EINTR. */
static struct end after_file(struct stream *stream, const struct file *file, int64_t done)
{
	/* Ctrl-C also kills the other end of a pipe, which is not an end of file. */
	int error = stopped ? -EINTR : stream_beat(stream);

	if (done < 0 || stream->position)
		stream_show(stream, file->name);
	return end_of(done < 0 && done != -EINTR ? (int)done : 0, error);
}

static struct end send_next(struct stream *stream, const struct file *file, size_t *count)
{
	struct end end;
	int64_t done;

	do {
		done = file_read(file, stream->out.bytes, stream->chunk);
		end = after_file(stream, file, done);
		if (end.file_error || end.stream_error)
			return end;
	} while (done < 0);
	*count = (size_t)done;
	return end_of(0, *count ? stream_put(stream, *count) : 0);
}

static struct end receive_next(struct stream *stream, const struct file *file,
			       size_t *count)
{
	const uint8_t *bytes = stream->in.data.bytes;
	struct end end = end_of(0, stream_get(stream, count));
	size_t left = *count;

	while (left && !end.file_error && !end.stream_error) {
		int64_t done = file_write(file, bytes, left);

		end = after_file(stream, file, done);
		if (done < 0)
			continue;
		stream_advance(stream, bytes, (size_t)done);
		bytes += done;
		left -= (size_t)done;
	}
	return end;
}

static struct end pump(struct stream *stream, const struct file *file)
{
	struct end end;
	size_t count;

	for (;;) {
		end = stream->sending ? send_next(stream, file, &count) :
					receive_next(stream, file, &count);
		if (end.file_error || end.stream_error || !count)
			return end;
	}
}

/* Handshake, stream, and exchange checksums. */
static struct end transfer(struct stream *stream, struct file *file)
{
	struct end end = { 0 };

	/* By default, wait for the other side without a limit. */
	stream->timeout_ns = option.has_timeout ? option.timeout_ns :
						  IVSHMEM_FOREVER;
	end.stream_error = stream_handshake(stream, file->size);
	stream->timeout_ns = option.timeout_ns;
	progress_start(&stream->progress);
	if (end.stream_error)
		return end;
	file_take_terminal(file);
	/* Keep the old contents until there is a sender. */
	if (!stream->sending)
		end.file_error = file_truncate(file);
	if (!end.file_error)
		end = pump(stream, file);
	if (end.file_error || end.stream_error)
		return end;
	/* Check for late write errors before reporting success. */
	end.file_error = file_close(file);
	if (!end.file_error)
		end.stream_error = stream_finish(stream);
	return end;
}

static enum exit_code summarize(const struct stream *stream, const struct file *file)
{
	bool data_on_stdout = !stream->sending && file->name &&
			      !strcmp(file->name, "stdout");
	char checksum[17], total[TOTAL_TEXT];

	snprintf(checksum, sizeof(checksum), "%016" PRIx64,
		 stream_checksum(stream));
	if (common.json)
		return print_json(data_on_stdout ? stderr : stdout,
				  json_pack("{s:I, s:f, s:s}",
					    "bytes", (json_int_t)stream->position,
					    "seconds", progress_seconds(&stream->progress),
					    "xxh64", checksum), false);
	fprintf(stderr, "%s, XXH64 %s\n",
		progress_total(&stream->progress, stream->position, total), checksum);
	return EXIT_OK;
}

static enum exit_code complain_end(const struct stream *stream,
				   const struct file *file, struct end end)
{
	char count[COUNT_TEXT];
	enum exit_code code;

	if (end.file_error)
		code = complain(EXIT_FAILED, "cannot %s %s: %s",
				stream->sending ? "read" : "write", file->name,
				strerror(-end.file_error));
	else
		code = stream_complain(stream, end.stream_error);
	if (!stream->sending && stream->position)
		complain(code, "%s is incomplete: it has the first %s", file->name,
			 format_count(count, stream->position, "byte"));
	return code;
}

static enum exit_code run(const struct device *device, struct file *file,
			  bool sending)
{
	/* Too large for the stack. */
	static struct stream stream;
	enum exit_code code;
	struct end end;

	stop_on_signals();
	signal(SIGPIPE, SIG_IGN);
	stream.progress.done = sending ? "sent " : "received ";
	code = stream_open(&stream, device, sending, option.offset, option.size);
	if (code)
		return code;
	end = transfer(&stream, file);
	progress_erase();
	if (end.file_error || end.stream_error) {
		stream_give_up(&stream);
		code = complain_end(&stream, file, end);
	} else {
		code = summarize(&stream, file);
	}
	stream_close(&stream);
	return code;
}

/* Apply defaults to and check --offset and --size. */
static enum exit_code choose_window(const struct device *device)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t size = device->properties.size;
	char count[COUNT_TEXT];

	if (option.offset % page)
		return complain(EXIT_USAGE, "--offset must be a multiple of the page size, %" PRIu64,
				page);
	if (option.offset >= size)
		return complain(EXIT_USAGE, "--offset %" PRIu64 " is beyond the end: %s has %s",
				option.offset, device->name,
				format_count(count, size, "byte"));
	if (!option.size)
		option.size = size - option.offset;
	if (option.size > size - option.offset)
		return complain(EXIT_USAGE, "--size %" PRIu64 " does not fit: %s has %s after offset %" PRIu64,
				option.size, device->name,
				format_count(count, size - option.offset, "byte"),
				option.offset);
	if (option.size < STREAM_MIN_WINDOW)
		return complain(EXIT_USAGE, "%s is not enough: the minimum is %d",
				format_count(count, option.size, "byte"), STREAM_MIN_WINDOW);
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
