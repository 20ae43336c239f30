// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl: inspect and use memory and doorbells shared between virtual machines, on a
 * guest's device or a server's socket.
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
	/* With "ivshmemctl", because argp prints argv[0] in the verb's help. */
	char *name;
	const char *brief;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "ivshmemctl list", "list the devices of this machine", verb_list },
	{ "ivshmemctl info", "show one device in full", verb_info },
	{ "ivshmemctl read", "read from the region", verb_read },
	{ "ivshmemctl write", "write to the region", verb_write },
	{ "ivshmemctl ring", "ring a peer's doorbell", verb_ring },
	{ "ivshmemctl wait", "print doorbells as they arrive", verb_wait },
	{ "ivshmemctl ping", "measure doorbell round trips", verb_ping },
	{ "ivshmemctl send", "stream a file to the other side", verb_send },
	{ "ivshmemctl recv", "receive a file from the other side", verb_recv },
	{ "ivshmemctl add", "add a device in software", verb_add },
	{ "ivshmemctl remove", "remove a device in software", verb_remove },
	{ "ivshmemctl trace", "trace the driver step by step", verb_trace },
	{ "ivshmemctl doctor", "find out why a device cannot be used", verb_doctor },
};

#define VERBS	(sizeof(verbs) / sizeof(verbs[0]))

static const char *short_name(const struct verb *verb)
{
	return strchr(verb->name, ' ') + 1;
}

/* Buffered output can still fail. */
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
	fputs("\nThe device is --device, else $IVSHMEM_DEVICE, else the only device.\n"
	      "See 'ivshmemctl VERB --help' and 'man ivshmemctl'.\n",
	      stream);
}

/* On a server's socket, each vector of each peer needs a descriptor. */
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
	complain(EXIT_USAGE, "unknown verb '%s'", argv[1]);
	usage(stderr);
	return EXIT_USAGE;
}
