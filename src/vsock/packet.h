/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets of vsock, as the kernel's virtio_transport_common has them
 *
 * What differs between kernels about vsock is here and not in compat.h, since no other module is
 * to read these headers: until 6.3 (and what was backported) a packet is a structure of its own,
 * since then an sk_buff. Both have a member "list".
 */
#ifndef IVSHMEM_VSOCK_PACKET_H
#define IVSHMEM_VSOCK_PACKET_H

#include <linux/list.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/virtio_vsock.h>
#include <net/af_vsock.h>

/* 6.3: packets are sk_buffs. */
#ifdef HAVE_VSOCK_PKT
#define vsock_packet	virtio_vsock_pkt

static inline struct virtio_vsock_hdr *vsock_packet_header(struct vsock_packet *packet)
{
	return &packet->hdr;
}

static inline u32 vsock_packet_length(const struct vsock_packet *packet)
{
	return packet->len;
}

static inline struct vsock_sock *vsock_packet_sender(const struct vsock_packet *packet)
{
	return packet->vsk;
}

static inline void vsock_packet_free(struct vsock_packet *packet)
{
	virtio_transport_free_pkt(packet);
}

static inline struct vsock_packet *vsock_packet_alloc(u32 length, gfp_t gfp)
{
	struct vsock_packet *packet = kzalloc(sizeof(*packet), gfp);

	if (!packet || !length)
		return packet;
	packet->buf = kmalloc(length, gfp);
	packet->buf_len = length;
	packet->len = length;
	if (packet->buf)
		return packet;
	kfree(packet);
	return NULL;
}

static inline void vsock_packet_write(struct vsock_packet *packet, const void *from)
{
	memcpy(packet->buf, from, packet->len);
}

static inline void vsock_packet_read(const struct vsock_packet *packet, u32 offset, void *to,
				     u32 length)
{
	memcpy(to, packet->buf + offset, length);
}

static inline void vsock_packet_unlink(struct vsock_packet *packet)
{
	list_del(&packet->list);
}
#else
#define vsock_packet	sk_buff

static inline struct virtio_vsock_hdr *vsock_packet_header(struct vsock_packet *packet)
{
	return virtio_vsock_hdr(packet);
}

static inline u32 vsock_packet_length(const struct vsock_packet *packet)
{
	return packet->len;
}

static inline struct vsock_sock *vsock_packet_sender(const struct vsock_packet *packet)
{
	return packet->sk ? vsock_sk(packet->sk) : NULL;
}

static inline void vsock_packet_free(struct vsock_packet *packet)
{
	kfree_skb(packet);
}

/* 6.6: large ones lie in pages, and their length is set as it is. */
static inline struct vsock_packet *vsock_packet_alloc(u32 length, gfp_t gfp)
{
	struct sk_buff *skb = virtio_vsock_alloc_skb(VIRTIO_VSOCK_SKB_HEADROOM + length, gfp);

	if (!skb)
		return NULL;
	if (skb_is_nonlinear(skb))
		skb->len = length;
	else
		skb_put(skb, length);
	return skb;
}

static inline void vsock_packet_write(struct vsock_packet *packet, const void *from)
{
	skb_store_bits(packet, 0, from, packet->len);
}

static inline void vsock_packet_read(const struct vsock_packet *packet, u32 offset, void *to,
				     u32 length)
{
	skb_copy_bits(packet, offset, to, length);
}

static inline void vsock_packet_unlink(struct vsock_packet *packet)
{
	__list_del_entry(&packet->list);
	skb_mark_not_on_list(packet);
}
#endif

/* 6.12: the kernel wants to know what was sent, for SIOCOUTQ; an extra reference would leak. */
static inline void vsock_packet_sent(struct vsock_packet *packet)
{
	virtio_transport_deliver_tap_pkt(packet);
#ifdef HAVE_VSOCK_SENT
	virtio_transport_consume_skb_sent(packet, true);
#else
	vsock_packet_free(packet);
#endif
}

/* 7.0: vsock knows network namespaces. Peers are in none, so that all but closed ones see them. */
#ifdef HAVE_VSOCK_NET
#define VSOCK_SEND_NET		, struct net *net
#define VSOCK_ALLOW_SOCKET	struct vsock_sock *vsk,

static inline bool vsock_packet_allowed(struct vsock_sock *vsk)
{
	return vsock_net_mode_global(vsk);
}
#define VSOCK_ALLOWED		vsock_packet_allowed(vsk)
#else
#define VSOCK_SEND_NET
#define VSOCK_ALLOW_SOCKET
#define VSOCK_ALLOWED		true
#endif

static inline void vsock_packet_receive(struct virtio_transport *transport,
					struct vsock_packet *packet)
{
	virtio_transport_deliver_tap_pkt(packet);
#ifdef HAVE_VSOCK_NET
	virtio_transport_recv_pkt(transport, packet, NULL);
#else
	virtio_transport_recv_pkt(transport, packet);
#endif
}

/* Operations that a kernel has or not. */
#ifdef HAVE_VSOCK_SEQPACKET	/* 5.14 */
#define VSOCK_SEQPACKET_OPS(allow) \
	.seqpacket_dequeue = virtio_transport_seqpacket_dequeue, \
	.seqpacket_enqueue = virtio_transport_seqpacket_enqueue, \
	.seqpacket_has_data = virtio_transport_seqpacket_has_data, \
	.seqpacket_allow = allow,
#else
#define VSOCK_SEQPACKET_OPS(allow)
#endif
#ifdef HAVE_VSOCK_READ_SKB	/* 6.4 */
#define VSOCK_READ_OPS		.read_skb = virtio_transport_read_skb,
#else
#define VSOCK_READ_OPS
#endif
#ifdef HAVE_VSOCK_RCVLOWAT	/* 6.8 */
#define VSOCK_RCVLOWAT_OPS	.notify_set_rcvlowat = virtio_transport_notify_set_rcvlowat,
#else
#define VSOCK_RCVLOWAT_OPS
#endif
#ifdef HAVE_VSOCK_SENT		/* 6.12 */
#define VSOCK_SENT_OPS		.unsent_bytes = virtio_transport_unsent_bytes,
#else
#define VSOCK_SENT_OPS
#endif
#ifdef HAVE_VSOCK_REMOTE_CID	/* 7.0 */
#define VSOCK_REMOTE_OPS(has)	.has_remote_cid = has,
#else
#define VSOCK_REMOTE_OPS(has)
#endif

static inline struct vsock_packet *vsock_packet_first(struct list_head *packets)
{
	return list_first_entry_or_null(packets, struct vsock_packet, list);
}

/* Take the first packet from a list that has some. */
static inline struct vsock_packet *vsock_packet_take(struct list_head *packets)
{
	struct vsock_packet *packet = vsock_packet_first(packets);

	vsock_packet_unlink(packet);
	return packet;
}

static inline void vsock_packets_free(struct list_head *packets)
{
	while (!list_empty(packets))
		vsock_packet_free(vsock_packet_take(packets));
}

#endif /* IVSHMEM_VSOCK_PACKET_H */
