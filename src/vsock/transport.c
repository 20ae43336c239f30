// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel's vsock calls
 *
 * Sockets keep these operations, and with them the module, for as long as they live, also when no
 * partition is left: then there is no peer by any CID.
 */
#include <linux/module.h>
#include "vsock.h"

static u32 get_local_cid(void)
{
	return VMADDR_CID_HOST;
}

static bool is_peer(u32 cid)
{
	bool found;

	rcu_read_lock();
	found = ivshmem_vsock_find(cid);
	rcu_read_unlock();
	return found;
}

static bool __maybe_unused has_remote_cid(struct vsock_sock *vsk, u32 cid)
{
	return is_peer(cid);
}

static bool stream_allow(VSOCK_ALLOW_SOCKET u32 cid, u32 port)
{
	return VSOCK_ALLOWED;
}

static bool dgram_allow(VSOCK_ALLOW_SOCKET u32 cid, u32 port)
{
	return false;
}

static bool __maybe_unused seqpacket_allow(VSOCK_ALLOW_SOCKET u32 cid)
{
	return VSOCK_ALLOWED;
}

/*
 * The kernel asks this before it sends data, and lets the program wait at 0: the credit that a
 * peer gives does not bound what waits here, as it can give some without reading anything.
 */
static s64 stream_has_space(struct vsock_sock *vsk)
{
	u32 cid = vsk->remote_addr.svm_cid;
	struct ivshmem_vsock *vsock;
	bool full;

	rcu_read_lock();
	vsock = ivshmem_vsock_find(cid);
	full = vsock && ivshmem_vsock_is_full(vsock, cid - vsock->cid);
	rcu_read_unlock();
	return full ? 0 : virtio_transport_stream_has_space(vsk);
}

static int cancel_pkt(struct vsock_sock *vsk)
{
	u32 cid = vsk->remote_addr.svm_cid;
	struct ivshmem_vsock *vsock;

	rcu_read_lock();
	vsock = ivshmem_vsock_find(cid);
	if (vsock)
		ivshmem_vsock_cancel(vsock, cid - vsock->cid, vsk);
	rcu_read_unlock();
	return vsock ? 0 : -ENODEV;
}

/*
 * Is it of a connection that ended with its link? Who reads what has come gives credit, and closing
 * says so. But the peer has forgotten the connection, and may have another one by these ports.
 * An answer is to a packet that has just come, so it is not late.
 */
static bool is_late(struct vsock_packet *packet)
{
	const struct vsock_sock *sender = vsock_packet_sender(packet);

	return sender && !vsock_packet_is_reply(packet) && vsock_is_over(sender);
}

/* Send a packet, or free it. */
static int send_pkt(VSOCK_SEND_ARGS)
{
	u32 cid = le64_to_cpu(vsock_packet_header(packet)->dst_cid);
	u32 length = vsock_packet_length(packet);
	struct ivshmem_vsock *vsock;
	int ret = -ENODEV;

	rcu_read_lock();
	vsock = ivshmem_vsock_find(cid);
	if (vsock && !is_late(packet))
		ret = ivshmem_vsock_send(vsock, cid - vsock->cid, packet);
	rcu_read_unlock();
	if (!ret)
		return length;
	vsock_packet_free(packet);
	return ret;
}

struct virtio_transport ivshmem_vsock_transport = {
	.transport = {
		.module = THIS_MODULE,
		.get_local_cid = get_local_cid,
		VSOCK_REMOTE_OPS

		.init = virtio_transport_do_socket_init,
		.destruct = virtio_transport_destruct,
		.release = virtio_transport_release,
		.connect = virtio_transport_connect,
		.shutdown = virtio_transport_shutdown,
		.cancel_pkt = cancel_pkt,

		.dgram_bind = virtio_transport_dgram_bind,
		.dgram_dequeue = virtio_transport_dgram_dequeue,
		.dgram_enqueue = virtio_transport_dgram_enqueue,
		.dgram_allow = dgram_allow,

		.stream_dequeue = virtio_transport_stream_dequeue,
		.stream_enqueue = virtio_transport_stream_enqueue,
		.stream_has_data = virtio_transport_stream_has_data,
		.stream_has_space = stream_has_space,
		.stream_rcvhiwat = virtio_transport_stream_rcvhiwat,
		.stream_is_active = virtio_transport_stream_is_active,
		.stream_allow = stream_allow,
		VSOCK_SEQPACKET_OPS

		.notify_poll_in = virtio_transport_notify_poll_in,
		.notify_poll_out = virtio_transport_notify_poll_out,
		.notify_recv_init = virtio_transport_notify_recv_init,
		.notify_recv_pre_block = virtio_transport_notify_recv_pre_block,
		.notify_recv_pre_dequeue = virtio_transport_notify_recv_pre_dequeue,
		.notify_recv_post_dequeue = virtio_transport_notify_recv_post_dequeue,
		.notify_send_init = virtio_transport_notify_send_init,
		.notify_send_pre_block = virtio_transport_notify_send_pre_block,
		.notify_send_pre_enqueue = virtio_transport_notify_send_pre_enqueue,
		.notify_send_post_enqueue = virtio_transport_notify_send_post_enqueue,
		.notify_buffer_size = virtio_transport_notify_buffer_size,
		VSOCK_RCVLOWAT_OPS
		VSOCK_SENT_OPS
		VSOCK_READ_OPS
	},
	.send_pkt = send_pkt,
};
