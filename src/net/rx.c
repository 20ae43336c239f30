// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames out of the rings
 *
 * A frame is copied once, and checked after that: its sender can change what lies in shared memory
 * at any time. Pages of it are never given to the stack, since a peer could then change a packet
 * that the firewall has let pass.
 *
 * A softirq goes before every program. If it took whatever comes, a fast sender would leave no time
 * to the program that the frames are for, and most of them would be dropped at its socket. So it
 * takes a budget of frames, and a work item goes on, in turn with programs. Meanwhile the ring
 * fills, and the sender waits.
 *
 * A header of virtio_net that makes no sense costs its frame alone, and not the ring as a wrong
 * index does: a newer kernel may send kinds of segments that this one does not know.
 */
#include <linux/etherdevice.h>
#include <linux/virtio_net.h>
#include "net.h"

/* Frames up to this are linear; of larger ones the headers are, and the rest lies in pages. */
#define LINEAR_MAX	1664
#define HEADERS		128
/* The tail of a page that is not worth a fragment: 16 pages and one tail hold any frame. */
#define TAIL		256

static_assert(16 * PAGE_SIZE + TAIL + HEADERS >= IVSHMEM_FRAME_MAX);
static_assert(MAX_SKB_FRAGS >= 17);

/* Copy the rest of a frame to pages. */
static bool append_pages(struct sk_buff *skb, struct page_frag *frag, const u8 *data,
			 unsigned int left)
{
	unsigned int n;

	for (; left; data += n, left -= n) {
		if (!skb_page_frag_refill(TAIL, frag, GFP_ATOMIC | __GFP_NOWARN))
			return false;
		n = min(left, frag->size - frag->offset);
		memcpy(page_address(frag->page) + frag->offset, data, n);
		get_page(frag->page);
		skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, frag->page, frag->offset, n, n);
		frag->offset += n;
	}
	return true;
}

static struct sk_buff *copy_frame(struct ivshmem_net_vector *v, const struct ivshmem_frame *frame)
{
	unsigned int linear = frame->length <= LINEAR_MAX ? frame->length : HEADERS;
	struct sk_buff *skb = napi_alloc_skb(&v->napi, linear);

	if (!skb)
		return NULL;
	skb_put_data(skb, frame->data, linear);
	if (append_pages(skb, &v->frag, frame->data + linear, frame->length - linear))
		return skb;
	kfree_skb(skb);
	return NULL;
}

/* Give a copied frame to the stack. Return: false if it is none. */
static bool deliver(struct ivshmem_net_vector *v, unsigned int from, const u8 *header,
		    struct sk_buff *skb)
{
	struct net_device *dev = v->net->dev;
	struct virtio_net_hdr hdr;

	memcpy(&hdr, header, sizeof(hdr));
	if (skb->len < ETH_HLEN || virtio_net_hdr_to_skb(skb, &hdr, true))
		return false;
	if (hdr.flags & VIRTIO_NET_HDR_F_DATA_VALID && dev->features & NETIF_F_RXCSUM)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	skb_record_rx_queue(skb, v->number);
	skb->protocol = eth_type_trans(skb, dev);
	if (skb->pkt_type == PACKET_MULTICAST)
		u64_stats_inc(&v->net->rx[from].multicast);
	ivshmem_learn_source(&v->net->learn, eth_hdr(skb)->h_source, from);
	napi_gro_receive(&v->napi, skb);
	return true;
}

static void receive(struct ivshmem_net_vector *v, const struct ivshmem_arrival *arrival)
{
	struct ivshmem_net_rx *counters = &v->net->rx[arrival->from];
	unsigned int length = arrival->frame.length;
	struct sk_buff *skb = copy_frame(v, &arrival->frame);

	if (!ivshmem_port_received(v->net->port, arrival)) {
		kfree_skb(skb);
		return;
	}
	if (!skb) {
		u64_stats_inc(&counters->dropped);
	} else if (!deliver(v, arrival->from, arrival->frame.header, skb)) {
		u64_stats_inc(&counters->errors);
		kfree_skb(skb);
	} else {
		u64_stats_inc(&counters->frames);
		u64_stats_add(&counters->bytes, length);
	}
}

/**
 * ivshmem_net_go_on() - poll a vector once more, in turn with other tasks
 * @work: of the vector
 */
void ivshmem_net_go_on(struct work_struct *work)
{
	struct ivshmem_net_vector *v = container_of(work, struct ivshmem_net_vector, go_on);

	local_bh_disable();
	napi_schedule(&v->napi);
	local_bh_enable();	/* polls */
}

static void tx_poll(struct ivshmem_net_vector *v, int budget)
{
	struct ivshmem_net *net = v->net;
	unsigned int to;

	for (to = v->number; to < net->ports; to += net->nr_vectors)
		ivshmem_net_tx_poll(net, to, budget);
}

/**
 * ivshmem_net_poll() - receive from the ports of a vector
 * @napi: of the vector
 * @budget: how many frames; 0 to look after the transmit queues only, with interrupts disabled,
 *	so that no link may come or go
 *
 * Return: how many there were. Never all of @budget, because NAPI would poll again at once
 */
int ivshmem_net_poll(struct napi_struct *napi, int budget)
{
	struct ivshmem_net_vector *v = container_of(napi, struct ivshmem_net_vector, napi);
	struct ivshmem_net *net = v->net;
	struct ivshmem_arrival arrival;
	int done = 0;

	if (!budget) {
		tx_poll(v, 0);
		return 0;
	}
	if (ivshmem_port_poll_begin(net->port, v->number)) {
		napi_complete_done(napi, 0);
		return 0;
	}
	for (; done < budget && ivshmem_port_receive(net->port, v->number, &arrival); done++)
		receive(v, &arrival);
	tx_poll(v, budget);
	ivshmem_port_poll_end(net->port, v->number);
	/* First, as net_stop() cancels it once NAPI is complete for good. */
	if (done == budget)
		schedule_work(&v->go_on);
	if (napi_complete_done(napi, done) && done < budget)
		ivshmem_port_listen(net->port, v->number);
	return min(done, budget - 1);
}
