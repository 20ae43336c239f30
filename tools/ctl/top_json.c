// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl top --json: what a look has seen, for programs.
 */
#include "top.h"

static json_t *label_json_of(const struct top_look *look)
{
	uint64_t generation = look->label.generation;

	if (!*look->label.uuid)
		return json_null();
	return json_pack("{s:s, s:I}", "uuid", look->label.uuid, "generation",
			 generation > INT64_MAX ? (json_int_t)INT64_MAX : (json_int_t)generation);
}

static json_t *partitions_json_of(const struct top_look *look)
{
	json_t *array = json_array();

	for (size_t i = 0; i < look->npartitions; i++) {
		const struct top_partition *partition = &look->partitions[i];

		json_array_append_new(array, json_pack("{s:s, s:o, s:I, s:o}",
						       "partition", partition->node,
						       "name", json_bytes(partition->name),
						       "size", (json_int_t)partition->size,
						       "rights", json_bytes(partition->rights)));
	}
	return array;
}

static json_t *vectors_json(const struct top *top, const struct top_look *look)
{
	json_t *array = json_array();
	double rate;

	for (uint32_t v = 0; v < look->entry.vectors; v++)
		json_array_append_new(array, json_pack("{s:I, s:o}", "interrupts",
						       (json_int_t)look->entry.interrupts[v],
						       "rate", top_rate(top, v, &rate) ?
						       json_real(rate) : json_null()));
	return array;
}

json_t *top_json(const struct top *top)
{
	const struct top_look *look = top_last(top);
	const struct ivshmem_properties *p = &top->device.properties;

	return json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:I}",
			 "device", json_bytes(top->device.name), "size", (json_int_t)p->size,
			 "id", json_id(p->id), "label", label_json_of(look),
			 "partitions", partitions_json_of(look),
			 "peers", look->area ? present_list_json(&look->present) : json_null(),
			 "vectors", vectors_json(top, look),
			 "looks", (json_int_t)look->entry.looks);
}
