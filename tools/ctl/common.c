// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared by the verbs: messages, arguments, signals.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "ctl.h"
#include "numbers.h"
#include "printable.h"
#include "progress.h"

struct common_options common;
volatile sig_atomic_t stopped;

char *format_message(const char *format, va_list arguments)
{
	char *text;

	if (vasprintf(&text, format, arguments) < 0)
		return NULL;
	return mask_unprintable(text);
}

enum exit_code complain(enum exit_code code, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	text = format_message(format, arguments);
	va_end(arguments);
	progress_erase();
	fprintf(stderr, "ivshmemctl: %s\n", text ? text : "out of memory");
	free(text);
	return code;
}

void complain_usage(struct argp_state *state, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	text = format_message(format, arguments);
	va_end(arguments);
	argp_error(state, "%s", text ? text : "out of memory");
	free(text);
}

enum exit_code complain_not_root(void)
{
	return complain(EXIT_DENIED, "only root can do this: try sudo ivshmemctl");
}

static error_t parse_common(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 'h':
		argp_state_help(state, state->out_stream, ARGP_HELP_STD_HELP);
		return 0;
	case 'd':
		common.device = argument;
		return 0;
	case 'j':
		common.json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option device_options[] = {
	{ "device", 'd', "DEV", 0,
	  "Device node, name (ivshmem0), or, on the host, a server's socket or a file", -2 },
	{ 0 }
};

static const struct argp_option json_options[] = {
	{ "json", 'j', NULL, 0, "Print JSON", -2 },
	{ 0 }
};

static const struct argp_option help_options[] = {
	{ NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0 },
	{ 0 }
};

static bool is_negative(const char *text)
{
	return text[0] == '-' && isdigit((unsigned char)text[1]);
}

static argp_parser_t parse_operand;

static error_t parse_number(int key, char *argument, struct argp_state *state)
{
	char *word = state->argv[state->next - 1];

	(void)argument;
	if (key < '0' || key > '9')
		return ARGP_ERR_UNKNOWN;
	/* It can also be one of several options in one word. */
	if (!is_negative(word))
		argp_error(state, "invalid option -- '%c'", key);
	return parse_operand(ARGP_KEY_ARG, word, state);
}

void parse_numbers(const struct argp *argp, int argc, char **argv)
{
	parse_operand = argp->parser;
	argp_parse(argp, argc, argv, ARGP_IN_ORDER, NULL, NULL);
}

/* "-12" is the option 1 with the argument 2. */
static const struct argp_option number_options[] = {
	{ NULL, '0', "N", OPTION_ARG_OPTIONAL | OPTION_HIDDEN, NULL, 0 },
	{ NULL, '1', "N", OPTION_ARG_OPTIONAL | OPTION_HIDDEN, NULL, 0 },
	{ NULL, '2', "N", OPTION_ARG_OPTIONAL | OPTION_HIDDEN, NULL, 0 },
	{ NULL, '3', "N", OPTION_ARG_OPTIONAL | OPTION_HIDDEN, NULL, 0 },
	{ NULL, '4', "N", OPTION_ARG_OPTIONAL | OPTION_HIDDEN, NULL, 0 },
	{ NULL, '5', "N", OPTION_ARG_OPTIONAL | OPTION_HIDDEN, NULL, 0 },
	{ NULL, '6', "N", OPTION_ARG_OPTIONAL | OPTION_HIDDEN, NULL, 0 },
	{ NULL, '7', "N", OPTION_ARG_OPTIONAL | OPTION_HIDDEN, NULL, 0 },
	{ NULL, '8', "N", OPTION_ARG_OPTIONAL | OPTION_HIDDEN, NULL, 0 },
	{ NULL, '9', "N", OPTION_ARG_OPTIONAL | OPTION_HIDDEN, NULL, 0 },
	{ 0 }
};

static const struct argp device_argp = {
	.options = device_options,
	.parser = parse_common,
};

static const struct argp json_argp = {
	.options = json_options,
	.parser = parse_common,
};

static const struct argp help_argp = {
	.options = help_options,
	.parser = parse_common,
};

static const struct argp number_argp = {
	.options = number_options,
	.parser = parse_number,
};

const struct argp_child with_help[] = {
	{ .argp = &help_argp }, { 0 }
};

const struct argp_child with_device[] = {
	{ .argp = &help_argp }, { .argp = &device_argp }, { 0 }
};

const struct argp_child with_json[] = {
	{ .argp = &help_argp }, { .argp = &json_argp }, { 0 }
};

const struct argp_child with_device_and_json[] = {
	{ .argp = &help_argp }, { .argp = &device_argp },
	{ .argp = &json_argp }, { 0 }
};

const struct argp_child with_device_and_numbers[] = {
	{ .argp = &help_argp }, { .argp = &device_argp },
	{ .argp = &number_argp }, { 0 }
};

const struct argp_child with_device_json_and_numbers[] = {
	{ .argp = &help_argp }, { .argp = &device_argp },
	{ .argp = &json_argp }, { .argp = &number_argp }, { 0 }
};

uint64_t argument_size(struct argp_state *state, const char *what,
		       const char *text, uint64_t max)
{
	uint64_t value = 0;
	int error = parse_size(text, &value);

	if (is_negative(text))
		complain_usage(state, "negative %s '%s'", what, text);
	else if (error == -EINVAL)
		complain_usage(state, "%s '%s' is not a number (examples: 4096, 0x1000, 4K)",
			   what, text);
	else if (error || value > max)
		complain_usage(state, "%s %s is too large: the maximum is %llu", what, text,
			       (unsigned long long)max);
	return value;
}

uint64_t argument_count(struct argp_state *state, const char *what, const char *text)
{
	uint64_t value = argument_size(state, what, text, UINT64_MAX);

	if (!value)
		argp_error(state, "%s must be at least 1", what);
	return value;
}

int64_t argument_seconds(struct argp_state *state, const char *what,
			 const char *text)
{
	int64_t value = 0;
	int error = parse_seconds(text, &value);

	if (is_negative(text))
		complain_usage(state, "negative %s '%s'", what, text);
	else if (error == -EINVAL)
		complain_usage(state, "%s '%s' is not a number of seconds (examples: 2, 0.5)",
			       what, text);
	else if (error)
		complain_usage(state, "%s %s is too large: the maximum is %d seconds", what,
			       text, MAX_SECONDS);
	return value;
}

enum exit_code flush_output(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_OK;
	return complain(EXIT_FAILED, "cannot write the output: %s",
			strerror(errno));
}

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void nothing(int signal)
{
	(void)signal;
}

void interrupt_calls(void)
{
	/* No SA_RESTART. */
	struct sigaction action = { .sa_handler = nothing };
	struct itimerval interval = {
		.it_interval.tv_usec = INTERRUPT_NS / 1000,
		.it_value.tv_usec = INTERRUPT_NS / 1000,
	};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &interval, NULL);
}

/*
 * nohup has SIGHUP ignored, and a shell SIGINT and SIGQUIT of what a script starts with &. SIGINT
 * and SIGTERM stop a verb all the same.
 */
static const int stopping[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static void stop(int signal)
{
	stopped = signal;
}

void stop_on_signals(void)
{
	/* No SA_RESTART: blocking calls must return EINTR. */
	struct sigaction action = {
		.sa_handler = stop,
		.sa_flags = SA_RESETHAND,
	};

	struct sigaction old;

	for (size_t i = 0; i < sizeof(stopping) / sizeof(*stopping); i++)
		if (stopping[i] == SIGINT || stopping[i] == SIGTERM ||
		    sigaction(stopping[i], NULL, &old) || old.sa_handler != SIG_IGN)
			sigaction(stopping[i], &action, NULL);
}

void block_stopping(sigset_t *before)
{
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(stopping) / sizeof(*stopping); i++)
		sigaddset(&signals, stopping[i]);
	sigprocmask(SIG_BLOCK, &signals, before);
}

void end_by_signal(void)
{
	sigset_t signals;

	if (!stopped)
		return;
	signal(stopped, SIG_DFL);
	sigemptyset(&signals);
	sigaddset(&signals, stopped);
	sigprocmask(SIG_UNBLOCK, &signals, NULL);
	raise(stopped);
}
