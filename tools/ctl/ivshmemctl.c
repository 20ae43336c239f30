// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl: look at, read, write, ring and stream through shared memory
 * between virtual machines, on a guest's device or a server's socket.
 *
 * Here: the table of verbs. Each verb parses its own arguments.
 */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "../streams.h"
#include "ctl.h"

static const struct verb {
	/* As argp shows it in the verb's help, so "ivshmemctl" is part of it. */
	char *name;
	const char *brief;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "ivshmemctl list", "show the devices of this machine", verb_list },
	{ "ivshmemctl info", "show everything about one device", verb_info },
	{ "ivshmemctl read", "read from the region", verb_read },
	{ "ivshmemctl write", "write to the region", verb_write },
	{ "ivshmemctl ring", "ring a peer's doorbell", verb_ring },
	{ "ivshmemctl wait", "show doorbells as they ring", verb_wait },
	{ "ivshmemctl ping", "measure doorbell round trips", verb_ping },
	{ "ivshmemctl send", "stream a file to the other side", verb_send },
	{ "ivshmemctl recv", "receive what the other side sends", verb_recv },
	{ "ivshmemctl add", "make a device that no bus finds", verb_add },
	{ "ivshmemctl remove", "take such a device away", verb_remove },
	{ "ivshmemctl trace", "show what the driver does, step by step", verb_trace },
	{ "ivshmemctl doctor", "say what is wrong, and what to do", verb_doctor },
};

#define VERBS	(sizeof(verbs) / sizeof(verbs[0]))

static const char *short_name(const struct verb *verb)
{
	return strchr(verb->name, ' ') + 1;
}

/* What was printed may still wait to be written, and fail only then. */
static int run(const struct verb *verb, int argc, char **argv)
{
	int code = verb->run(argc, argv);

	return code ? code : (int)flush_output();
}

static void usage(FILE *stream)
{
	fputs("Usage: ivshmemctl VERB [OPTION...] [ARGUMENT...]\n\n"
	      "Shared memory and doorbells between virtual machines.\n\n", stream);
	for (size_t i = 0; i < VERBS; i++)
		fprintf(stream, "  %-8s%s\n", short_name(&verbs[i]),
			verbs[i].brief);
	fputs("\nThe device is --device, else $IVSHMEM_DEVICE, else the only one there is.\n"
	      "'ivshmemctl VERB --help' tells more; so does 'man ivshmemctl'.\n",
	      stream);
}

/* On a server's socket each vector of each peer takes a descriptor. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	keep_streams();
	allow_descriptors();
	setlocale(LC_CTYPE, "");
	argp_err_exit_status = EXIT_USAGE;
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") ||
	    !strcmp(argv[1], "-h") || !strcmp(argv[1], "-?")) {
		usage(stdout);
		return flush_output();
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("ivshmemctl " VERSION);
		return flush_output();
	}
	for (size_t i = 0; i < VERBS; i++) {
		if (strcmp(argv[1], short_name(&verbs[i])))
			continue;
		argv[1] = verbs[i].name;
		return run(&verbs[i], argc - 1, argv + 1);
	}
	complain(EXIT_USAGE, "there is no verb '%s'", argv[1]);
	usage(stderr);
	return EXIT_USAGE;
}
