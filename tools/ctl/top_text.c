// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl top: what a look has seen, in words.
 */
#include <inttypes.h>
#include <stdio.h>

#include "labelled.h"
#include "numbers.h"
#include "printable.h"
#include "top.h"

#define SILENT_NS	300000000	/* longer than a peer is between two beats */
#define SHOWN_TEXT	160		/* room for 32 bytes of which none is printable */
#define RATE_TEXT	(SIZE_TEXT + 2)

static void add_device(struct top *top, const struct top_look *look)
{
	const struct ivshmem_properties *p = &top->device.properties;
	char name[SHOWN_TEXT], size[SIZE_TEXT], id[24] = "", vectors[COUNT_TEXT];

	if (p->id != IVSHMEM_ID_UNKNOWN)
		snprintf(id, sizeof(id), ", id %u", p->id);
	lines_add(&top->lines, "%s: %s%s, %s%s%s",
		  format_printable(name, sizeof(name), top->device.name),
		  format_size(size, (double)p->size), id,
		  format_count(vectors, labelled_vectors(&top->device), "vector"),
		  *look->entry.pci ? ", " : "", look->entry.pci);
	if (*look->label.uuid)
		lines_add(&top->lines, "label %s, generation %" PRIu64, look->label.uuid,
			  look->label.generation);
	else
		lines_add(&top->lines, "no label");
}

static void add_partitions(struct top *top, const struct top_look *look)
{
	char name[SHOWN_TEXT], size[SIZE_TEXT];

	if (!look->npartitions)
		return;
	lines_add_heading(&top->lines, "%-12s %10s  %-28s  %s", "PARTITION", "SIZE", "RIGHTS",
			  "NAME");
	for (size_t i = 0; i < look->npartitions; i++) {
		const struct top_partition *partition = &look->partitions[i];

		lines_add(&top->lines, "%-12s %10s  %-28s  %s", partition->node,
			  format_size(size, (double)partition->size), partition->rights,
			  format_printable(name, sizeof(name), partition->name));
	}
}

static const char *format_state(char state[32], const struct ivshmem_peer *peer)
{
	if (peer->self)
		return "self";
	if (peer->silent_ns < SILENT_NS)
		return "present";
	snprintf(state, 32, "silent %.1f s", (double)peer->silent_ns / 1e9);
	return state;
}

static void add_peers(struct top *top, const struct top_look *look)
{
	char name[SHOWN_TEXT], state[32];

	if (!look->area)
		return;
	lines_add_heading(&top->lines, "%4s %8s  %-8s %-12s  %s", "SLOT", "ID", "KIND", "STATE",
			  "PEER");
	for (size_t i = 0; i < look->present.count; i++) {
		const struct ivshmem_peer *peer = &look->present.list[i];

		lines_add(&top->lines, "%4u %8u  %-8s %-12s  %s", peer->slot, peer->id,
			  present_kind(peer), format_state(state, peer),
			  format_printable(name, sizeof(name), peer->name));
	}
}

static const char *format_if_known(char text[RATE_TEXT], bool known, double rate)
{
	char number[SIZE_TEXT];

	if (!known)
		return "-";
	snprintf(text, RATE_TEXT, "%s/s", format_rate(number, rate));
	return text;
}

static void add_vectors(struct top *top, const struct top_look *look)
{
	char text[RATE_TEXT];
	double rate = 0;
	bool known;

	if (!look->entry.vectors)
		return;
	lines_add_heading(&top->lines, "%6s %20s %12s", "VECTOR", "INTERRUPTS", "RATE");
	for (uint32_t v = 0; v < look->entry.vectors; v++) {
		known = top_rate(top, v, &rate);
		lines_add(&top->lines, "%6u %20" PRIu64 " %12s", v, look->entry.interrupts[v],
			  format_if_known(text, known, rate));
	}
	if (!look->entry.looks)
		return;
	known = top_rate_of_looks(top, &rate);
	lines_add(&top->lines, "%6s %20" PRIu64 " %12s", "looks", look->entry.looks,
		  format_if_known(text, known, rate));
}

void top_text(struct top *top)
{
	const struct top_look *look = top_last(top);

	lines_clear(&top->lines);
	add_device(top, look);
	add_partitions(top, look);
	add_peers(top, look);
	add_vectors(top, look);
}
