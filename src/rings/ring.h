/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later */
/*
 * Rings: frames from one port to another, and from one port to all
 *
 * docs/ring-format.md specifies what lies in memory. Each end keeps what it must know in a
 * structure of its own, and reads a word of the other once, checks it, and uses the copy: what
 * the other end writes costs at most the ring. There is no allocation here, no lock and no
 * waiting; calls for one structure do not overlap.
 *
 * For the driver and the tools: nothing here knows in which of them it is.
 */
#ifndef IVSHMEM_RING_H
#define IVSHMEM_RING_H

#include "layout.h"

#define IVSHMEM_FRAME_HEADER	24	/* bytes of a descriptor for the client */
#define IVSHMEM_FRAME_MAX	(65535 + 64)	/* no frame is longer */

/* struct ivshmem_port_line.features: what a port can receive */
#define IVSHMEM_PORT_USO	0x1	/* UDP of many packets (GSO_UDP_L4) */

/**
 * struct ivshmem_port_line - the first line of a section
 * @hello: random, another one each time the port starts; 0: the port is not up
 * @features: IVSHMEM_PORT_*
 * @produced: of the broadcast ring: @hello in the upper half, in the lower the index of the
 *	next frame
 * @oldest: of the broadcast ring: the index of the oldest frame that is whole
 * @vectors: of the port: others ring that of their own number modulo this
 * @reserved: 0
 */
struct ivshmem_port_line {
	__le32 hello;
	__le32 features;
	__le64 produced;
	__le32 oldest;
	__le32 vectors;
	__u8 reserved[40];
};

/**
 * struct ivshmem_port_words - what a port says of itself when it starts
 * @hello: random, not 0; or 0 to say that the port is no longer up
 * @features: IVSHMEM_PORT_*
 * @vectors: that it listens to, at least 1
 */
struct ivshmem_port_words {
	__u32 hello;
	__u32 features;
	__u32 vectors;
};

/**
 * struct ivshmem_ring_line - what a port says about one other port
 * @produced: of the ring to it: the session in the upper half, in the lower the index of the
 *	next frame
 * @answers: the other's hello that the session belongs to
 * @want_room: ring this port once the other's @consumed passes this index
 * @reserved: 0
 * @consumed: of the ring from it: the session and the index of the next frame to be read
 * @want_frames: ring this port once the other's @produced passes this index
 * @want_broadcast: the same for the other's broadcast ring
 * @reserved2: 0
 */
struct ivshmem_ring_line {
	__le64 produced;
	__le32 answers;
	__le32 want_room;
	__u8 reserved[48];
	__le64 consumed;
	__le32 want_frames;
	__le32 want_broadcast;
	__u8 reserved2[48];
};

/**
 * struct ivshmem_ring_descriptor - a frame in a ring
 * @offset: where it begins in the slab
 * @length: its bytes
 * @header: for the client
 */
struct ivshmem_ring_descriptor {
	__le32 offset;
	__le32 length;
	__u8 header[IVSHMEM_FRAME_HEADER];
};

/**
 * struct ivshmem_frame - a frame that has arrived
 * @header: a copy, aligned as pointers are
 * @data: in the slab, where its sender can change it at any time: copy once
 * @length: 1 to IVSHMEM_FRAME_MAX, and inside the slab
 */
struct ivshmem_frame {
	__u8 header[IVSHMEM_FRAME_HEADER];
	const void *data;
	__u32 length;
};

/**
 * struct ivshmem_ring_note - what a sender knows of a frame in its ring
 * @length: the frame's
 * @used: bytes of the slab that are free again after it
 */
struct ivshmem_ring_note {
	__u32 length;
	__u32 used;
};

/**
 * struct ivshmem_ring_area - descriptors and slab of a ring, in shared memory
 * @descriptors: @entries of them
 * @slab: @bytes of it
 * @entries: a power of two
 * @bytes: a multiple of IVSHMEM_RINGS_ALIGNMENT
 */
struct ivshmem_ring_area {
	struct ivshmem_ring_descriptor *descriptors;
	__u8 *slab;
	__u32 entries;
	__u32 bytes;
};

/**
 * struct ivshmem_ring_writer - the writing half of a sender and of a caster
 * @area: where frames go
 * @notes: one for each descriptor
 * @produced: index of the next frame
 * @published: as far as the others know
 * @oldest: index of the first frame whose bytes are in use
 * @head: where the next frame goes in the slab, if it fits there
 * @used: bytes of the slab in use
 * @start: where the frame that is being written begins
 * @skip: bytes between @head and @start
 */
struct ivshmem_ring_writer {
	struct ivshmem_ring_area area;
	struct ivshmem_ring_note *notes;
	__u32 produced;
	__u32 published;
	__u32 oldest;
	__u32 head;
	__u32 used;
	__u32 start;
	__u32 skip;
};

/* State of a ring, for its sender and its receiver alike. */
enum ivshmem_ring_state {
	IVSHMEM_RING_DOWN,	/* the other end is not there */
	IVSHMEM_RING_GREETING,	/* sender only: it has not answered yet */
	IVSHMEM_RING_UP,
	IVSHMEM_RING_BROKEN,	/* it broke the rules. Until it starts again */
};

/**
 * struct ivshmem_sender - the end of a ring that sends
 * @writer: writes the frames
 * @own: the line of the sender for the receiver
 * @other: the line of the receiver for the sender
 * @state: changed by ivshmem_sender_look() and _reclaim() alone
 * @hello: of the receiver that was greeted, or 0
 * @session: of @hello
 */
struct ivshmem_sender {
	struct ivshmem_ring_writer writer;
	struct ivshmem_ring_line *own;
	const struct ivshmem_ring_line *other;
	enum ivshmem_ring_state state;
	__u32 hello;
	__u32 session;
};

/**
 * struct ivshmem_receiver - the end of a ring that receives
 * @area: where frames are
 * @own: the line of the receiver for the sender
 * @other: the line of the sender for the receiver
 * @state: DOWN, UP or BROKEN
 * @hello: of the receiver
 * @session: of the sender; 0: none
 * @consumed: index of the next frame
 * @published: as far as the sender knows
 * @produced: index that the sender was seen at
 */
struct ivshmem_receiver {
	struct ivshmem_ring_area area;
	struct ivshmem_ring_line *own;
	const struct ivshmem_ring_line *other;
	enum ivshmem_ring_state state;
	__u32 hello;
	__u32 session;
	__u32 consumed;
	__u32 published;
	__u32 produced;
};

/**
 * struct ivshmem_caster - the end of a broadcast ring that sends
 * @writer: writes the frames
 * @own: the port line of the sender
 * @session: its hello
 */
struct ivshmem_caster {
	struct ivshmem_ring_writer writer;
	struct ivshmem_port_line *own;
	__u32 session;
};

/**
 * struct ivshmem_listener - an end of a broadcast ring that receives
 * @area: where frames are
 * @own: the line of the receiver for the sender
 * @other: the port line of the sender
 * @state: DOWN, UP or BROKEN
 * @session: the sender's hello; 0: none
 * @next: index of the next frame
 * @produced: index that the sender was seen at
 * @missed: frames that were overwritten before they were read; only grows
 */
struct ivshmem_listener {
	struct ivshmem_ring_area area;
	struct ivshmem_ring_line *own;
	const struct ivshmem_port_line *other;
	enum ivshmem_ring_state state;
	__u32 session;
	__u32 next;
	__u32 produced;
	__u64 missed;
};

/**
 * struct ivshmem_reclaimed - frames that their receiver has read
 * @frames: how many
 * @bytes: sum of their lengths
 */
struct ivshmem_reclaimed {
	__u32 frames;
	__u32 bytes;
};

/*
 * What ivshmem_sender_look() and ivshmem_receiver_look() return: bits. Of UP, DOWN and BROKEN
 * there is one at most, and it is the state that was reached.
 */
#define IVSHMEM_LOOK_RING	0x1	/* ring the other port */
#define IVSHMEM_LOOK_UP		0x2
#define IVSHMEM_LOOK_DOWN	0x4
#define IVSHMEM_LOOK_BROKEN	0x8

/* Ports. The caller has mapped all of the partition at @memory, write-back. */

/**
 * ivshmem_port_clear() - begin to be a port: make the lines of its section zero
 * @layout: valid
 * @memory: the partition
 * @own: the port
 *
 * ivshmem_port_greet() follows. Others take the port for one that is not up in between.
 */
void ivshmem_port_clear(const struct ivshmem_rings_layout *layout, void *memory,
			unsigned int own);

/**
 * ivshmem_port_greet() - say that the port is up; afterwards ring all others
 * @layout: valid
 * @memory: the partition
 * @own: the port
 * @words: what it says
 */
void ivshmem_port_greet(const struct ivshmem_rings_layout *layout, void *memory,
			unsigned int own, const struct ivshmem_port_words *words);

/**
 * ivshmem_port_hello() - read the hello of a port
 * @layout: valid
 * @memory: the partition
 * @port: any port; of the own one this tells whether the section is still this port's
 *
 * Return: what it says; 0: it is not up
 */
__u32 ivshmem_port_hello(const struct ivshmem_rings_layout *layout, const void *memory,
			 unsigned int port);

/**
 * ivshmem_port_features() - read what a port can receive
 * @layout: valid
 * @memory: the partition
 * @port: the port
 *
 * Return: IVSHMEM_PORT_*, and perhaps bits that are unknown
 */
__u32 ivshmem_port_features(const struct ivshmem_rings_layout *layout, const void *memory,
			    unsigned int port);

/**
 * ivshmem_port_vector() - find by which vector to ring a port
 * @layout: valid
 * @memory: the partition
 * @port: whom to ring
 * @own: who rings
 *
 * Return: a vector that the port says it has, at most @own
 */
__u32 ivshmem_port_vector(const struct ivshmem_rings_layout *layout, const void *memory,
			  unsigned int port, unsigned int own);

/* Sender. */

/**
 * ivshmem_sender_init() - prepare a sender; it is DOWN
 * @s: the sender
 * @layout: valid
 * @memory: the partition
 * @own: the port that sends
 * @other: the port that receives
 * @notes: layout->entries of them, for as long as the sender is used
 */
void ivshmem_sender_init(struct ivshmem_sender *s, const struct ivshmem_rings_layout *layout,
			 void *memory, unsigned int own, unsigned int other,
			 struct ivshmem_ring_note *notes);

/**
 * ivshmem_sender_stirs() - would ivshmem_sender_look() do anything?
 * @s: the sender
 * @hello: as for ivshmem_sender_look()
 *
 * Return: false if it would not; it need not be called then
 */
bool ivshmem_sender_stirs(const struct ivshmem_sender *s, __u32 hello);

/**
 * ivshmem_sender_look() - do the sender's part of the handshake
 * @s: the sender
 * @hello: of the receiver, by ivshmem_port_hello(); 0 if it is not present
 * @random: for the number of a session, if a new one begins
 *
 * What was in the ring is lost when a session ends. Call it when the receiver has rung, or has
 * come or gone.
 *
 * Return: IVSHMEM_LOOK_*
 */
unsigned int ivshmem_sender_look(struct ivshmem_sender *s, __u32 hello, __u32 random);

/**
 * ivshmem_sender_reserve() - get room for a frame
 * @s: UP
 * @length: 1 to IVSHMEM_FRAME_MAX
 *
 * Return: where to write the frame; NULL if there is no room, before ivshmem_sender_reclaim() or
 * at all, or @length is wrong
 */
void *ivshmem_sender_reserve(struct ivshmem_sender *s, __u32 length);

/**
 * ivshmem_sender_commit() - append the frame that was written
 * @s: the sender
 * @length: as it was reserved, or less
 * @header: for the receiving client
 * @size: its bytes, at most IVSHMEM_FRAME_HEADER
 */
void ivshmem_sender_commit(struct ivshmem_sender *s, __u32 length, const void *header,
			   __u32 size);

/**
 * ivshmem_sender_publish() - let the receiver see what was committed
 * @s: the sender
 *
 * Return: true if the receiver wants to be rung
 */
bool ivshmem_sender_publish(struct ivshmem_sender *s);

/**
 * ivshmem_sender_reclaim() - take back the room of frames that were read
 * @s: UP. It can be DOWN or BROKEN afterwards, and all that was in the ring is lost
 * @done: what became free
 *
 * Return: IVSHMEM_LOOK_DOWN, IVSHMEM_LOOK_BROKEN, or 0
 */
unsigned int ivshmem_sender_reclaim(struct ivshmem_sender *s, struct ivshmem_reclaimed *done);

/**
 * ivshmem_sender_want_room() - ask to be rung when half of what is in the ring was read
 * @s: UP, and all is published
 *
 * Return: true if something can be reclaimed at once: then do, and ask again
 */
bool ivshmem_sender_want_room(struct ivshmem_sender *s);

/* Receiver. */

/**
 * ivshmem_receiver_init() - prepare a receiver; it is DOWN
 * @r: the receiver
 * @layout: valid
 * @memory: the partition
 * @own: the port that receives
 * @other: the port that sends
 * @hello: of the own port
 */
void ivshmem_receiver_init(struct ivshmem_receiver *r, const struct ivshmem_rings_layout *layout,
			   void *memory, unsigned int own, unsigned int other, __u32 hello);

/**
 * ivshmem_receiver_look() - do the receiver's part of the handshake, and look for frames
 * @r: the receiver
 *
 * Return: IVSHMEM_LOOK_*
 */
unsigned int ivshmem_receiver_look(struct ivshmem_receiver *r);

/**
 * ivshmem_receiver_peek() - get the next frame
 * @r: the receiver, after ivshmem_receiver_look()
 * @frame: out
 *
 * Return: true if there is one; if not, see r->state whether the ring is broken now
 */
bool ivshmem_receiver_peek(struct ivshmem_receiver *r, struct ivshmem_frame *frame);

/**
 * ivshmem_receiver_next() - go on behind the frame that ivshmem_receiver_peek() gave
 * @r: the receiver
 */
void ivshmem_receiver_next(struct ivshmem_receiver *r);

/**
 * ivshmem_receiver_skip() - go on behind all frames that ivshmem_receiver_peek() knows of
 * @r: the receiver
 */
void ivshmem_receiver_skip(struct ivshmem_receiver *r);

/**
 * ivshmem_receiver_break() - receive nothing more, until the sender starts again
 * @r: UP; BROKEN afterwards
 */
void ivshmem_receiver_break(struct ivshmem_receiver *r);

/**
 * ivshmem_receiver_publish() - let the sender see what was read
 * @r: the receiver
 *
 * Return: true if the sender wants to be rung
 */
bool ivshmem_receiver_publish(struct ivshmem_receiver *r);

/**
 * ivshmem_receiver_want_frames() - ask to be rung at the next frame
 * @r: the receiver
 *
 * Without another call it is rung once.
 *
 * Return: true if there are frames already, or a new session: then look again instead of
 * waiting
 */
bool ivshmem_receiver_want_frames(struct ivshmem_receiver *r);

/* Sender to all. */

/**
 * ivshmem_caster_init() - prepare the sender of a broadcast ring
 * @c: the caster
 * @layout: valid, with broadcast rings
 * @memory: the partition
 * @own: the port; ivshmem_port_clear() was called for it
 * @hello: what ivshmem_port_greet() will say
 * @notes: layout->broadcast_entries of them, for as long as the caster is used
 */
void ivshmem_caster_init(struct ivshmem_caster *c, const struct ivshmem_rings_layout *layout,
			 void *memory, unsigned int own, __u32 hello,
			 struct ivshmem_ring_note *notes);

/**
 * ivshmem_caster_reserve() - get room for a frame; the oldest ones are given up for it
 * @c: the caster
 * @length: 1 to IVSHMEM_FRAME_MAX
 *
 * Return: where to write the frame; NULL if @length is wrong, or more than the slab, or there is
 * no room before ivshmem_caster_publish()
 */
void *ivshmem_caster_reserve(struct ivshmem_caster *c, __u32 length);

/**
 * ivshmem_caster_commit() - append the frame that was written
 * @c: the caster
 * @length: as it was reserved, or less
 * @header: for the receiving clients
 * @size: its bytes, at most IVSHMEM_FRAME_HEADER
 */
void ivshmem_caster_commit(struct ivshmem_caster *c, __u32 length, const void *header,
			   __u32 size);

/**
 * ivshmem_caster_publish() - let all others see what was committed
 * @c: the caster
 *
 * Return: the index from before, for ivshmem_caster_wakes()
 */
__u32 ivshmem_caster_publish(struct ivshmem_caster *c);

/**
 * ivshmem_caster_wakes() - does a port want to be rung?
 * @c: the caster, after ivshmem_caster_publish()
 * @old: what that returned
 * @other: the line of the port for the caster's
 *
 * Return: true if it wants
 */
bool ivshmem_caster_wakes(const struct ivshmem_caster *c, __u32 old,
			  const struct ivshmem_ring_line *other);

/* Receiver of what is sent to all. */

/**
 * ivshmem_listener_init() - prepare a receiver of a broadcast ring; it is DOWN
 * @l: the listener; l->missed is kept
 * @layout: valid, with broadcast rings
 * @memory: the partition
 * @own: the port that receives
 * @other: the port that sends
 */
void ivshmem_listener_init(struct ivshmem_listener *l, const struct ivshmem_rings_layout *layout,
			   void *memory, unsigned int own, unsigned int other);

/**
 * ivshmem_listener_peek() - get the next frame
 * @l: the listener
 * @frame: out; a frame of a new session is one that was sent after this was called first
 *
 * Return: true if there is one; if not, see l->state whether the ring is broken now
 */
bool ivshmem_listener_peek(struct ivshmem_listener *l, struct ivshmem_frame *frame);

/**
 * ivshmem_listener_next() - go on behind the frame, and tell whether it was whole
 * @l: the listener, after the frame that ivshmem_listener_peek() gave was copied
 *
 * Return: false if it was overwritten meanwhile: the copy is worthless, and counted as missed
 */
bool ivshmem_listener_next(struct ivshmem_listener *l);

/**
 * ivshmem_listener_want_frames() - ask to be rung at the next frame
 * @l: the listener
 *
 * Return: true if there are frames already
 */
bool ivshmem_listener_want_frames(struct ivshmem_listener *l);

#endif /* IVSHMEM_RING_H */
