// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl: inspect and use memory and doorbells shared between virtual machines, on a
 * guest's device or a server's socket.
 *
 * Here: the table of verbs. Each verb parses its own arguments.
 */
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../streams.h"
#include "ctl.h"
#include "distance.h"

static const struct verb {
	/* With "ivshmemctl", because argp prints argv[0] in the verb's help. */
	char *name;
	const char *brief;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "ivshmemctl list", "list the devices and servers of this machine", verb_list },
	{ "ivshmemctl info", "show one device in full", verb_info },
	{ "ivshmemctl peers", "show who is present", verb_peers },
	{ "ivshmemctl top", "show a device live: partitions, peers, vectors", verb_top },
	{ "ivshmemctl read", "read from the region", verb_read },
	{ "ivshmemctl write", "write to the region", verb_write },
	{ "ivshmemctl ring", "ring a peer's doorbell", verb_ring },
	{ "ivshmemctl wait", "print doorbells as they arrive", verb_wait },
	{ "ivshmemctl ping", "measure doorbell round trips", verb_ping },
	{ "ivshmemctl send", "stream a file to the other side", verb_send },
	{ "ivshmemctl recv", "receive a file from the other side", verb_recv },
	{ "ivshmemctl add", "add a device in software", verb_add },
	{ "ivshmemctl remove", "remove a device in software", verb_remove },
	{ "ivshmemctl format", "write a label to a region", verb_format },
	{ "ivshmemctl label", "show the label of a region", verb_label },
	{ "ivshmemctl partition", "list, add, remove or resize partitions", verb_partition },
	{ "ivshmemctl net", "give this machine an interface to all others", verb_net },
	{ "ivshmemctl rescan", "have the driver read the label again", verb_rescan },
	{ "ivshmemctl wipe", "remove the label of a region", verb_wipe },
	{ "ivshmemctl trace", "trace the driver step by step", verb_trace },
	{ "ivshmemctl doctor", "find out why a device cannot be used", verb_doctor },
};

#define VERBS	(sizeof(verbs) / sizeof(verbs[0]))
#define MOST_MISTAKES	2
#define FIRST_WORDS	4	/* "-d", its value, "-j", and NULL in the end */

/* The options before the verb: of several devices, the last one. */
struct first {
	char *device;
	bool json;
};

/* The arguments of a verb. */
struct words {
	char **list;
	int count;
};

static void add_word(struct words *words, char *word)
{
	words->list[words->count++] = word;
}

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
	fputs("Usage: ivshmemctl [OPTION...] VERB [OPTION...] [ARGUMENT...]\n\n"
	      "Shared memory and doorbells between virtual machines.\n\n", stream);
	for (size_t i = 0; i < VERBS; i++)
		fprintf(stream, "  %-10s%s\n", short_name(&verbs[i]),
			verbs[i].brief);
	fputs("\n  -d, --device=DEV  Device node, name (ivshmem0), server socket, or file\n"
	      "  -j, --json        Print JSON\n"
	      "  -h, --help        Print this list\n"
	      "  -V, --version     Print the version\n"
	      "\nThe device is --device, else $IVSHMEM_DEVICE, else the only device.\n"
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

static int refuse(const char *what, const char *word)
{
	return complain(EXIT_USAGE, "%s '%s': see 'ivshmemctl --help'", what, word);
}

/*
 * Take what is before the verb. Returns the verb's position; 0: the program ends with
 * *@code.
 */
static int take_options(int argc, char **argv, struct first *first, int *code)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 }
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:d:jhV", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			first->device = optarg;
			break;
		case 'j':
			first->json = true;
			break;
		case 'h':
			usage(stdout);
			*code = flush_output();
			return 0;
		case 'V':
			puts("ivshmemctl " VERSION);
			*code = flush_output();
			return 0;
		case ':':
			*code = refuse("no value after option", argv[optind - 1]);
			return 0;
		default:
			*code = refuse("unknown option before the verb", argv[optind - 1]);
			return 0;
		}
	}
	if (optind < argc)
		return optind;
	*code = complain(EXIT_USAGE, "no verb: 'ivshmemctl --help' lists them");
	return 0;
}

/* The verb that a mistyped one is most like, or NULL. */
static const char *nearest_verb(const char *word)
{
	size_t best = MOST_MISTAKES + 1;
	const char *nearest = NULL;

	for (size_t i = 0; i < VERBS; i++) {
		const char *name = short_name(&verbs[i]);
		size_t distance = word_distance(word, name);

		if (distance < best && 2 * distance <= strlen(name)) {
			best = distance;
			nearest = name;
		}
	}
	return nearest;
}

static int refuse_verb(const char *word)
{
	const char *nearest = nearest_verb(word);

	if (!nearest)
		return refuse("unknown verb", word);
	return complain(EXIT_USAGE, "unknown verb '%s': did you mean '%s'? See 'ivshmemctl --help'",
			word, nearest);
}

/* The verb parses all options, also those before it. */
static int run_with(const struct verb *verb, int argc, char **argv, const struct first *first)
{
	struct words words = { .list = calloc((size_t)argc + FIRST_WORDS, sizeof(char *)) };
	int code;

	if (!words.list)
		return complain(EXIT_FAILED, "out of memory");
	add_word(&words, verb->name);
	if (first->device) {
		add_word(&words, "-d");
		add_word(&words, first->device);
	}
	if (first->json)
		add_word(&words, "-j");
	for (int n = 1; n < argc; n++)
		add_word(&words, argv[n]);
	code = run(verb, words.count, words.list);
	free(words.list);
	return code;
}

static int run_verb(int argc, char **argv, const struct first *first)
{
	for (size_t i = 0; i < VERBS; i++)
		if (!strcmp(argv[0], short_name(&verbs[i])))
			return run_with(&verbs[i], argc, argv, first);
	return refuse_verb(argv[0]);
}

int main(int argc, char **argv)
{
	struct first first = { 0 };
	int verb, code = EXIT_OK;

	keep_streams();
	allow_descriptors();
	setlocale(LC_CTYPE, "");
	argp_err_exit_status = EXIT_USAGE;
	if (argc == 2 && (!strcmp(argv[1], "help") || !strcmp(argv[1], "-?"))) {
		usage(stdout);
		return flush_output();
	}
	verb = take_options(argc, argv, &first, &code);
	if (verb)
		code = run_verb(argc - verb, argv + verb, &first);
	end_by_signal();
	return code;
}
