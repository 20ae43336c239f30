// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure how fast messages of one size go from a private buffer of a process in guest 0
 * to a private buffer in guest 1, or between two processes of one machine.
 *
 *	stream WAY SIZE MILLISECONDS [ADDRESS]
 *
 * ADDRESS is that of guest 1, for networks, or the path of a socket or of pipes.
 */
#include "channel.h"
#include "net.h"

#define RING (4 << 20)		/* bytes of the ring buffer */
#define LINE 64
/*
 * QEMU's TLB is direct-mapped by the low bits of the page number. If source and
 * destination of a copy agree in them, they evict each other's entries.
 */
#define SKEW_SPAN (64UL << 20)

/* A ring buffer as one would write it by hand: slots of one size and two indices. */
struct ring {
	uint64_t written __attribute__((aligned(LINE)));
	uint64_t read __attribute__((aligned(LINE)));
	uint32_t over __attribute__((aligned(LINE)));
	char slots[] __attribute__((aligned(4096)));
};

static unsigned int me;
static const char *address;
static size_t size;
static char *buffer;		/* @size bytes: the message to send, or received */
static int fd = -1;		/* of the stream */
static int back = -1;		/* that of the answer to its end; mostly the same */

static struct ring *ring;
static uint64_t written, consumed, known;	/* known: the other's index when last read */
static size_t slot, slots, place;

/* Private memory whose address is @other + @offset modulo the span. */
static char *skewed(const void *other, size_t offset)
{
	char *area = mmap(NULL, 2 * SKEW_SPAN, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *p = area + ((uintptr_t)other + offset - (uintptr_t)area) % SKEW_SPAN;

	memset(p, 'x', 1 << 20);
	return p;
}

static void ring_open(void)
{
	void *data;

	try(ivshmem_map(bench_open(), DATA_OFFSET, RING + 4096, &data));
	ring = data;
	slot = (size + LINE - 1) / LINE * LINE;
	slots = RING / slot;
	buffer = skewed(ring, 2 * RING);
	if (!me)
		memset(ring, 0, sizeof(*ring));
}

static void place_next(void)
{
	place = place + slot == slots * slot ? 0 : place + slot;
}

static void ring_send(void)
{
	while (written - known == slots) {
		known = __atomic_load_n(&ring->read, __ATOMIC_ACQUIRE);
		bench_pause();
	}
	memcpy(ring->slots + place, buffer, size);
	place_next();
	__atomic_store_n(&ring->written, ++written, __ATOMIC_RELEASE);
}

static void ring_finish(void)
{
	__atomic_store_n(&ring->over, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&ring->read, __ATOMIC_ACQUIRE) != written)
		bench_pause();
}

static bool ring_receive(void)
{
	while (consumed == known) {
		uint32_t over = __atomic_load_n(&ring->over, __ATOMIC_ACQUIRE);

		known = __atomic_load_n(&ring->written, __ATOMIC_ACQUIRE);
		if (over && consumed == known)
			return false;
		bench_pause();
	}
	memcpy(buffer, ring->slots + place, size);
	place_next();
	__atomic_store_n(&ring->read, ++consumed, __ATOMIC_RELEASE);
	return true;
}

/* The library's channels, with a ring buffer of the same size. */

static struct ivshmem_channel *channel;
static unsigned int held, batch;	/* messages published together */
static int64_t spin_ns;			/* of the channel's options */
static uint64_t rings;			/* doorbells rung before the first message */

static void channel_start(void)
{
	void *near;

	channel = channel_open(me, RING + 4096, spin_ns);
	/* The address of a message, in either guest: both directions are in one mapping. */
	try(ivshmem_channel_reserve(channel, 8, &near, ivshmem_after(10 * SECOND)));
	buffer = skewed(near, 2 * RING);
	rings = channel_rings(channel);
}

static void channel_start_batches(void)
{
	channel_start();
	batch = 16;
}

static void channel_start_asleep(void)
{
	spin_ns = -1;
	channel_start();
}

static void channel_send(void)
{
	unsigned int flags = ++held < batch ? IVSHMEM_MORE : 0;

	try(ivshmem_channel_send(channel, buffer, size, flags, IVSHMEM_FOREVER));
	if (!flags)
		held = 0;
}

static bool channel_receive(void)
{
	int64_t n = ivshmem_channel_recv(channel, buffer, size, IVSHMEM_FOREVER);

	try(n);
	return n;
}

/* Write the message in place; a copy from the processor's cache stands for that. */
static void channel_write(void)
{
	void *message;

	try(ivshmem_channel_reserve(channel, size, &message, IVSHMEM_FOREVER));
	memcpy(message, buffer, size);
	try(ivshmem_channel_commit(channel, size, 0));
}

/* Read the message in place: a word of each cache line. */
static bool channel_read(void)
{
	const void *message;
	const char *p;
	size_t n;

	try(ivshmem_channel_peek(channel, &message, &n, IVSHMEM_FOREVER));
	for (p = message; p < (const char *)message + n; p += LINE)
		(void)*(volatile const uint64_t *)p;
	try(ivshmem_channel_release(channel));
	return n;
}

/* An empty message ends the stream; the receiver answers with an empty one. */
static void channel_finish(void)
{
	char none;

	try(ivshmem_channel_send(channel, NULL, 0, 0, IVSHMEM_FOREVER));
	try(ivshmem_channel_recv(channel, &none, 1, IVSHMEM_FOREVER));
}

static void channel_end(void)
{
	if (me)
		try(ivshmem_channel_send(channel, NULL, 0, 0, IVSHMEM_FOREVER));
	bench_value(me ? "rings1" : "rings0", channel_rings(channel) - rings);
}

static void tcp_open(void)
{
	fd = net_tcp(me, address);
	buffer = skewed(NULL, 0);
}

static void vsock_open(void)
{
	fd = net_vsock(me, address);
	buffer = skewed(NULL, 0);
}

/* With a buffer as large as TCP makes its own. */
static void vsock_open_large(void)
{
	uint64_t bytes = RING;

	vsock_open();
	must(setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &bytes, sizeof(bytes)));
	must(setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &bytes, sizeof(bytes)));
}

static void serial_open(void)
{
	fd = dev_open_at("/dev/vport0p1", O_RDWR);
	buffer = skewed(NULL, 0);
	buffer[0] = 0;	/* see serial_finish() */
}

static void unix_open(void)
{
	fd = net_unix(me, address);
	buffer = skewed(NULL, 0);
}

static void pipe_open(void)
{
	net_pipes(me, address, me ? &fd : &back, me ? &back : &fd);
	buffer = skewed(NULL, 0);
}

static void socket_send(void)
{
	for (size_t n = 0; n < size;)
		n += must(write(fd, buffer + n, size - n));
}

static void await_answer(void)
{
	char byte;

	must(read(back, &byte, 1));
}

static void socket_finish(void)
{
	must(shutdown(fd, SHUT_WR));
	await_answer();
}

static void pipe_finish(void)
{
	must(close(fd));
	await_answer();
}

static bool socket_receive(void)
{
	for (size_t n = 0; n < size;) {
		ssize_t ret = must(read(fd, buffer + n, size - n));

		if (!ret) {
			must(write(back, "", 1));
			return false;
		}
		n += ret;
	}
	return true;
}

/* A line has no end: the last message begins with another byte. */
static void serial_finish(void)
{
	buffer[0] = 1;
	socket_send();
	await_answer();
}

static bool serial_receive(void)
{
	socket_receive();
	if (buffer[0])
		must(write(back, "", 1));
	return !buffer[0];
}

/* One copy alone. A ring buffer needs two, so it cannot be faster than the slower one. */
static void copy_open(void)
{
	ring = (void *)skewed(NULL, 0);
	memset(ring, 0, sizeof(*ring) + RING);
	buffer = skewed(ring, 2 * RING);
	slot = (size + LINE - 1) / LINE * LINE;
	slots = RING / slot;
}

static void copy_send(void)
{
	memcpy(ring->slots + place, buffer, size);
	place_next();
	__asm__ volatile("" ::: "memory");
}

static void nothing(void)
{
}

static bool copy_receive(void)
{
	return false;
}

static const struct way {
	const char *name;
	void (*open)(void), (*send)(void), (*finish)(void);
	bool (*receive)(void);		/* false at the end of the stream */
	void (*end)(void);
} ways[] = {
	{ "floor", ring_open, ring_send, ring_finish, ring_receive, nothing },
	{ "channel", channel_start, channel_send, channel_finish, channel_receive,
	  channel_end },
	{ "channel-batch", channel_start_batches, channel_send, channel_finish,
	  channel_receive, channel_end },
	{ "channel-zero", channel_start, channel_write, channel_finish, channel_read,
	  channel_end },
	{ "channel-sleep", channel_start_asleep, channel_send, channel_finish, channel_receive,
	  channel_end },
	{ "tcp", tcp_open, socket_send, socket_finish, socket_receive, nothing },
	{ "vsock", vsock_open, socket_send, socket_finish, socket_receive, nothing },
	{ "vsock-large", vsock_open_large, socket_send, socket_finish, socket_receive, nothing },
	{ "serial", serial_open, socket_send, serial_finish, serial_receive, nothing },
	{ "unix", unix_open, socket_send, socket_finish, socket_receive, nothing },
	{ "pipe", pipe_open, socket_send, pipe_finish, socket_receive, nothing },
	{ "memcpy", copy_open, copy_send, nothing, copy_receive, nothing },
};

/* Send for @duration; send a group between readings of the clock, as they cost time. */
static void produce(const struct way *way, int64_t duration)
{
	size_t group = 1 + (256 << 10) / size, messages = 0;
	int64_t start = now_ns(), elapsed;

	do {
		for (size_t i = 0; i < group; i++)
			way->send();
		messages += group;
	} while (now_ns() - start < duration);
	way->finish();
	elapsed = now_ns() - start;
	bench_value("mbps", messages * size * 1e3 / elapsed);
	bench_value("rate", messages * 1e9 / elapsed);
	bench_value("messages", messages);
}

int main(int argc, char **argv)
{
	const struct way *way = ways, *end = ways + sizeof(ways) / sizeof(*ways);

	if (argc < 4)
		tap_bail("usage: stream WAY SIZE MILLISECONDS [ADDRESS]");
	while (way < end && strcmp(way->name, argv[1]))
		way++;
	if (way == end)
		tap_bail("no way %s", argv[1]);
	size = strtoull(argv[2], NULL, 0);
	address = argv[4];
	me = rig_guest();
	way->open();
	if (back < 0)
		back = fd;
	rig_ask("barrier ready");
	if (me) {
		while (way->receive())
			;
	} else {
		produce(way, atoll(argv[3]) * 1000000);
	}
	way->end();
	rig_ask("barrier done");
	return 0;
}
