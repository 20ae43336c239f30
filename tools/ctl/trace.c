// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl trace: print the steps of the driver and their place in the sources. Here:
 * options, the command, and the main loop.
 */
#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "progress.h"
#include "trace_print.h"
#include "trace_queue.h"
#include "tracefs.h"

/* poll() on trace_pipe waits until half the buffer is full: read it at this interval. */
#define READ_MS		50

#define SIGNALLED	128	/* plus the number of the signal, as in shells */

static struct {
	bool graph;
	bool list;
	int64_t timeout_ns;
	char **command;
} option = { .timeout_ns = IVSHMEM_FOREVER };

struct session {
	struct tracefs events, graph;
	struct trace_source sources[2];
	int count;
	struct trace_queue queue;
	bool abstime;		/* enabled by us */
	pid_t command;		/* -1: none, or exited */
	int code;
	struct progress progress;
};

static uint64_t lines;		/* printed */

static enum exit_code add_source(struct session *s, struct tracefs *instance,
				 bool (*parse)(char *text, struct trace_line *line))
{
	enum exit_code code = tracefs_open_pipe(instance);

	if (code)
		return code;
	s->sources[s->count].fd = instance->pipe;
	s->sources[s->count++].parse = parse;
	return EXIT_OK;
}

/* Select the driver's functions, except those generated for tracepoints. */
static bool set_graph(struct session *s)
{
	if (!tracefs_has(&s->graph, "available_tracers", "function_graph") ||
	    tracefs_write(&s->graph, "set_ftrace_filter", "*:mod:ivshmem"))
		return false;
	tracefs_write(&s->graph, "set_ftrace_notrace", "__traceiter_ivshmem_*");
	if (tracefs_write(&s->graph, "current_tracer", "function_graph"))
		return false;
	/* On some kernels this option is shared by all instances. */
	s->abstime = tracefs_has(&s->graph, "options/funcgraph-abstime", "0");
	return !tracefs_write(&s->graph, "options/funcgraph-abstime", "1");
}

static void stop_graph(struct session *s)
{
	if (s->abstime)
		tracefs_write(&s->graph, "options/funcgraph-abstime", "0");
	s->abstime = false;
	tracefs_remove(&s->graph);
}

/*
 * Only recent kernels have the tracer in an instance. Do not use the global one: that
 * would disturb others.
 */
static enum exit_code start_graph(struct session *s)
{
	enum exit_code code = tracefs_make(&s->graph, "-graph");

	if (code)
		return code;
	if (set_graph(s))
		return add_source(s, &s->graph, trace_parse_call);
	stop_graph(s);
	return complain(EXIT_OK, "note: no function graph: that needs kernel 6.11 or later with CONFIG_FUNCTION_GRAPH_TRACER; continuing without");
}

static enum exit_code session_start(struct session *s)
{
	enum exit_code code = tracefs_make(&s->events, "");
	int error;

	if (!code)
		code = add_source(s, &s->events, trace_parse_event);
	if (!code && option.graph)
		code = start_graph(s);
	if (code)
		return code;
	error = tracefs_write(&s->events, "events/ivshmem/enable", "1");
	if (error)
		return complain(EXIT_FAILED, "cannot enable the driver's events: %s",
				strerror(-error));
	return EXIT_OK;
}

/* A leftover instance costs memory, so signals must not interrupt this. */
static void session_end(struct session *s)
{
	block_stopping(NULL);
	stop_graph(s);
	tracefs_remove(&s->events);
	trace_queue_free(&s->queue);
}

/*
 * The command finds the instance in IVSHMEM_TRACE, to write marks. posix_spawn, because
 * a forked child would keep the pipe open, and with it the instance, until its exec.
 */
static enum exit_code start_command(struct session *s)
{
	posix_spawnattr_t attributes;
	sigset_t signals;
	int error;

	sigemptyset(&signals);
	sigaddset(&signals, SIGPIPE);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &signals);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	setenv("IVSHMEM_TRACE", s->events.path, 1);
	error = posix_spawnp(&s->command, *option.command, NULL, &attributes,
			     option.command, environ);
	posix_spawnattr_destroy(&attributes);
	if (!error)
		return EXIT_OK;
	s->command = -1;
	return complain(EXIT_USAGE, "cannot run %s: %s", *option.command, strerror(error));
}

/* Has the command exited? Then collect its exit status. */
static bool has_ended(struct session *s)
{
	int status;

	if (s->command <= 0 || waitpid(s->command, &status, WNOHANG) != s->command)
		return false;
	s->command = -1;
	s->code = WIFSIGNALED(status) ? SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
	return true;
}

static void print(const struct trace_line *line)
{
	progress_erase();
	trace_print(line);
	lines++;
}

/* Lowers @until to the time up to which all lines have been read. */
static enum exit_code read_sources(struct session *s, int64_t *until)
{
	for (int i = 0; i < s->count; i++) {
		struct trace_source *source = &s->sources[i];
		int lost = trace_read(source, &s->queue);

		if (lost < 0)
			return complain(EXIT_FAILED, "cannot read the trace: %s",
					strerror(-lost));
		if (lost)
			complain(EXIT_OK, "note: buffer overrun: some events are lost");
		if (source->behind && source->last_ns < *until)
			*until = source->last_ns;
	}
	return EXIT_OK;
}

/* Print up to now only: for later times, another source may still have earlier lines. */
static enum exit_code show_until(struct session *s, int64_t until)
{
	enum exit_code code = read_sources(s, &until);

	if (code)
		return code;
	trace_take(&s->queue, until, print);
	return flush_output();
}

static bool is_behind(const struct session *s)
{
	for (int i = 0; i < s->count; i++)
		if (s->sources[i].behind)
			return true;
	return false;
}

/* Nothing more comes. */
static enum exit_code show_rest(struct session *s)
{
	enum exit_code code;

	tracefs_write(&s->events, "tracing_on", "0");
	if (*s->graph.path)
		tracefs_write(&s->graph, "tracing_on", "0");
	do
		code = show_until(s, INT64_MAX);
	while (!code && is_behind(s));
	return code;
}

static enum exit_code watch(struct session *s)
{
	int64_t start = now_ns();
	enum exit_code code = EXIT_OK;

	s->progress = (struct progress){ .done = "", .thing = "line", .total = UINT64_MAX };
	progress_start(&s->progress);
	/* A command may use the terminal as well. */
	if (option.command)
		progress_hide();
	while (!code && !stopped && !has_ended(s)) {
		if (option.timeout_ns >= 0 && now_ns() - start >= option.timeout_ns) {
			s->code = s->command > 0 ? EXIT_TIMEOUT : EXIT_OK;
			break;
		}
		progress_show(&s->progress, lines, "steps of the driver");
		poll(NULL, 0, READ_MS);
		code = show_until(s, now_ns());
	}
	progress_erase();
	if (s->command > 0)
		kill(s->command, SIGTERM);
	return code ? code : show_rest(s);
}

static enum exit_code trace(struct session *s)
{
	int64_t start = now_ns();
	enum exit_code code = session_start(s);

	if (code)
		return code;
	trace_print_begin(start);
	if (option.command)
		code = start_command(s);
	if (!code)
		code = watch(s);
	return code;
}

static error_t parse_trace(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 'g':
		option.graph = true;
		return 0;
	case 'l':
		option.list = true;
		return 0;
	case 't':
		option.timeout_ns = argument_seconds(state, "--timeout", argument);
		return 0;
	case ARGP_KEY_ARG:
		option.command = &state->argv[state->next - 1];
		state->next = state->argc;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option trace_options[] = {
	{ "graph", 'g', NULL, 0, "Print the driver's function calls as well", 0 },
	{ "list", 'l', NULL, 0, "List the steps without tracing", 0 },
	{ "timeout", 't', "SECONDS", 0, "Exit after SECONDS", 0 },
	{ 0 }
};

static const struct argp trace_argp = {
	.options = trace_options,
	.parser = parse_trace,
	.args_doc = "[COMMAND [ARGUMENT...]]",
	.doc = "Print each step of the driver: time, task, context, place in the sources, and the locks held there.\vExits with COMMAND and its exit code; without COMMAND, on SIGINT. COMMAND can write marks: echo TEXT >$IVSHMEM_TRACE/trace_marker.",
	.children = with_json,
};

int verb_trace(int argc, char **argv)
{
	static struct session session = {
		.events.pipe = -1, .graph.pipe = -1, .command = -1,
	};
	enum exit_code code;

	argp_parse(&trace_argp, argc, argv, ARGP_IN_ORDER, NULL, NULL);
	if (option.list)
		return trace_print_steps();
	if (geteuid())
		return complain_not_root();
	stop_on_signals();
	/* A closed pipe is a write error, after which the instance is removed. */
	signal(SIGPIPE, SIG_IGN);
	code = trace(&session);
	session_end(&session);
	return code ? (int)code : session.code;
}
