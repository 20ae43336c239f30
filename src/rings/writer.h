/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later */
/*
 * Descriptors and slab of a ring: what rings to one port and to all have in common
 *
 * Included by ring.c and broadcast.c alone.
 */
#ifndef IVSHMEM_WRITER_H
#define IVSHMEM_WRITER_H

#include "ring.h"
#include "words.h"

/* The ring of a port to another one, or to all. */
static inline struct ivshmem_ring_area area_of(const struct ivshmem_rings_layout *layout,
					       void *memory, unsigned int from, unsigned int to)
{
	bool all = to == layout->ports;
	struct ivshmem_ring_area area = {
		.descriptors = memory + ivshmem_rings_ring(layout, from, to),
		.entries = all ? layout->broadcast_entries : layout->entries,
		.bytes = all ? layout->broadcast_bytes : layout->bytes,
	};

	area.slab = (__u8 *)(area.descriptors + area.entries);
	return area;
}

static inline struct ivshmem_ring_descriptor *
area_descriptor(const struct ivshmem_ring_area *area, __u32 index)
{
	return &area->descriptors[index & (area->entries - 1)];
}

/* Copy a descriptor once and check it. */
static inline bool area_read(const struct ivshmem_ring_area *area, __u32 index,
			     struct ivshmem_frame *frame)
{
	const struct ivshmem_ring_descriptor *d = area_descriptor(area, index);
	__u32 offset = number_load(&d->offset);

	frame->length = number_load(&d->length);
	memcpy(frame->header, d->header, sizeof(frame->header));
	if (!frame->length || frame->length > IVSHMEM_FRAME_MAX ||
	    offset >= area->bytes || frame->length > area->bytes - offset)
		return false;
	frame->data = area->slab + below(offset, area->bytes);
	return true;
}

static inline void writer_init(struct ivshmem_ring_writer *w, struct ivshmem_ring_area area,
			       struct ivshmem_ring_note *notes)
{
	*w = (struct ivshmem_ring_writer){ .area = area, .notes = notes };
}

static inline struct ivshmem_ring_note *writer_note(const struct ivshmem_ring_writer *w,
						    __u32 index)
{
	return &w->notes[index & (w->area.entries - 1)];
}

/* Find a place for a frame. Behind the last one it must fit in one piece, else at the start. */
static inline void *writer_reserve(struct ivshmem_ring_writer *w, __u32 length)
{
	__u32 need = (length + IVSHMEM_RINGS_ALIGNMENT - 1) & -IVSHMEM_RINGS_ALIGNMENT;
	bool wraps;

	if (!length || length > IVSHMEM_FRAME_MAX ||
	    w->produced - w->oldest == w->area.entries)
		return NULL;
	if (!w->used)
		w->head = 0;	/* what was used last is in the cache */
	wraps = need > w->area.bytes - w->head;
	w->skip = wraps ? w->area.bytes - w->head : 0;
	w->start = wraps ? 0 : w->head;
	return w->skip + need > w->area.bytes - w->used ? NULL : w->area.slab + w->start;
}

/* Append what was written to the place. */
static inline void writer_commit(struct ivshmem_ring_writer *w, __u32 length, const void *header,
				 __u32 size)
{
	__u32 need = (length + IVSHMEM_RINGS_ALIGNMENT - 1) & -IVSHMEM_RINGS_ALIGNMENT;
	struct ivshmem_ring_descriptor *d = area_descriptor(&w->area, w->produced);
	struct ivshmem_ring_note *note = writer_note(w, w->produced);

	number_store(&d->offset, w->start);
	number_store(&d->length, length);
	memcpy(d->header, header, size);
	*note = (struct ivshmem_ring_note){ .length = length, .used = w->skip + need };
	w->used += note->used;
	w->head = w->start + need;
	w->produced++;
}

/* Free the oldest frame. Gives its length. */
static inline __u32 writer_free(struct ivshmem_ring_writer *w)
{
	const struct ivshmem_ring_note *note = writer_note(w, w->oldest++);

	w->used -= note->used;
	return note->length;
}

#endif /* IVSHMEM_WRITER_H */
