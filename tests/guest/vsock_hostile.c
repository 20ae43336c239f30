// SPDX-License-Identifier: GPL-2.0-only
/*
 * A peer that sends what no port for vsock would send: a program in guest 1 plays its port. The
 * others count it, and reach each other all the time. When its guest loads the driver, that works
 * as any other.
 */
/* rig: guests=3 devices=doorbell vectors=4 size=16M timeout=240
 * rig: modules=vmw_vsock_virtio_transport_common
 */
#include <linux/virtio_vsock.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "attacker.h"
#include "vsock.h"

#define HEADER	sizeof(struct virtio_vsock_hdr)
#define FUZZ	2000
#define WITNESS	6000	/* the port of a connection that nothing may disturb */
#define LATE	6001	/* a port to which nothing connects in time */

struct packet {
	struct virtio_vsock_hdr hdr;
	char data[256];
} __attribute__((packed));

static struct packet packet(unsigned int op, unsigned int length)
{
	return (struct packet){ .hdr = {
		.src_cid = 2, .dst_cid = 1000, .src_port = 5000, .dst_port = VSOCK_ECHO,
		.len = length, .type = VIRTIO_VSOCK_TYPE_STREAM, .op = op,
		.buf_alloc = ~0U,
	} };
}

static void put(struct victim *v, const struct packet *p, unsigned int length)
{
	attacker_put(v, p, length, "", 0);
	attacker_publish(v);
}

static void short_header(struct victim *v)
{
	struct packet p = packet(VIRTIO_VSOCK_OP_REQUEST, 0);

	put(v, &p, HEADER - 1);
}

static void long_data(struct victim *v)
{
	struct packet p = packet(VIRTIO_VSOCK_OP_RW, 20);

	put(v, &p, HEADER + 10);
}

static void short_data(struct victim *v)
{
	struct packet p = packet(VIRTIO_VSOCK_OP_RW, 10);

	put(v, &p, HEADER + 20);
}

static void no_operation(struct victim *v)
{
	struct packet p = packet(VIRTIO_VSOCK_OP_INVALID, 0);

	put(v, &p, HEADER);
}

static void unknown_operation(struct victim *v)
{
	struct packet p = packet(VIRTIO_VSOCK_OP_CREDIT_REQUEST + 1, 0);

	put(v, &p, HEADER);
}

static void no_data(struct victim *v)
{
	struct packet p = packet(VIRTIO_VSOCK_OP_RW, 0);

	put(v, &p, HEADER);
}

static void request_with_data(struct victim *v)
{
	struct packet p = packet(VIRTIO_VSOCK_OP_REQUEST, 10);

	put(v, &p, HEADER + 10);
}

static void unknown_type(struct victim *v)
{
	struct packet p = packet(VIRTIO_VSOCK_OP_REQUEST, 0);

	p.hdr.type = 77;
	put(v, &p, HEADER);
}

/* The ring tells who sends, not the packet. */
static void other_sender(struct victim *v)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct packet p = packet(VIRTIO_VSOCK_OP_RST, 0);

		p.hdr.src_cid = 1000 + i;
		put(v, &p, HEADER);
	}
}

/* To the port from which a victim is connected with another. */
static void stray(struct victim *v)
{
	static const unsigned int operations[] = {
		VIRTIO_VSOCK_OP_RW, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_OP_RST,
	};

	for (int i = 0; i < 3; i++) {
		unsigned int op = operations[i], length = op == VIRTIO_VSOCK_OP_RW ? 10 : 0;
		struct packet p = packet(op, length);

		p.hdr.src_port = VSOCK_ECHO;
		p.hdr.dst_port = WITNESS;
		p.hdr.flags = 3;
		put(v, &p, HEADER + length);
	}
}

/* Send a packet as soon as there is room, which the victim makes. */
static void put_soon(struct victim *v, const struct packet *p, unsigned int length)
{
	struct ivshmem_reclaimed done;

	for (int i = 0; i < 20000 && v->sender.state == IVSHMEM_RING_UP; i++) {
		if (ivshmem_sender_reserve(&v->sender, length)) {
			attacker_put(v, p, length, "", 0);
			return;
		}
		attacker_publish(v);
		ivshmem_sender_reclaim(&v->sender, &done);
		sleep_ms(1);
	}
}

/* More packets than the ring and the queue for their answers hold. */
static unsigned int flood(const struct victim *v)
{
	return 3 * v->sender.writer.area.entries + 64;
}

/* Ask for answers, and read none. */
static void requests(struct victim *v)
{
	struct packet p = packet(VIRTIO_VSOCK_OP_REQUEST, 0);

	p.hdr.dst_port = 4711;
	for (unsigned int i = 0; i < flood(v); i++) {
		p.hdr.src_port = i;
		put_soon(v, &p, HEADER);
	}
	attacker_publish(v);
}

/* The same for a connection; kernels before 5.15 do not answer there. */
static void credit_requests(struct victim *v)
{
	struct packet p = packet(VIRTIO_VSOCK_OP_REQUEST, 0);

	put(v, &p, HEADER);
	p = packet(VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0);
	for (unsigned int i = 0; i < flood(v); i++)
		put_soon(v, &p, HEADER);
	attacker_publish(v);
}

/* A connection, on which it says that it has read what it never reads. */
static void lies(struct victim *v)
{
	struct packet p = packet(VIRTIO_VSOCK_OP_REQUEST, 0);

	put(v, &p, HEADER);
	for (unsigned int i = 0; i < FUZZ; i++) {
		p = packet(VIRTIO_VSOCK_OP_RW, sizeof(p.data));
		p.hdr.fwd_cnt = i * sizeof(p.data);
		put_soon(v, &p, sizeof(p));
	}
	attacker_publish(v);
}

/* Packets that are well formed, of all kinds and at all ports, with data of all sizes. */
static void chance(struct victim *v)
{
	for (unsigned int i = 0; i < FUZZ; i++) {
		struct packet p;
		unsigned int length;

		if (getrandom(&p, sizeof(p), 0) != sizeof(p))
			tap_bail("no random numbers");
		p.hdr.op = 1 + p.hdr.op % VIRTIO_VSOCK_OP_CREDIT_REQUEST;
		p.hdr.type = p.hdr.type % 4;
		p.hdr.src_port %= 8;
		p.hdr.dst_port = VSOCK_ECHO + p.hdr.dst_port % 4;
		length = p.hdr.op == VIRTIO_VSOCK_OP_RW ? 1 + p.hdr.len % sizeof(p.data) : 0;
		p.hdr.len = length;
		put_soon(v, &p, HEADER + length);
	}
	attacker_publish(v);
}

/* A request, and the end of the session before it is read: there is nobody to answer. */
static void last_request(struct victim *v)
{
	struct packet p = packet(VIRTIO_VSOCK_OP_REQUEST, 0);

	p.hdr.dst_port = LATE;
	attacker_put(v, &p, HEADER, "", 0);
	attacker_leave(v);
}

static const struct attack attacks[] = {
	{ "a request of a session that is over", last_request, NOTHING },
	{ "a frame without a whole header", short_header, BROKEN },
	{ "less data than it says", long_data, BROKEN },
	{ "more data than it says", short_data, BROKEN },
	{ "a packet that does nothing", no_operation, BROKEN },
	{ "a packet that does what is unknown", unknown_operation, BROKEN },
	{ "data without bytes", no_data, BROKEN },
	{ "a request with data", request_with_data, BROKEN },
	{ "a kind of socket that is unknown", unknown_type, NOTHING },
	{ "a peer that calls itself another", other_sender, NOTHING },
	{ "packets for the connection of others", stray, NOTHING },
	{ "requests whose answers are not read", requests, WRONG_FRAME },
	{ "requests for credit", credit_requests, NOTHING },
	{ "lies about what was read", lies, NOTHING },
	{ "packets made by chance", chance, NOTHING },
	{ 0 }
};

static long long count(enum effect effect)
{
	return vsock_number(1, effect == BROKEN ? VSOCK_BROKEN : VSOCK_DROPPED);
}

/* The own connection with the third guest, through all of the test. */
static int witness = -1;

/* A process that connects to the attacker, who does not answer. */
static pid_t connecting;

/* The attacker has started again, so that connect() has failed. */
static void end_connecting(void)
{
	int status = 0, error;

	if (!connecting)
		return;
	tap_eq(waitpid(connecting, &status, 0), connecting, "connect() ends");
	error = WEXITSTATUS(status);
	tap_ok(error == ECONNRESET || error == ENOBUFS || error == ENODEV,
	       "its peer has gone, or has too much to read (%d)", error);
	connecting = 0;
}

static void begin_connecting(void)
{
	unsigned int cid = vsock_up(1);

	if (!cid)
		return;
	fflush(stdout);
	connecting = fork();
	if (!connecting)
		_exit(-vsock_connect(SOCK_STREAM, cid, 1));
}

/* Listens to LATE. */
static int listener = -1;

static bool reaches(void)
{
	char sent[300] = "all the time", came[300];

	end_connecting();
	begin_connecting();
	return result(accept(listener, NULL, NULL)) == -EAGAIN &&
	       !vsock_send(witness, sent, sizeof(sent)) &&
	       !vsock_receive(witness, came, sizeof(came)) && !memcmp(sent, came, sizeof(came)) &&
	       vsock_reaches(2 - rig_guest());
}

int main(void)
{
	struct packet sound = packet(VIRTIO_VSOCK_OP_REQUEST, 0);
	bool hostile = rig_guest() == 1;
	int fd;

	vsock_make();
	fd = dev_open();
	if (!hostile) {
		vsock_load();
		vsock_serve();
	}
	rig_ask("barrier loaded");
	if (hostile) {
		attacker_run(fd, (struct attacker_frame){ &sound, HEADER }, attacks);
	} else {
		witness = vsock_connect_from(WITNESS, SOCK_STREAM, vsock_cid(2 - rig_guest()),
					     VSOCK_ECHO);
		tap_ok(witness >= 0, "connect to the third guest (%d)", witness);
		listener = vsock_listen(SOCK_STREAM, LATE);
		tap_eq(result(fcntl(listener, F_SETFL, O_NONBLOCK)), 0, "listen (%d)", listener);
		attacker_bear(attacks, count, reaches);
		end_connecting();
	}
	rig_ask("barrier over");
	if (hostile) {
		vsock_load();
		vsock_serve();
	}
	rig_ask("barrier healed");
	for (int guest = 0; guest < 3; guest++)
		if (guest != rig_guest())
			tap_ok(vsock_reaches(guest), "in the end it reaches guest %d", guest);
	rig_ask("barrier end");
	close(fd);
	close(witness);
	close(listener);
	vsock_end();
	vsock_unload();
	return tap_done();
}
