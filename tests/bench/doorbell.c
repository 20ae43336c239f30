// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time round trips of a small message between processes in two guests, or on one machine,
 * by one of many ways. Guest 0 asks and measures, guest 1 answers.
 *
 *	doorbell WAY ROUNDS BATCH [ADDRESS]
 *
 * BATCH rounds are timed together, since reading the clock can take longer than a round.
 * ADDRESS is that of guest 1 for networks, that of the device for vfio-pci, or the path of
 * a socket, of pipes or of a node.
 */
#include <sys/eventfd.h>

#include "channel.h"
#include "net.h"
#include "bench.h"
#include "vfio.h"

#define MESSAGE 64
#define VECTOR 0
#define SPIN_NS 1000000
#define LOOKS 256		/* at the word between two readings of the clock */
#define CHANNEL_RING 4096

/* What the two guests share: their ids, a word that counts rounds, and who sleeps. */
struct shared {
	volatile uint32_t id[2];
	uint32_t word __attribute__((aligned(64)));
	uint32_t sleeps[2] __attribute__((aligned(64)));
};

static unsigned int me;
static int fd = -1, efd = -1;
static int in = -1;		/* to receive from; mostly the same as @fd */
static const char *address;
static struct shared *shared;
static uint64_t at = CONTROL_OFFSET;	/* where it is */
static volatile uint32_t *registers;
static uint32_t peer, turn;
static struct ivshmem_channel *channel;

/* Ways to notify the other guest. */

static void ring(void)
{
	must(dev_ring(fd, peer, VECTOR));
}

static void ring_mapped(void)
{
	registers[IVSHMEM_REG_DOORBELL / 4] = IVSHMEM_DOORBELL(peer, VECTOR);
}

static void ring_pwrite(void)
{
	uint32_t value = IVSHMEM_DOORBELL(peer, VECTOR);
	static off_t offset;

	if (!offset)
		offset = vfio_region(fd, VFIO_PCI_BAR0_REGION_INDEX).offset;
	must(pwrite(fd, &value, 4, offset + IVSHMEM_REG_DOORBELL));
}

static void send_message(void)
{
	static char message[MESSAGE];

	must(write(fd, message, sizeof(message)));
}

static void word_next(void)
{
	__atomic_store_n(&shared->word, ++turn, __ATOMIC_RELEASE);
}

/* Ways to wait for the notification. */

static void wait_ioctl(void)
{
	struct ivshmem_wait w = { .vector = VECTOR, .timeout_ns = -1 };

	must(ioctl(fd, IVSHMEM_IOC_WAIT, &w));
}

static void wait_eventfd(void)
{
	eventfd_t value;

	must(eventfd_read(efd, &value));
}

static void receive_stream(void)
{
	char message[MESSAGE];
	size_t n = 0;

	while (n < sizeof(message)) {
		ssize_t ret = must(read(in, message + n, sizeof(message) - n));

		if (!ret)
			tap_bail("the other side hung up");
		n += ret;
	}
}

/* A datagram may be lost: on a timeout, send ours again. */
static void receive_datagram(void)
{
	char message[MESSAGE];

	while (recv(fd, message, sizeof(message), 0) < 0) {
		if (errno != EAGAIN)
			tap_bail("recv: %s", strerror(errno));
		send_message();
	}
}

static bool word_same(void)
{
	return __atomic_load_n(&shared->word, __ATOMIC_ACQUIRE) == turn;
}

static void word_poll(void)
{
	while (word_same())
		bench_pause();
	turn++;
}

/* Ring and wait in one system call. */
static void ring_wait(void)
{
	struct ivshmem_wait w = { .vector = VECTOR, .timeout_ns = -1 };

	must(dev_ring_wait(fd, peer, VECTOR, &w));
}

/* Adaptive: change the word, and ring only if the other guest sleeps. */
static void word_ring(void)
{
	__atomic_exchange_n(&shared->word, ++turn, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&shared->sleeps[!me], __ATOMIC_RELAXED))
		ring_mapped();
}

static struct ivshmem_wait for_word(int64_t timeout, uint64_t spin)
{
	return (struct ivshmem_wait){
		.flags = IVSHMEM_WAIT_WORD, .vector = VECTOR, .expected = turn,
		.offset = at + offsetof(struct shared, word), .spin_ns = spin,
		.timeout_ns = timeout,
	};
}

/* The same on a device whose doorbell only the driver can ring. */
static void word_ring_call(void)
{
	__atomic_exchange_n(&shared->word, ++turn, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&shared->sleeps[!me], __ATOMIC_RELAXED))
		ring();
}

/* Announce that this guest sleeps, then sleep until the word has changed. */
static void word_sleep(void)
{
	struct ivshmem_wait w = for_word(-1, 0);

	__atomic_store_n(&shared->sleeps[me], 1, __ATOMIC_SEQ_CST);
	while (word_same())
		must(ioctl(fd, IVSHMEM_IOC_WAIT, &w));
	__atomic_store_n(&shared->sleeps[me], 0, __ATOMIC_RELAXED);
}

/* Spin in the kernel for a while: it gives the processor to other tasks. */
static void word_wait(void)
{
	struct ivshmem_wait w = for_word(SPIN_NS, SPIN_NS);

	while (word_same() && dev_wait(fd, &w) != -ETIMEDOUT)
		;
	if (word_same())
		word_sleep();
	turn++;
}

/* Spin in the program for a while. */
static void word_look_wait(void)
{
	int64_t end = 0;

	while (word_same() && (!end || now_ns() < end)) {
		for (int looks = 0; looks < LOOKS && word_same(); looks++)
			bench_pause();
		if (!end)
			end = now_ns() + SPIN_NS;
	}
	if (word_same())
		word_sleep();
	turn++;
}

static void channel_send(void)
{
	static char message[MESSAGE];

	try(ivshmem_channel_send(channel, message, MESSAGE, 0, IVSHMEM_FOREVER));
}

static void channel_receive(void)
{
	char message[MESSAGE];

	try(ivshmem_channel_recv(channel, message, MESSAGE, IVSHMEM_FOREVER));
}

/* Preparations for each way. */

static void meet(uint32_t own_id)
{
	shared->id[me] = own_id;
	shared->word = 0;
	shared->sleeps[me] = 0;
	rig_ask("barrier ids");
	peer = shared->id[!me];
}

static void open_device(void)
{
	fd = dev_open();
	shared = dev_map_at(fd, CONTROL_OFFSET, DATA_OFFSET);
	registers = dev_map_registers(fd);
	efd = must(eventfd(0, EFD_CLOEXEC));
	meet(dev_info(fd).id);
}

/* A device that begins with a label, and has no registers. */
static void open_labelled(void)
{
	at = DATA_OFFSET;
	fd = dev_open_at(address, O_RDWR);
	shared = dev_map_at(fd, at, DATA_OFFSET);
	meet(dev_info(fd).id);
}

/* All that polling takes. */
static void open_memory(void)
{
	void *memory;

	try(ivshmem_map(bench_open(), CONTROL_OFFSET, DATA_OFFSET, &memory));
	shared = memory;
	meet(0);
}

static void open_device_eventfd(void)
{
	open_device();
	must(dev_eventfd(fd, VECTOR, efd));
}

static void open_vfio(void)
{
	fd = vfio_open(address);
	shared = vfio_map(fd, VFIO_PCI_BAR2_REGION_INDEX, DATA_OFFSET);
	registers = vfio_map(fd, VFIO_PCI_BAR0_REGION_INDEX, 4096);
	efd = must(eventfd(0, EFD_CLOEXEC));
	vfio_eventfd(fd, efd);
	meet(registers[2]);
}

/* Both ends connect. Guest 1 learns the address of guest 0 from the first packet. */
static void open_udp(void)
{
	struct sockaddr_in in = net_address(me ? NULL : address);
	struct timeval patience = { .tv_sec = 1 };
	socklen_t length = sizeof(in);
	char byte = 0;

	fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	if (me)
		must(bind(fd, (struct sockaddr *)&in, sizeof(in)));
	rig_ask("barrier bound");
	if (me)
		must(recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&in, &length));
	must(connect(fd, (struct sockaddr *)&in, sizeof(in)));
	if (!me)
		must(write(fd, &byte, 1));
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
}

static void open_tcp(void)
{
	fd = net_tcp(me, address);
}

static void open_vsock(void)
{
	fd = net_vsock(me, address);
}

static void open_unix(void)
{
	fd = net_unix(me, address);
}

static void open_pipes(void)
{
	net_pipes(me, address, &in, &fd);
}

static void open_channel(void)
{
	channel = channel_open(me, CHANNEL_RING, 0);
}

static void open_channel_asleep(void)
{
	channel = channel_open(me, CHANNEL_RING, -1);
}

static void open_serial(void)
{
	fd = dev_open_at("/dev/vport0p1", O_RDWR);
}

/* @exchange does both tell() and be_told() in one call; NULL if the way has none. */
static const struct way {
	const char *name;
	void (*open)(void), (*tell)(void), (*be_told)(void), (*exchange)(void);
} ways[] = {
	{ "ring-wait", open_device, ring, wait_ioctl, ring_wait },
	{ "mapped-wait", open_device, ring_mapped, wait_ioctl, NULL },
	{ "ring-eventfd", open_device_eventfd, ring, wait_eventfd, NULL },
	{ "mapped-eventfd", open_device_eventfd, ring_mapped, wait_eventfd, NULL },
	{ "vfio-mapped", open_vfio, ring_mapped, wait_eventfd, NULL },
	{ "vfio-pwrite", open_vfio, ring_pwrite, wait_eventfd, NULL },
	{ "tcp", open_tcp, send_message, receive_stream, NULL },
	{ "udp", open_udp, send_message, receive_datagram, NULL },
	{ "vsock", open_vsock, send_message, receive_stream, NULL },
	{ "unix", open_unix, send_message, receive_stream, NULL },
	{ "pipe", open_pipes, send_message, receive_stream, NULL },
	{ "serial", open_serial, send_message, receive_stream, NULL },
	{ "channel-sleep", open_channel_asleep, channel_send, channel_receive, NULL },
	{ "channel", open_channel, channel_send, channel_receive, NULL },
	{ "poll", open_memory, word_next, word_poll, NULL },
	{ "adaptive-wait", open_device, word_ring, word_wait, NULL },
	{ "look-wait", open_device, word_ring, word_look_wait, NULL },
	{ "look-ring-wait", open_labelled, word_ring_call, word_look_wait, NULL },
};

static void exchange(const struct way *way)
{
	if (way->exchange) {
		way->exchange();
	} else {
		way->tell();
		way->be_told();
	}
}

static void ask(const struct way *way, size_t batches, int batch)
{
	int64_t *times = calloc(batches, sizeof(*times));
	int64_t begin = now_ns(), start, cpu = bench_cpu_ns();

	for (size_t i = 0; i < batches; i++) {
		start = now_ns();
		for (int j = 0; j < batch; j++)
			exchange(way);
		times[i] = now_ns() - start;
	}
	cpu = bench_cpu_ns() - cpu;
	bench_value("mean", (now_ns() - begin) / 1e3 / batch / batches);
	bench_value("p50", bench_quantile(times, batches, 0.5) / 1e3 / batch);
	bench_value("p99", bench_quantile(times, batches, 0.99) / 1e3 / batch);
	bench_value("cpu", cpu / 1e3 / batch / batches);
}

static void answer(const struct way *way, size_t rounds)
{
	way->be_told();
	while (--rounds)
		exchange(way);
	way->tell();
}

int main(int argc, char **argv)
{
	const struct way *way = ways, *end = ways + sizeof(ways) / sizeof(*ways);
	size_t rounds;
	int batch;

	if (argc < 4)
		tap_bail("usage: doorbell WAY ROUNDS BATCH [ADDRESS]");
	while (way < end && strcmp(way->name, argv[1]))
		way++;
	if (way == end)
		tap_bail("no way %s", argv[1]);
	rounds = atol(argv[2]);
	batch = atoi(argv[3]);
	address = argv[4];
	me = rig_guest();
	way->open();
	if (in < 0)
		in = fd;
	rig_ask("barrier ready");
	if (me)
		answer(way, rounds);
	else
		ask(way, rounds / batch, batch);
	rig_ask("barrier done");
	return 0;
}
