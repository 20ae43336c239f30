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

/* Flags of a packet that ends a message, for kernels before 5.16 as well. */
#define VSOCK_ENDS	0x3

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

static inline bool vsock_packet_is_reply(struct vsock_packet *packet)
{
	return packet->reply;
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

static inline bool vsock_packet_is_reply(struct vsock_packet *packet)
{
	return virtio_vsock_skb_reply(packet);
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

/*
 * Be done with a packet that was queued. 6.12: the kernel wants to know, for SIOCOUTQ and for
 * close() that lingers; an extra reference would leak.
 */
static inline void vsock_packet_done(struct vsock_packet *packet)
{
#ifdef HAVE_VSOCK_SENT
	virtio_transport_consume_skb_sent(packet, true);
#else
	vsock_packet_free(packet);
#endif
}

/* 7.0: vsock knows network namespaces. Peers are in none, so that all but closed ones see them. */
#ifdef HAVE_VSOCK_NET
#define VSOCK_SEND_ARGS		struct vsock_packet *packet, struct net *net
#define VSOCK_ALLOW_SOCKET	struct vsock_sock *vsk,
#define VSOCK_ALLOWED		vsock_net_mode_global(vsk)
#else
#define VSOCK_SEND_ARGS		struct vsock_packet *packet
#define VSOCK_ALLOW_SOCKET
#define VSOCK_ALLOWED		true
#endif

/*
 * 7.2, and stable 6.1 and 6.12: the kernel compares the sender with whom a socket is connected to.
 * Before, any peer could send to any socket with a connection, if it knew the port.
 */
static inline bool vsock_packet_strays(struct vsock_packet *packet)
{
#ifdef HAVE_VSOCK_CHECK_SOURCE
	return false;
#else
	const struct virtio_vsock_hdr *hdr = vsock_packet_header(packet);
	struct sockaddr_vm src, dst;
	struct sock *sk;
	bool strays;

	vsock_addr_init(&src, le64_to_cpu(hdr->src_cid), le32_to_cpu(hdr->src_port));
	vsock_addr_init(&dst, le64_to_cpu(hdr->dst_cid), le32_to_cpu(hdr->dst_port));
	sk = vsock_find_connected_socket(&src, &dst) ?: vsock_find_bound_socket(&dst);
	if (!sk)
		return false;
	/* One that is bound and no more answers as one that is not there. */
	strays = sk->sk_state != TCP_LISTEN && sk->sk_state != TCP_CLOSE &&
		 !vsock_addr_equals_addr(&src, &vsock_sk(sk)->remote_addr);
	sock_put(sk);
	return strays;
#endif
}

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

/* Operations that a kernel has or not: 5.14, 6.4, 6.8, 6.12, 7.0. */
#ifdef HAVE_VSOCK_SEQPACKET
#define VSOCK_SEQPACKET_OPS \
	.seqpacket_dequeue = virtio_transport_seqpacket_dequeue, \
	.seqpacket_enqueue = virtio_transport_seqpacket_enqueue, \
	.seqpacket_has_data = virtio_transport_seqpacket_has_data, \
	.seqpacket_allow = seqpacket_allow,
#else
#define VSOCK_SEQPACKET_OPS
#endif
#ifdef HAVE_VSOCK_READ_SKB
#define VSOCK_READ_OPS		.read_skb = virtio_transport_read_skb,
#else
#define VSOCK_READ_OPS
#endif
#ifdef HAVE_VSOCK_RCVLOWAT
#define VSOCK_RCVLOWAT_OPS	.notify_set_rcvlowat = virtio_transport_notify_set_rcvlowat,
#else
#define VSOCK_RCVLOWAT_OPS
#endif
#ifdef HAVE_VSOCK_SENT
#define VSOCK_SENT_OPS		.unsent_bytes = virtio_transport_unsent_bytes,
#else
#define VSOCK_SENT_OPS
#endif
#ifdef HAVE_VSOCK_REMOTE_CID
#define VSOCK_REMOTE_OPS	.has_remote_cid = has_remote_cid,
#else
#define VSOCK_REMOTE_OPS
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

/* Be done with packets that were queued. */
static inline void vsock_packets_done(struct list_head *packets)
{
	while (!list_empty(packets))
		vsock_packet_done(vsock_packet_take(packets));
}

#endif /* IVSHMEM_VSOCK_PACKET_H */
