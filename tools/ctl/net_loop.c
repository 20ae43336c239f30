// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl net: one loop that moves frames between the tap device and the rings, and sleeps
 * when there are none.
 *
 * A frame for a port whose ring is full waits a moment, and the frames behind it wait, too: so
 * who sends is slowed down as by any interface. A port that makes no room by then loses its
 * frames until it does, and holds up nobody any more.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net.h"
#include "numbers.h"

#define MS		INT64_C(1000000)
#define PATIENCE_NS	(20 * MS)	/* for a ring that is full */
#define LOOK_NS		(1000 * MS)	/* whether the port is still this program's */
#define REPORTS		8		/* on a port before each look; more tell nothing new */
#define BATCH		64		/* frames that are read before others have their turn */
#define ADDRESSES	12		/* bytes: where a frame goes, and where it comes from */

enum source { FROM_TAP, FROM_PEERS, FROM_VECTOR };	/* and on */

struct loop {
	struct net *net;
	int poll;
	int doorbells[IVSHMEM_MAX_VECTORS];
	uint32_t ndoorbells;
	bool more[IVSHMEM_MAX_VECTORS];	/* of these vectors there is more to do */
	bool any_more;
	int64_t look_ns;		/* when to look after the port */
	bool noted;			/* that there is none */
	unsigned int reports[IVSHMEM_RINGS_MAX_PORTS];	/* since the last look */
	bool choked[IVSHMEM_RINGS_MAX_PORTS];	/* it made no room in time */
	bool holds;			/* a frame that waits for room */
	bool reads;			/* the tap is polled */
	unsigned int held_for;
	int64_t held_until_ns;
	size_t length;			/* of what is in frame */
	uint8_t frame[TAP_HEADER + IVSHMEM_FRAME_MAX];
};

static struct loop loop;

/* Reports */

static void report(const char *event, unsigned int port)
{
	if (common.json)
		print_json(stdout, json_pack("{s:s, s:i}", "event", event, "port", (int)port), true);
	else
		printf("port %u: %s\n", port, event);
	flush_output();
}

static void on_own(struct port *port)
{
	struct net *net = loop.net;
	char text[24];

	if (port->own < 0)
		return;
	loop.noted = false;
	net->address[5] = (uint8_t)port->own;
	tap_set_address(&net->tap, net->address);
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", net->address[0],
		 net->address[1], net->address[2], net->address[3], net->address[4],
		 net->address[5]);
	if (common.json)
		print_json(stdout, json_pack("{s:s, s:i, s:s, s:s}", "event", "joined",
					     "port", port->own, "interface", net->tap.name,
					     "address", text), true);
	else
		printf("port %d: joined, as %s, %s\n", port->own, net->tap.name, text);
	flush_output();
}

static void report_state(unsigned int peer)
{
	static const char *const events[] = {
		[IVSHMEM_RING_DOWN] = "down", [IVSHMEM_RING_UP] = "up",
		[IVSHMEM_RING_BROKEN] = "broken",
	};

	report(events[loop.net->port.links[peer].state], peer);
}

/* A hostile port can restart, and break its ring, as often as it likes. */
static bool may_report(unsigned int peer)
{
	return loop.reports[peer]++ < REPORTS;
}

/* What was not said meanwhile, as it is now. */
static void catch_up(const struct port *port)
{
	for (unsigned int peer = 0; peer < port->layout.ports; peer++) {
		if (loop.reports[peer] > REPORTS)
			report_state(peer);
		loop.reports[peer] = 0;
	}
}

static void on_deaf(struct port *port, unsigned int peer)
{
	(void)port;
	if (may_report(peer))
		report("broken", peer);
}

static void on_link(struct port *port, unsigned int peer, enum ivshmem_ring_state state)
{
	struct net *net = loop.net;

	loop.choked[peer] = false;
	if (state != IVSHMEM_RING_UP)
		learn_forget(&net->learn, peer);
	net->up = 0;
	for (unsigned int i = 0; i < port->layout.ports; i++)
		net->up += port->links[i].state == IVSHMEM_RING_UP;
	tap_set_carrier(&net->tap, net->up);
	if (may_report(peer))
		report_state(peer);
}

/* From rings to the tap. The kernel copies the frame, then checks what the header says of it. */
static void on_frame(struct port *port, unsigned int from, const struct ivshmem_frame *frame)
{
	struct net *net = loop.net;
	struct iovec parts[] = {
		{ .iov_base = (void *)(uintptr_t)frame->header, .iov_len = TAP_HEADER },
		{ .iov_base = (void *)(uintptr_t)frame->data, .iov_len = frame->length },
	};
	uint8_t addresses[ADDRESSES];

	if (frame->length < sizeof(addresses)) {
		port->dropped++;
		return;
	}
	memcpy(addresses, frame->data, sizeof(addresses));
	learn_source(&net->learn, addresses + 6, from, now_ns());
	if (writev(net->tap.fd, parts, 2) < 0)
		port->dropped++;	/* the interface is down, or the header was nonsense */
	else
		port->received++;
}

static const struct port_ops ops = {
	.deliver = on_frame, .link = on_link, .deaf = on_deaf, .own = on_own,
};

/* From the tap to rings */

static unsigned int destination(const struct net *net, const uint8_t *address)
{
	int port = -1;

	if (!(address[0] & 1))
		port = learn_find(&net->learn, address, now_ns());
	return port >= 0 && port_is_up(&net->port, (unsigned int)port) ? (unsigned int)port :
									 net->port.layout.ports;
}

static bool send_frame(unsigned int to)
{
	struct port *port = &loop.net->port;

	return port_send(port, to, loop.frame, TAP_HEADER, loop.frame + TAP_HEADER,
			 (uint32_t)(loop.length - TAP_HEADER));
}

static void hold(unsigned int to)
{
	loop.holds = true;
	loop.held_for = to;
	loop.held_until_ns = now_ns() + PATIENCE_NS;
}

static void pass_on(void)
{
	struct net *net = loop.net;
	unsigned int to;

	if (loop.length < TAP_HEADER + ADDRESSES || net->port.own < 0) {
		net->port.dropped++;
		return;
	}
	to = destination(net, loop.frame + TAP_HEADER);
	if (to < net->port.layout.ports && loop.choked[to] && net->port.links[to].waits) {
		net->port.dropped++;
		return;
	}
	if (send_frame(to)) {
		if (to < net->port.layout.ports)
			loop.choked[to] = false;
	} else {
		hold(to);
	}
}

/* Has the frame that waited gone, one way or another? */
static bool release(void)
{
	struct port *port = &loop.net->port;

	if (!loop.holds)
		return true;
	if (!port_is_up(port, loop.held_for)) {
		port->dropped++;
	} else if (!send_frame(loop.held_for)) {
		if (now_ns() < loop.held_until_ns)
			return false;
		loop.choked[loop.held_for] = true;
		port->dropped++;
	}
	loop.holds = false;
	return true;
}

/* Returns 0 or a negative errno. */
static int read_tap(void)
{
	struct net *net = loop.net;

	for (int i = 0; i < BATCH && !loop.holds; i++) {
		ssize_t length = read(net->tap.fd, loop.frame, sizeof(loop.frame));

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return errno == EAGAIN ? 0 : -errno;
		loop.length = (size_t)length;
		pass_on();
	}
	return 0;
}

/* Events */

static int watch(int fd, uint32_t what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = what };

	if (fd < 0)
		return fd;
	return epoll_ctl(loop.poll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int watch_all(struct net *net)
{
	int error;

	loop.poll = epoll_create1(EPOLL_CLOEXEC);
	if (loop.poll < 0)
		return -errno;
	error = watch(net->tap.fd, FROM_TAP);
	if (!error)
		error = watch(ivshmem_fd(net->device.handle), FROM_PEERS);
	loop.reads = true;
	while (!error && loop.ndoorbells < net->port.vectors) {
		int fd = ivshmem_eventfd(net->device.handle, loop.ndoorbells);

		error = watch(fd, FROM_VECTOR + loop.ndoorbells);
		if (fd >= 0)
			loop.doorbells[loop.ndoorbells++] = fd;
	}
	return error;
}

static void unwatch_all(void)
{
	while (loop.ndoorbells)
		close(loop.doorbells[--loop.ndoorbells]);
	if (loop.poll >= 0)
		close(loop.poll);
}

/* While a frame waits, the others stay where they are. */
static void set_reading(bool reads)
{
	struct epoll_event event = { .events = reads ? EPOLLIN : 0, .data.u32 = FROM_TAP };

	if (loop.reads == reads)
		return;
	loop.reads = reads;
	epoll_ctl(loop.poll, EPOLL_CTL_MOD, loop.net->tap.fd, &event);
}

static int follow_peers(void)
{
	loop.any_more = true;
	memset(loop.more, true, sizeof(loop.more));
	return port_follow(&loop.net->port);
}

static int handle(const struct epoll_event *event)
{
	uint32_t what = event->data.u32;
	uint64_t count;

	switch (what) {
	case FROM_TAP:
		return read_tap();
	case FROM_PEERS:
		return follow_peers();
	default:
		loop.any_more = true;
		loop.more[what - FROM_VECTOR] = true;
		/* Another thread of the library can have taken it. */
		(void)!read(loop.doorbells[what - FROM_VECTOR], &count, sizeof(count));
		return 0;
	}
}

static void poll_vectors(void)
{
	struct port *port = &loop.net->port;
	bool any = false;

	for (uint32_t vector = 0; loop.any_more && vector < port->vectors; vector++)
		if (loop.more[vector])
			any |= loop.more[vector] = port_poll(port, vector);
	loop.any_more = any;
}

static int64_t sleep_ns(void)
{
	int64_t until = loop.look_ns, beat = loop.net->seat.beat_ns, now = now_ns();

	if (beat < until)
		until = beat;
	if (loop.holds && loop.held_until_ns < until)
		until = loop.held_until_ns;
	return loop.any_more || until < now ? 0 : until - now;
}

static int sleep_until_event(const sigset_t *awake)
{
	struct epoll_event events[8];
	int timeout = (int)((sleep_ns() + MS - 1) / MS);
	int count = epoll_pwait(loop.poll, events, 8, timeout, awake);
	int error = 0;

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count && !error; i++)
		error = handle(&events[i]);
	return error;
}

static enum exit_code complain_lost(const struct net *net)
{
	if (!tap_is_there(&net->tap))
		return complain(EXIT_FAILED, "the interface %s is gone: somebody has deleted it",
				net->tap.name);
	return complain(EXIT_FAILED,
			"the port of this program is lost: another program or driver on this machine took it, or somebody divided partition %s of %s anew",
			net->partition, net->device.name);
}

/* False: the port or the interface is lost for good. */
static bool look_after_port(const struct net *net)
{
	if (now_ns() < loop.look_ns)
		return true;
	loop.look_ns = now_ns() + LOOK_NS;
	catch_up(&net->port);
	if (net->port.own < 0 && !loop.noted)
		complain(EXIT_OK, "note: %s has no port for this program: all its slots are taken, or the one of this program is no port; see 'ivshmemctl peers'",
			 net->device.name);
	loop.noted = net->port.own < 0;
	return !port_is_lost(&net->port) && tap_is_there(&net->tap);
}

static enum exit_code move_frames(struct net *net, const sigset_t *awake)
{
	int error = 0;

	/* All who live have been heard of by then, so a slot that can be had was taken. */
	loop.look_ns = now_ns() + 2 * LOOK_NS;
	while (!stopped && !error) {
		if (!look_after_port(net))
			return complain_lost(net);
		error = sleep_until_event(awake);
		if (seat_beat(&net->seat, now_ns()) && !error)
			error = follow_peers();
		poll_vectors();
		set_reading(release());
		port_flush(&net->port);
	}
	if (error == -EBADFD)
		return complain_lost(net);
	return error ? device_complain(&net->device, error, "move frames") : EXIT_OK;
}

static enum exit_code summarize(const struct port *port)
{
	if (common.json)
		return print_json(stdout, json_pack("{s:I, s:I, s:I, s:I}",
						    "sent", (json_int_t)port->sent,
						    "received", (json_int_t)port->received,
						    "dropped", (json_int_t)port->dropped,
						    "missed", (json_int_t)port->missed), true);
	printf("frames: %" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " dropped, %" PRIu64 " missed\n",
	       port->sent, port->received, port->dropped, port->missed);
	return EXIT_OK;
}

static enum exit_code join_and_move(struct net *net, const sigset_t *awake)
{
	struct port *port = &net->port;
	enum exit_code code;
	int error;

	if (!port_open(port)) {
		port_close(port);
		return complain(EXIT_FAILED, "out of memory");
	}
	error = watch_all(net);
	if (!error)
		error = follow_peers();
	code = error ? device_complain(&net->device, error, "join") : move_frames(net, awake);
	summarize(port);
	port_close(port);
	unwatch_all();
	return code;
}

enum exit_code net_loop(struct net *net)
{
	sigset_t awake;
	enum exit_code code;

	loop.net = net;
	net->port.ops = &ops;
	net->port.seat = &net->seat;
	net->port.memory = net->mapping.bytes;
	net->port.vectors = net->device.properties.vectors;
	net->port.features = net->tap.uso ? IVSHMEM_PORT_USO : 0;
	learn_init(&net->learn, (uint64_t)now_ns());
	/* Signals are delivered inside epoll_pwait() only, so none is missed. */
	block_stopping(&awake);
	stop_on_signals();
	seat_open(&net->seat, &net->device);
	code = join_and_move(net, &awake);
	seat_close(&net->seat);
	sigprocmask(SIG_SETMASK, &awake, NULL);
	return code;
}
