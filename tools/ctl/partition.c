// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl partition list, add, remove, resize: the entries of a label.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "free_range.h"
#include "new_partition.h"
#include "numbers.h"

static struct labelled region;

static struct {
	struct new_partition new;	/* of others than add the name and the size */
	bool force;
} option = { .new = NEW_PARTITION };

static const struct action {
	const char *name;
	enum exit_code (*run)(void);
	unsigned int operands;		/* at most, besides the action */
	unsigned int needed;
	const char *options;		/* those that it has */
} *action;

static enum exit_code print_one(const struct ivshmem_label_entry *entry)
{
	const struct segment *segment = entry_segment(&region, entry);
	char size[SIZE_TEXT], vectors[VECTORS_TEXT];

	if (common.json)
		return print_json(stdout, partition_json(&region, entry), false);
	printf("partition %u, %s: %s at %#llx, vectors: %s\n",
	       entry_number(&region.label, entry), entry->name,
	       format_size(size, (double)entry->size), entry->offset,
	       format_vectors(vectors, entry));
	if (segment)
		segment_print(segment);
	return EXIT_OK;
}

/* Store the label with @entry as it has become now; print it. */
static enum exit_code store_and_print(struct ivshmem_label_entry *entry)
{
	enum exit_code code;

	entry->generation = ++region.label.generation;
	code = labelled_store(&region);
	if (code)
		return code;
	labelled_warn_of_peers(&region);
	return print_one(entry);
}

static enum exit_code list(void)
{
	if (common.json)
		return print_json(stdout, partitions_json(&region), false);
	print_partitions(&region);
	return EXIT_OK;
}

static enum exit_code add(void)
{
	struct ivshmem_label_entry *entry;
	enum exit_code code = partition_make(&region, &option.new, &entry);

	return code ? code : store_and_print(entry);
}

/* The partition of a name, or of a number if none has that name. */
static struct ivshmem_label_entry *find(const char *text)
{
	struct ivshmem_label *label = &region.label;
	unsigned long number = strtoul(text, NULL, 10);

	for (unsigned int i = 0; i < label->nr_entries; i++)
		if (!ivshmem_label_free(&label->entries[i]) &&
		    !strcmp(label->entries[i].name, text))
			return &label->entries[i];
	if (text[strspn(text, "0123456789")] || number < 1 || number > label->nr_entries ||
	    ivshmem_label_free(&label->entries[number - 1])) {
		complain(EXIT_FAILED, "%s has no partition '%.40s': see 'ivshmemctl partition list'",
			 region.device.name, text);
		return NULL;
	}
	return &label->entries[number - 1];
}

static enum exit_code need_force(const struct ivshmem_label_entry *entry, const char *what)
{
	char size[SIZE_TEXT];

	if (option.force)
		return EXIT_OK;
	return complain(EXIT_FAILED,
			"not done: partition %u of %s (%s, %s) %s, and its users see the end of it; repeat it with --force",
			entry_number(&region.label, entry), region.device.name, entry->name,
			format_size(size, (double)entry->size), what);
}

static enum exit_code remove_partition(void)
{
	struct ivshmem_label_entry *entry = find(option.new.name), old;
	enum exit_code code;

	if (!entry)
		return EXIT_FAILED;
	code = need_force(entry, "would be removed");
	if (code)
		return code;
	old = *entry;
	*entry = (struct ivshmem_label_entry){ 0 };
	region.label.generation++;
	code = labelled_store(&region);
	if (code)
		return code;
	labelled_warn_of_peers(&region);
	if (common.json) {
		*entry = old;
		return print_one(entry);
	}
	printf("partition %u, %s: removed\n", entry_number(&region.label, entry), old.name);
	return EXIT_OK;
}

static enum exit_code resize(void)
{
	struct ivshmem_label_entry *entry = find(option.new.name);
	const struct segment *segment;
	char size[SIZE_TEXT], what[64];
	uint64_t room, wanted;
	enum exit_code code;

	if (!entry)
		return EXIT_FAILED;
	segment = entry_segment(&region, entry);
	wanted = range_align_size(option.new.size);
	room = entry->size + free_at(&region.label, entry->offset + entry->size);
	if (wanted > room)
		return complain(EXIT_FAILED,
				"partition %u of %s (%s) cannot become larger than %" PRIu64 " bytes (%s), as it stays where it is",
				entry_number(&region.label, entry), region.device.name,
				entry->name, room, format_size(size, (double)room));
	if (segment && !segment->reason && ivshmem_rings_check(&segment->layout, wanted))
		return complain(EXIT_FAILED,
				"partition %u of %s (%s) cannot become as small as %" PRIu64 " bytes (%s), as its rings are there: remove it and add it again",
				entry_number(&region.label, entry), region.device.name,
				entry->name, wanted, format_size(size, (double)wanted));
	snprintf(what, sizeof(what), "would have %s", format_size(size, (double)wanted));
	code = need_force(entry, what);
	if (code)
		return code;
	entry->size = wanted;
	return store_and_print(entry);
}

static const struct action actions[] = {
	{ "list", list, 0, 0, "" },
	{ "add", add, 2, 1, "toviPn" },
	{ "remove", remove_partition, 1, 1, "fn" },
	{ "resize", resize, 2, 2, "fn" },
};

static void take_action(struct argp_state *state, const char *word)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		if (!strcmp(word, actions[i].name))
			action = &actions[i];
	if (!action)
		complain_usage(state, "unknown action '%.40s': it is list, add, remove or resize",
			       word);
}

static void take_name(struct argp_state *state, const char *word)
{
	char name[32] = "";

	option.new.name = word;
	if (strcmp(action->name, "add"))
		return;
	strncpy(name, word, sizeof(name) - 1);
	if (strlen(word) >= sizeof(name) || !ivshmem_label_is_name(name))
		complain_usage(state, "invalid name '%.40s': up to 31 letters, digits, '.', '_' and '-', the first a letter or digit",
			       word);
}

static void take_type(struct argp_state *state, const char *word)
{
	char type[16] = "";

	option.new.type = word;
	strncpy(type, word, sizeof(type) - 1);
	if (strlen(word) >= sizeof(type) || !ivshmem_label_is_type(type))
		complain_usage(state, "invalid type '%.40s': up to 15 of a to z, 0 to 9 and '-', the first a letter",
			       word);
}

static void take_operand(struct argp_state *state, const char *word)
{
	if (!state->arg_num)
		take_action(state, word);
	else if (state->arg_num > action->operands)
		argp_error(state, "too many arguments for %s", action->name);
	else if (state->arg_num == 1)
		take_name(state, word);
	else
		option.new.size = argument_partition_size(state, word);
}

static char given[16];	/* the letters of the options */

static void check_end(struct argp_state *state)
{
	static const char *const names[] = { "NAME", "SIZE" };
	size_t wrong;

	if (!action)
		argp_error(state, "missing operand: list, add, remove or resize");
	if (state->arg_num <= action->needed)
		argp_error(state, "missing operand %s of %s", names[state->arg_num - 1],
			   action->name);
	wrong = strspn(given, action->options);
	if (given[wrong])
		argp_error(state, "%s has no option -%c", action->name, given[wrong]);
	if (option.new.first_vector != NOT_GIVEN &&
	    (!option.new.vectors || option.new.vectors == NOT_GIVEN))
		argp_error(state, "--first-vector needs --vectors");
	if (!option.new.vectors && option.new.type && segment_type(option.new.type))
		argp_error(state, "--vectors must be at least 1 for --type %s, whose ports are rung",
			   option.new.type);
	if (option.new.ports != NOT_GIVEN &&
	    (!option.new.type || !segment_type(option.new.type)))
		argp_error(state, "--ports needs --type " NET_TYPE " or " VSOCK_TYPE);
}

static error_t parse_partition(int key, char *argument, struct argp_state *state)
{
	if (key > 0 && key <= UCHAR_MAX && !strchr(given, key))
		given[strlen(given)] = (char)key;
	switch (key) {
	case 't':
		take_type(state, argument);
		return 0;
	case 'o':
		option.new.offset = argument_size(state, "--offset", argument, INT64_MAX);
		if (option.new.offset % IVSHMEM_LABEL_ALIGNMENT)
			argp_error(state, "--offset must be a multiple of 4096");
		return 0;
	case 'v':
		option.new.vectors = argument_size(state, "--vectors", argument,
					       IVSHMEM_LABEL_MAX_VECTORS);
		return 0;
	case 'i':
		option.new.first_vector = argument_size(state, "--first-vector", argument,
						    IVSHMEM_LABEL_MAX_VECTORS - 1);
		return 0;
	case 'P':
		option.new.ports = argument_size(state, "--ports", argument,
						 IVSHMEM_RINGS_MAX_PORTS);
		return 0;
	case 'f':
		option.force = true;
		return 0;
	case 'n':
		region.dry_run = true;
		return 0;
	case ARGP_KEY_ARG:
		take_operand(state, argument);
		return 0;
	case ARGP_KEY_END:
		check_end(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option partition_options[] = {
	{ "type", 't', "TYPE", 0, "add: what is in the partition (default: raw)", 0 },
	{ "offset", 'o', "OFFSET", 0, "add: where it begins (default: where there is space)", 0 },
	{ "vectors", 'v', "N", 0, "add: how many vectors it has (default: none; of net and vsock, half of the label's doorbells)", 0 },
	{ "first-vector", 'i', "N", 0, "add: the first of them (default: those that are free)", 0 },
	{ "ports", 'P', "N", 0, "add --type net or vsock: how many ports it has (default: one per slot of the label)", 0 },
	{ "force", 'f', NULL, 0, "remove, resize: do it", 0 },
	{ "dry-run", 'n', NULL, 0, "Print what would be, and write nothing", 0 },
	{ 0 }
};

static const struct argp partition_argp = {
	.options = partition_options,
	.parser = parse_partition,
	.args_doc = "list\nadd NAME [SIZE]\nremove NAME|NUMBER\nresize NAME|NUMBER SIZE",
	.doc = "List or change the partitions of a region that has a label.\vWithout SIZE a partition gets all of the largest free range. Sizes are rounded up to 64 KiB. Machines see a change after 'ivshmemctl rescan'.",
	.children = with_device_and_json,
};

int verb_partition(int argc, char **argv)
{
	unsigned int flags = 0;
	enum exit_code code;

	argp_parse(&partition_argp, argc, argv, 0, NULL, NULL);
	if (action->run == list || region.dry_run)
		flags = IVSHMEM_READ_ONLY;
	code = labelled_open_good(&region, flags);
	if (code)
		return code;
	code = action->run();
	labelled_close(&region);
	return code;
}
