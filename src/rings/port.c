// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmem_rings: a port of a segment: its life, its peers and their doorbells
 *
 * While the port is up, others are inside it: those who send or poll, in an RCU read-side section.
 * To go down is to clear @running and to wait for them; then all that they use is rebuilt.
 *
 * The peer table tells who is present, and each section whether its port is up. Both are looked
 * at when a vector is polled (traffic.c), which does the handshake as well. So nothing here has to
 * look again and again: who has news for another port rings it.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include "core/compat.h"
#include "core/label.h"
#include "inside.h"

/* While a tool writes the header, it looks bad. */
#define RETRIES	4

/* In the log of the kernel, about the peers of a port. */
#define LINES_PER_MINUTE	6

static enum ivshmem_rings_reason read_header(struct ivshmem_port *port)
{
	u8 copy[IVSHMEM_RINGS_HEADER_SIZE];

	memcpy(copy, port->memory, sizeof(copy));
	return ivshmem_rings_parse(copy, ivshmem_node_size(port->node), &port->layout);
}

/* Learn what is where. */
static int find_layout(struct ivshmem_port *port)
{
	struct device *dev = ivshmem_node_dev(port->node);
	enum ivshmem_rings_reason reason;
	int i, idx, ret;

	ret = ivshmem_node_begin(port->node, &idx);
	if (ret)
		return ret;
	reason = read_header(port);
	for (i = 0; i < RETRIES && reason && reason != IVSHMEM_RINGS_NONE; i++) {
		usleep_range(1000, 2000);
		reason = read_header(port);
	}
	ivshmem_node_end(port->node, idx);
	if (!reason)
		return 0;
	dev_err(dev, "the header of the rings: %s\n", ivshmem_rings_reason_text(reason));
	return reason == IVSHMEM_RINGS_NONE ? -ENODATA : -EINVAL;
}

/* Why a node cannot be a port, or NULL. */
static const char *obstacle(struct ivshmem_node *node)
{
	if (!ivshmem_node_is_cached(node))
		return "the memory is not mapped write-back";
	if (!(ivshmem_node_features(node) & IVSHMEM_FEATURE_PEERS))
		return "the device has no peer table";
	if (!ivshmem_node_vectors(node))
		return "the partition has no doorbells";
	return NULL;
}

/* A doorbell. Called in any context, and not after go_down(): handlers run inside RCU. */
static void handle(void *data)
{
	struct port_vector *v = data;

	ivshmem_node_mask(v->port->node, v->number);
	if (READ_ONCE(v->port->running))
		v->port->ops->schedule(v->port->data, v->number);
}

static void free_vectors(struct ivshmem_port *port, unsigned int nr)
{
	while (nr--)
		ivshmem_node_free_vector(port->node, nr);
}

static int request_vectors(struct ivshmem_port *port)
{
	unsigned int i;
	int ret;

	for (i = 0; i < port->nr_vectors; i++) {
		port->vectors[i].port = port;
		port->vectors[i].number = i;
		port->vectors[i].cursor = i;
		ret = ivshmem_node_request_vector(port->node, i, handle, &port->vectors[i]);
		if (ret) {
			free_vectors(port, i);
			return ret;
		}
		ivshmem_node_mask(port->node, i);
	}
	return 0;
}

static void port_free(struct ivshmem_port *port)
{
	kvfree(port->notes);
	kvfree(port->vectors);
	kvfree(port->links);
	kvfree(port->infos);
	kfree(port);
}

static int port_alloc(struct ivshmem_port *port)
{
	const struct ivshmem_rings_layout *layout = &port->layout;
	size_t notes = (size_t)layout->ports * layout->entries + layout->broadcast_entries;
	unsigned int i;

	port->nr_vectors = min_t(unsigned int, ivshmem_node_vectors(port->node), layout->ports);
	port->notes = kvcalloc(notes, sizeof(*port->notes), GFP_KERNEL);
	port->vectors = kvcalloc(port->nr_vectors, sizeof(*port->vectors), GFP_KERNEL);
	port->links = kvcalloc(layout->ports, sizeof(*port->links), GFP_KERNEL);
	port->infos = kvcalloc(IVSHMEM_LABEL_MAX_PEERS, sizeof(*port->infos), GFP_KERNEL);
	if (!port->notes || !port->vectors || !port->links || !port->infos)
		return -ENOMEM;
	for (i = 0; i < layout->ports; i++) {
		spin_lock_init(&port->links[i].lock);
		port->links[i].id = PORT_ABSENT;
	}
	return 0;
}

/* Have a vector of a port that runs polled; from a task. */
static void kick(struct ivshmem_port *port, unsigned int vector)
{
	local_bh_disable();
	port->ops->schedule(port->data, vector);
	local_bh_enable();
}

static void set_id(struct ivshmem_port *port, unsigned int peer, u32 id, u64 owner)
{
	struct port_link *link = &port->links[peer];
	bool again = owner != link->owner;

	if (id == link->id && !again)
		return;
	WRITE_ONCE(link->id, id);
	link->owner = owner;
	if (again)
		WRITE_ONCE(link->again, true);
	if (!port->running)
		return;
	/* It may have been up before this port knew of it, and waits for a greeting. */
	ivshmem_port_ring(port, peer);
	kick(port, peer % port->nr_vectors);
}

/* The port of this machine by the peer table in @infos, or -1. */
static int own_port(const struct ivshmem_port *port, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (port->infos[i].flags & IVSHMEM_PEER_SELF)
			return port->infos[i].slot < port->layout.ports ?
			       port->infos[i].slot : -1;
	return -1;
}

/*
 * How long, in jiffies, a peer that is not in the table keeps its link. It may have died, or it
 * stands still for a moment and goes on: nothing tells which. A peer that leaves says so while its
 * heartbeat is fresh, and one that restarts has another owner.
 */
static unsigned long patience_left(struct ivshmem_port *port, unsigned int peer)
{
	const unsigned int *ms = port->ops->patience_ms;
	struct port_link *link = &port->links[peer];
	unsigned long end, now = jiffies;

	if (!ms || link->id == PORT_ABSENT || !port->running ||
	    !ivshmem_node_peer_is_silent(port->node, peer))
		return 0;
	if (!link->is_silent)
		link->silent_since = now;
	end = link->silent_since + msecs_to_jiffies(READ_ONCE(*ms));
	return time_before(now, end) ? end - now : 0;
}

/* Note which ports have somebody, by the peer table in @infos, which is in order. */
static void set_ids(struct ivshmem_port *port, int nr)
{
	const struct ivshmem_peer_info *info = port->infos;
	unsigned long left, soonest = MAX_JIFFY_OFFSET;
	unsigned int peer;

	for (peer = 0; peer < port->layout.ports; peer++) {
		bool present = nr > 0 && info->slot == peer;

		left = present ? 0 : patience_left(port, peer);
		port->links[peer].is_silent = left;
		if (left)
			soonest = min(soonest, left);
		else if (present && peer != port->own)
			set_id(port, peer, info->id, info->owner);
		else
			set_id(port, peer, PORT_ABSENT, 0);
		info += present;
		nr -= present;
	}
	/* Each second at least, as the patience may be another by then. */
	if (soonest != MAX_JIFFY_OFFSET)
		mod_delayed_work(system_freezable_wq, &port->patience,
				 min_t(unsigned long, soonest, HZ));
}

static void rebuild(struct ivshmem_port *port)
{
	const struct ivshmem_rings_layout *layout = &port->layout;
	unsigned int peer;

	ivshmem_port_clear(layout, port->memory, port->own);
	if (layout->broadcast_entries)
		ivshmem_caster_init(&port->caster, layout, port->memory, port->own,
				    port->words.hello,
				    port->notes + (size_t)layout->ports * layout->entries);
	for (peer = 0; peer < layout->ports; peer++) {
		struct port_link *link = &port->links[peer];

		if (peer == port->own) {
			/* It is never present, so nothing else is done with it. */
			link->sender = (struct ivshmem_sender){ .state = IVSHMEM_RING_DOWN };
			link->receiver = (struct ivshmem_receiver){ .state = IVSHMEM_RING_DOWN };
			continue;
		}
		ivshmem_sender_init(&link->sender, layout, port->memory, port->own, peer,
				    port->notes + (size_t)peer * layout->entries);
		ivshmem_receiver_init(&link->receiver, layout, port->memory, port->own, peer,
				      port->words.hello);
		if (layout->broadcast_entries)
			ivshmem_listener_init(&link->listener, layout, port->memory, port->own,
					      peer);
	}
}

static void ring_all(struct ivshmem_port *port)
{
	unsigned int peer;

	for (peer = 0; peer < port->layout.ports; peer++)
		ivshmem_port_ring(port, peer);
}

/* Be up, if the client wants it and there is a slot. Called inside the device. */
static void come_up(struct ivshmem_port *port)
{
	unsigned int i;

	if (port->running || port->held || !port->started || port->own < 0)
		return;
	do {
		get_random_bytes(&port->words.hello, sizeof(port->words.hello));
	} while (!port->words.hello);
	rebuild(port);
	ivshmem_port_greet(&port->layout, port->memory, port->own, &port->words);
	smp_store_release(&port->running, true);	/* after all that is used inside */
	ring_all(port);
	for (i = 0; i < port->nr_vectors; i++)
		kick(port, i);
}

/* Tell the others that the port is no longer up, unless it is another machine's by now. */
static void say_goodbye(struct ivshmem_port *port)
{
	static const struct ivshmem_port_words nothing;
	int idx;

	if (ivshmem_node_begin(port->node, &idx))
		return;
	if (ivshmem_port_hello(&port->layout, port->memory, port->own) == port->words.hello) {
		ivshmem_port_greet(&port->layout, port->memory, port->own, &nothing);
		ring_all(port);
	}
	ivshmem_node_end(port->node, idx);
}

/* Be down: on return nobody is inside. */
static void go_down(struct ivshmem_port *port)
{
	unsigned int i;

	if (!port->running)
		return;
	WRITE_ONCE(port->running, false);
	synchronize_rcu();
	for (i = 0; i < port->nr_vectors; i++)
		ivshmem_node_mask(port->node, i);
	say_goodbye(port);
	local_bh_disable();
	for (i = 0; i < port->layout.ports; i++)
		ivshmem_port_tell(port, i, false);
	local_bh_enable();
}

/* Is the section another machine's by now, which took the slot before this one knew? */
static bool is_robbed(const struct ivshmem_port *port)
{
	return port->running && ivshmem_port_hello(&port->layout, port->memory, port->own) !=
				port->words.hello;
}

/* Follow the peer table: first where this port is, then who else is there. */
static void update(struct ivshmem_port *port)
{
	int own, nr, idx;

	if (ivshmem_node_begin(port->node, &idx))
		return;
	nr = ivshmem_node_peers(port->node, port->infos, IVSHMEM_LABEL_MAX_PEERS);
	own = own_port(port, nr);
	if (own != port->own || is_robbed(port)) {
		/* To go down is to wait, which is not done inside. */
		ivshmem_node_end(port->node, idx);
		go_down(port);
		if (own != port->own) {
			WRITE_ONCE(port->own, own);
			port->ops->own(port->data, own);
		}
		if (ivshmem_node_begin(port->node, &idx))
			return;
	}
	set_ids(port, nr);
	come_up(port);
	ivshmem_node_end(port->node, idx);
}

/* Silent peers may have been so for long enough. */
static void lose_patience(struct work_struct *work)
{
	struct ivshmem_port *port = container_of(work, struct ivshmem_port, patience.work);

	mutex_lock(&port->lock);
	update(port);
	mutex_unlock(&port->lock);
}

struct ivshmem_port *ivshmem_port_create(struct ivshmem_node *node,
					 const struct ivshmem_port_ops *ops, void *data)
{
	const char *why_not = obstacle(node);
	struct ivshmem_port *port;
	int ret;

	if (why_not) {
		dev_err(ivshmem_node_dev(node), "no rings: %s\n", why_not);
		return ERR_PTR(-EOPNOTSUPP);
	}
	port = kzalloc(sizeof(*port), GFP_KERNEL);
	if (!port)
		return ERR_PTR(-ENOMEM);
	port->node = node;
	port->memory = ivshmem_node_memory(node);
	port->ops = ops;
	port->data = data;
	port->own = -1;
	mutex_init(&port->lock);
	INIT_DELAYED_WORK(&port->patience, lose_patience);
	ratelimit_state_init(&port->log, 60 * HZ, LINES_PER_MINUTE);
	ratelimit_set_flags(&port->log, RATELIMIT_MSG_ON_RELEASE);
	ret = find_layout(port);
	if (!ret)
		ret = port_alloc(port);
	if (!ret)
		ret = request_vectors(port);
	if (ret) {
		port_free(port);
		return ERR_PTR(ret);
	}
	port->words.vectors = port->nr_vectors;
	mutex_lock(&port->lock);
	update(port);
	mutex_unlock(&port->lock);
	return port;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_create);

void ivshmem_port_destroy(struct ivshmem_port *port)
{
	cancel_delayed_work_sync(&port->patience);
	free_vectors(port, port->nr_vectors);
	port_free(port);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_destroy);

void ivshmem_port_start(struct ivshmem_port *port, u32 features)
{
	mutex_lock(&port->lock);
	port->started = true;
	port->words.features = features;
	update(port);
	mutex_unlock(&port->lock);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_start);

void ivshmem_port_stop(struct ivshmem_port *port)
{
	mutex_lock(&port->lock);
	port->started = false;
	go_down(port);
	mutex_unlock(&port->lock);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_stop);

void ivshmem_port_notify(struct ivshmem_port *port, enum ivshmem_event event)
{
	mutex_lock(&port->lock);
	switch (event) {
	case IVSHMEM_EVENT_UNREGISTER:
	case IVSHMEM_EVENT_RESET_PREPARE:
		port->held = true;
		go_down(port);
		break;
	case IVSHMEM_EVENT_RESET_DONE:
		port->held = false;
		fallthrough;
	case IVSHMEM_EVENT_PEERS:
		update(port);
		break;
	case IVSHMEM_EVENT_LABEL:
		break;
	}
	mutex_unlock(&port->lock);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_notify);

const struct ivshmem_rings_layout *ivshmem_port_layout(const struct ivshmem_port *port)
{
	return &port->layout;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_layout);

unsigned int ivshmem_port_vectors(const struct ivshmem_port *port)
{
	return port->nr_vectors;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_vectors);

int ivshmem_port_own(const struct ivshmem_port *port)
{
	return READ_ONCE(port->own);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_own);

u32 ivshmem_port_peer_features(const struct ivshmem_port *port, unsigned int to)
{
	return READ_ONCE(port->links[to].features);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_peer_features);

void ivshmem_port_count(const struct ivshmem_port *port, unsigned int peer,
			struct ivshmem_port_counters *counters)
{
	const struct port_link *link = &port->links[peer];

	*counters = (struct ivshmem_port_counters) {
		.ups = READ_ONCE(link->ups),
		.broken = atomic64_read(&link->broken),
		.missed = READ_ONCE(link->listener.missed),
		.rings = atomic64_read(&link->rings),
		.is_broken = READ_ONCE(link->receiver.state) == IVSHMEM_RING_BROKEN ||
			     READ_ONCE(link->sender.state) == IVSHMEM_RING_BROKEN,
	};
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_count);

u32 ivshmem_port_max_frame(const struct ivshmem_port *port, unsigned int to)
{
	const struct ivshmem_rings_layout *layout = &port->layout;

	return min_t(u32, IVSHMEM_FRAME_MAX,
		     to == layout->ports ? layout->broadcast_bytes : layout->bytes);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_max_frame);

MODULE_DESCRIPTION("Rings of frames between the peers of an ivshmem partition");
MODULE_AUTHOR("The ivshmem authors");
MODULE_LICENSE("GPL");
MODULE_IMPORT_IVSHMEM();
#ifdef IVSHMEM_VERSION
MODULE_VERSION(IVSHMEM_VERSION);
#endif
