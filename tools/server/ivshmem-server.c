// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmem-server: provides QEMU's ivshmem-doorbell devices with shared memory and with
 * each other's doorbells. Here: options, startup and shutdown.
 */
#include <argp.h>
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../streams.h"
#include "activation.h"
#include "daemon.h"
#include "lock.h"
#include "log.h"
#include "memory.h"
#include "notify.h"
#include "server.h"
#include "socket.h"
#include "status.h"

struct settings {
	bool verbose;
	bool foreground;
	const char *pid_file;
	const char *size;
	bool memory_chosen;
	struct passed passed;
	struct memory memory;
	struct listener listener;
	struct listener control;
	unsigned int vectors;
	bool reuse_ids;
};

enum { KEY_MEMFD = 0x100, KEY_MODE, KEY_REUSE_IDS };

static const struct argp_option options[] = {
	{ NULL, 'h', NULL, 0, "Give this help list", -1 },
	{ "foreground", 'F', NULL, 0,
	  "Stay in the foreground and log to stderr instead of syslog", 0 },
	{ "verbose", 'v', NULL, 0, "Log repeated events as well", 0 },
	{ "pid-file", 'p', "FILE", 0,
	  "Write the process id to FILE (default in the background: ivshmem-server.pid in /var/run or $XDG_RUNTIME_DIR)",
	  0 },
	{ "socket", 'S', "PATH", 0,
	  "Listen on PATH (default: /tmp/ivshmem_socket, or the socket passed by systemd)", 0 },
	{ "mode", KEY_MODE, "OCTAL", 0,
	  "Permissions of the socket and its control socket (default: by the umask)", 0 },
	{ "name", 'M', "NAME", 0,
	  "Share the POSIX shared memory object NAME (default: ivshmem)", 0 },
	{ "directory", 'm', "DIR", 0,
	  "Share an unlinked file in DIR, such as a hugetlbfs mount", 0 },
	{ "memfd", KEY_MEMFD, NULL, 0,
	  "Share an anonymous file that peers cannot resize", 0 },
	{ "size", 'l', "SIZE", 0,
	  "Size of the memory, a power of two, with optional suffix K, M, G or T (default: 4M)",
	  0 },
	{ "vectors", 'n', "NUMBER", 0,
	  "Doorbells per peer, 1 to 256 (default: 1)", 0 },
	{ "reuse-ids", KEY_REUSE_IDS, NULL, 0,
	  "Give the lowest free id (default: reuse an id only after all others)",
	  0 },
	{ 0 }
};

static void choose_memory(struct argp_state *state, enum memory_kind kind,
			  const char *name)
{
	struct settings *settings = state->input;

	if (settings->memory_chosen)
		argp_error(state, "-M, -m and --memfd are mutually exclusive");
	settings->memory_chosen = true;
	settings->memory.kind = kind;
	settings->memory.name = name;
}

static long number(struct argp_state *state, const char *what,
		   const char *text, int base, long low, long high)
{
	char *end;
	long value = strtol(text, &end, base);

	/* strtol() would accept a sign and leading blanks. */
	if (!isdigit((unsigned char)*text) || *end || value < low || value > high)
		argp_error(state, base == 8 ? "%s must be %lo to %lo, not %s" :
			   "%s must be %ld to %ld, not %s", what, low, high,
			   text);
	return value;
}

static const char *long_name(int key)
{
	const struct argp_option *option = options;

	while (option->key != key)
		option++;
	return option->name;
}

static bool has_control(const char *text)
{
	while (*text && !iscntrl((unsigned char)*text))
		text++;
	return *text;
}

/*
 * An empty name would be that of the root directory or of nothing, and a name with a
 * newline would forge lines of the log.
 */
static void check_value(struct argp_state *state, int key, const char *text)
{
	const char *name = long_name(key);

	if (!*text)
		argp_error(state, "the value of --%s is empty", name);
	if (has_control(text))
		argp_error(state, "the value of --%s contains a control character", name);
}

static void refuse_word(struct argp_state *state, const char *text)
{
	if (has_control(text))
		argp_error(state, "a word that is no option contains a control character");
	argp_error(state, "\"%s\" is no option", text);
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct settings *settings = state->input;

	if (text && key != ARGP_KEY_ARG)
		check_value(state, key, text);
	switch (key) {
	case 'h':
		argp_state_help(state, state->out_stream, ARGP_HELP_STD_HELP);
		break;
	case 'F':
		settings->foreground = true;
		break;
	case 'v':
		settings->verbose = true;
		break;
	case 'p':
		settings->pid_file = text;
		break;
	case 'S':
		settings->listener.path = text;
		break;
	case KEY_MODE:
		settings->listener.mode = number(state, "mode", text, 8, 0,
						 0777);
		break;
	case 'M':
		choose_memory(state, MEMORY_SHM, text);
		break;
	case 'm':
		choose_memory(state, MEMORY_DIRECTORY, text);
		break;
	case KEY_MEMFD:
		choose_memory(state, MEMORY_MEMFD, NULL);
		break;
	case 'l':
		settings->size = text;
		break;
	case 'n':
		settings->vectors = number(state, "vectors", text, 10, 1,
					   IVSHMEM_MAX_VECTORS);
		break;
	case KEY_REUSE_IDS:
		settings->reuse_ids = true;
		break;
	case ARGP_KEY_ARG:
		refuse_word(state, text);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Ids continue if the memory does: peers of an earlier server may still use both. */
static void continue_ids(struct settings *settings, struct server *server)
{
	char size[32];

	server->ids.stored = settings->passed.ids;
	server->ids.lock = settings->listener.lock;
	ids_open(&server->ids);
	if (!settings->memory.taken_over)
		return;
	server->next = ids_load(&server->ids);
	log_event(LOG_NOTICE, "event=restore size=%s next_id=%u",
		  readable(settings->memory.size, size), server->next);
}

static void prepare(struct settings *settings, struct server *server)
{
	server->memory = settings->memory.fd;
	server->size = settings->memory.size;
	server->vectors = settings->vectors;
	server->reuse_ids = settings->reuse_ids;
	continue_ids(settings, server);
}

static int serve(struct settings *settings, struct server *server, int status)
{
	prepare(settings, server);
	/* First, because server_listen() counts descriptors. */
	if (control_open(server, settings->control.fd, settings->listener.path) < 0 ||
	    server_listen(server, settings->listener.fd) < 0)
		return -1;
	if (status >= 0) {
		log_to_syslog();
		daemon_ready(status);
	}
	log_event(LOG_NOTICE,
		  "event=listen socket=%s size=%llu vectors=%u pid=%d",
		  settings->listener.path,
		  (unsigned long long)settings->memory.size,
		  settings->vectors, getpid());
	settings->listener.serves = true;
	notify_ready();
	status_report(server);
	server_run(server);
	control_close(server);
	return 0;
}

/* The pid file comes last: its existence means that the server is complete. */
static int with_pid_file(struct settings *settings, struct server *server,
			 int status)
{
	int result, fd;

	if (!settings->pid_file)
		return serve(settings, server, status);
	fd = pid_file_write(settings->pid_file);
	if (fd < 0)
		return -1;
	result = serve(settings, server, status);
	lock_remove(settings->pid_file, fd);
	return result;
}

/* An object needs no store: the next server finds it by its name. */
static void store_memory(const struct settings *settings)
{
	bool restored = settings->memory.fd == settings->passed.memory;

	if (settings->passed.memory >= 0 && !restored) {
		notify_discard(STORED_MEMORY);
		close(settings->passed.memory);
	}
	if (settings->memory.kind != MEMORY_SHM && !restored)
		notify_store(STORED_MEMORY, settings->memory.fd);
}

static int with_memory(struct settings *settings, struct server *server,
		       int status)
{
	int result = memory_create(&settings->memory, settings->passed.memory);

	if (result == 0) {
		store_memory(settings);
		result = with_pid_file(settings, server, status);
	}
	memory_remove(&settings->memory, result == 0);
	return result;
}

static int with_control(struct settings *settings, struct server *server, int status)
{
	int result = listener_open_control(&settings->control, &settings->listener);

	if (result == 0)
		result = with_memory(settings, server, status);
	listener_close(&settings->control);
	return result;
}

/* The socket comes first: a conflict on it is the most useful error message. */
static int start(struct settings *settings, int status)
{
	static struct server server;
	int result;

	if (server_open(&server) < 0 || listener_open(&settings->listener) < 0)
		return 1;
	result = with_control(settings, &server, status);
	listener_close(&settings->listener);
	server_close(&server);
	return result < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.size = "4M",
		.memory = { .kind = MEMORY_SHM, .name = "ivshmem" },
		.listener = { .mode = -1 },
		.vectors = 1,
	};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Provide virtual machines with shared memory and doorbells.\v"
		       "QEMU connects with -chardev socket,path=PATH,id=iv"
		       " -device ivshmem-doorbell,vectors=NUMBER,chardev=iv",
	};

	keep_streams();
	argv[0] = program_invocation_short_name;	/* for getopt's messages */
	argp_program_version = "ivshmem-server " VERSION;
	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, &settings);
	if (memory_size(settings.size, &settings.memory.size) < 0 ||
	    memory_name(&settings.memory) < 0 ||
	    (settings.listener.path && socket_path(settings.listener.path) < 0))
		return 2;
	log_open(settings.verbose);
	if (activation_take(&settings.passed) < 0)
		return 1;
	settings.listener.inherited = settings.passed.socket;
	settings.control.inherited = settings.passed.control;
	if (settings.foreground)
		return start(&settings, -1);
	if (!settings.pid_file)
		settings.pid_file = pid_file_default();
	if (!settings.pid_file)
		return 1;
	return start(&settings, daemon_start());
}
