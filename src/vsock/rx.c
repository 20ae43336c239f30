// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets out of the rings
 *
 * A frame is copied once, and checked after that: its sender can change what lies in shared memory
 * at any time. Who it says that it comes from, and whom it is for, is not looked at: each machine
 * numbers its peers by itself, and the ring tells the sender.
 *
 * A frame that no machine with Linux would send breaks its ring: a stream of which a part is
 * missing is worse than none. What the kernel answers by itself is no such frame, like a kind of
 * socket that this one does not have.
 */
#include <linux/delay.h>
#include "vsock.h"

/* Frames that are received before they are delivered, and how often before others' turn. */
#define FRAMES	64
#define ROUNDS	16

/*
 * The most credit that a peer can give: what a program sends in one call lies in kernel memory
 * until it is in the ring, and a peer need not read.
 */
#define CREDIT	(4 << 20)

struct workqueue_struct *ivshmem_vsock_workqueue;

/**
 * ivshmem_vsock_schedule() - poll a vector
 * @data: the partition
 * @vector: that was rung
 */
void ivshmem_vsock_schedule(void *data, unsigned int vector)
{
	struct ivshmem_vsock *vsock = data;

	kref_get(&vsock->ref);
	if (!queue_work(ivshmem_vsock_workqueue, &vsock->vectors[vector].work))
		ivshmem_vsock_put(vsock);
}

static bool is_sound(const struct virtio_vsock_hdr *hdr, u32 length)
{
	u16 op = le16_to_cpu(hdr->op);

	if (le32_to_cpu(hdr->len) != length || !op || op > VIRTIO_VSOCK_OP_CREDIT_REQUEST)
		return false;
	/* Linux sends no empty data: a queue of that would have no bound. */
	return (op == VIRTIO_VSOCK_OP_RW) == (length > 0);
}

/* Have the kernel see who the packet is from and for, by this machine's numbers. */
static void address(struct virtio_vsock_hdr *hdr, u32 cid)
{
	u32 credit = min_t(u32, le32_to_cpu(hdr->buf_alloc), CREDIT);

	hdr->src_cid = cpu_to_le64(cid);
	hdr->dst_cid = cpu_to_le64(VMADDR_CID_HOST);
	hdr->buf_alloc = cpu_to_le32(credit);
}

static struct vsock_packet *get_packet(struct vsock_vector *v, u32 length)
{
	struct vsock_packet *packet = vsock_packet_alloc(length, GFP_ATOMIC | __GFP_NOWARN);

	if (packet)
		return packet;
	if (v->spare && vsock_packet_length(v->spare) == length) {
		swap(packet, v->spare);
		return packet;
	}
	v->wanted = length;
	v->starved = true;
	return NULL;
}

/* Receive a frame. Return: false if there is no memory, and it comes again. */
static bool receive(struct vsock_vector *v, struct ivshmem_port *port,
		    const struct ivshmem_arrival *arrival, struct list_head *packets)
{
	const u32 header = sizeof(struct virtio_vsock_hdr);
	struct vsock_peer *peer = &v->vsock->peers[arrival->from];
	u32 length = arrival->frame.length - header;
	struct vsock_packet *packet;

	if (arrival->broadcast) {
		ivshmem_port_received(port, arrival);
		peer->rx.dropped++;
		return true;
	}
	if (arrival->frame.length < header || length > VIRTIO_VSOCK_MAX_PKT_BUF_SIZE) {
		ivshmem_port_break(port, arrival->from);
		return true;
	}
	packet = get_packet(v, length);
	if (!packet)
		return false;
	memcpy(vsock_packet_header(packet), arrival->frame.data, header);
	if (length)
		vsock_packet_write(packet, arrival->frame.data + header);
	if (!is_sound(vsock_packet_header(packet), length)) {
		vsock_packet_free(packet);
		ivshmem_port_break(port, arrival->from);
		return true;
	}
	ivshmem_port_received(port, arrival);
	address(vsock_packet_header(packet), v->vsock->cid + arrival->from);
	peer->rx.packets++;
	peer->rx.bytes += length;
	list_add_tail(&packet->list, packets);
	return true;
}

/*
 * Note which connections are to be reset before what comes next is delivered. While the port is
 * polled it does not go down, so a loss that follows is later than what is received now.
 */
static void note_losses(struct vsock_vector *v)
{
	struct ivshmem_vsock *vsock = v->vsock;
	unsigned int i;

	for (i = v->number; i < vsock->ports; i += vsock->nr_vectors)
		vsock->peers[i].resetting = READ_ONCE(vsock->peers[i].losses);
}

/* Receive frames. Return: how many. BH. */
static unsigned int poll(struct vsock_vector *v, struct ivshmem_port *port,
			 struct list_head *packets)
{
	struct ivshmem_vsock *vsock = v->vsock;
	struct ivshmem_arrival arrival;
	unsigned int n = 0, i;

	v->starved = false;
	if (!port || ivshmem_port_poll_begin(port, v->number)) {
		note_losses(v);
		return 0;
	}
	note_losses(v);
	for (; n < FRAMES && ivshmem_port_receive(port, v->number, &arrival); n++)
		if (!receive(v, port, &arrival, packets))
			break;
	for (i = v->number; i < vsock->ports; i += vsock->nr_vectors)
		if (!list_empty(&vsock->peers[i].queue))
			ivshmem_vsock_flush(vsock, port, i);
	ivshmem_port_poll_end(port, v->number);
	return n;
}

/* Has nobody else got a CID meanwhile? Who has it, resets what was connected before. */
static bool is_ours(const struct ivshmem_vsock *vsock, u32 cid)
{
	const struct ivshmem_vsock *owner;

	rcu_read_lock();
	owner = ivshmem_vsock_find(cid);
	rcu_read_unlock();
	return !owner || owner == vsock;
}

/* Do what a peer has left to do: end its connections, and wake who waits to send to it. */
static void tidy(struct ivshmem_vsock *vsock, unsigned int from)
{
	struct vsock_peer *peer = &vsock->peers[from];
	bool wake;
	LIST_HEAD(packets);

	if (peer->resetting == peer->handled && !READ_ONCE(peer->waiting))
		return;
	if (peer->resetting != peer->handled && is_ours(vsock, vsock->cid + from))
		ivshmem_vsock_reset(vsock->cid + from);
	spin_lock_bh(&peer->lock);
	peer->handled = peer->resetting;
	list_splice_init(&peer->lost, &packets);
	wake = vsock_peer_wakes(peer);
	if (wake)
		WRITE_ONCE(peer->waiting, false);
	spin_unlock_bh(&peer->lock);
	vsock_packets_done(&packets);
	if (wake)
		ivshmem_vsock_wake(vsock->cid + from);
}

/* Get memory for a frame that comes again. */
static void get_spare(struct vsock_vector *v)
{
	if (v->spare)
		vsock_packet_free(v->spare);
	v->spare = vsock_packet_alloc(v->wanted, GFP_KERNEL);
	if (!v->spare)
		msleep(20);	/* others need it more */
}

static void deliver(struct list_head *packets)
{
	struct vsock_packet *packet;

	while (!list_empty(packets)) {
		packet = vsock_packet_take(packets);
		if (vsock_packet_strays(packet))
			vsock_packet_free(packet);
		else
			vsock_packet_receive(&ivshmem_vsock_transport, packet);
		cond_resched();
	}
}

/* Receive and deliver frames. Return: is there more? */
static bool round_of(struct vsock_vector *v)
{
	struct ivshmem_vsock *vsock = v->vsock;
	LIST_HEAD(packets);
	unsigned int n, i;

	rcu_read_lock();
	local_bh_disable();
	n = poll(v, rcu_dereference(vsock->port), &packets);
	local_bh_enable();
	rcu_read_unlock();
	for (i = v->number; i < vsock->ports; i += vsock->nr_vectors)
		tidy(vsock, i);
	deliver(&packets);
	if (v->starved)
		get_spare(v);
	return n || v->starved;
}

static void listen(struct vsock_vector *v)
{
	struct ivshmem_port *port;

	rcu_read_lock();
	local_bh_disable();
	port = rcu_dereference(v->vsock->port);
	if (port)
		ivshmem_port_listen(port, v->number);
	local_bh_enable();
	rcu_read_unlock();
}

/**
 * ivshmem_vsock_work() - receive from the ports of a vector
 * @work: of the vector
 */
void ivshmem_vsock_work(struct work_struct *work)
{
	struct vsock_vector *v = container_of(work, struct vsock_vector, work);
	unsigned int i;

	for (i = 0; i < ROUNDS && round_of(v); i++)
		;
	if (i == ROUNDS)
		ivshmem_vsock_schedule(v->vsock, v->number);
	else
		listen(v);
	ivshmem_vsock_put(v->vsock);
}
