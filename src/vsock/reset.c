// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ends the connections with a peer that is gone
 *
 * Its sockets are found in the tables of the kernel's vsock: those with a connection in one, those
 * that still connect in the other. They are changed under their own locks, which cannot be taken
 * while a table is looked through: so some are taken out at a time, until there are no more.
 */
#include "vsock.h"

/* Sockets that are taken out at a time. */
#define SOME	16

struct found {
	struct sock *socks[SOME];
	unsigned int nr;
};

/* Is the socket one of ours, with this peer? */
static bool is_with(const struct vsock_sock *vsk, u32 cid)
{
	return vsk->transport == &ivshmem_vsock_transport.transport &&
	       vsk->remote_addr.svm_cid == cid;
}

/*
 * Is there something to reset? Those that are being closed, and wait for the answer of the peer,
 * end by themselves in some seconds.
 */
static bool is_orphan(const struct vsock_sock *vsk, u32 cid)
{
	return is_with(vsk, cid) &&
	       (vsk->sk.sk_state == TCP_SYN_SENT || vsk->sk.sk_state == TCP_ESTABLISHED) &&
	       !sock_flag(&vsk->sk, SOCK_DONE) && !vsk->close_work_scheduled;
}

static void add(struct found *found, struct vsock_sock *vsk, u32 cid)
{
	/* Without its lock this is a guess; see reset(). */
	if (found->nr == SOME || !data_race(is_orphan(vsk, cid)))
		return;
	sock_hold(sk_vsock(vsk));
	found->socks[found->nr++] = sk_vsock(vsk);
}

static void find(struct found *found, u32 cid)
{
	struct vsock_sock *vsk;
	unsigned int i;

	found->nr = 0;
	spin_lock_bh(&vsock_table_lock);
	for (i = 0; i < VSOCK_HASH_SIZE; i++)
		list_for_each_entry(vsk, &vsock_connected_table[i], connected_table)
			add(found, vsk, cid);
	for (i = 0; i < VSOCK_HASH_SIZE; i++)
		list_for_each_entry(vsk, &vsock_bind_table[i], bound_table)
			add(found, vsk, cid);
	spin_unlock_bh(&vsock_table_lock);
}

/*
 * What has come can be read; then there is ECONNRESET. The connection is no longer in the table,
 * so that the next one by the same ports is not taken for it.
 */
static void reset(struct sock *sk, u32 cid)
{
	struct vsock_sock *vsk = vsock_sk(sk);

	lock_sock(sk);
	if (is_orphan(vsk, cid)) {
		if (sk->sk_state == TCP_SYN_SENT) {
			sk->sk_state = TCP_CLOSE;
		} else {
			sock_set_flag(sk, SOCK_DONE);
			WRITE_ONCE(vsk->peer_shutdown, SHUTDOWN_MASK);
			vsock_remove_connected(vsk);
		}
		sk->sk_err = ECONNRESET;
		sk->sk_error_report(sk);
	}
	release_sock(sk);
	sock_put(sk);
}

/**
 * ivshmem_vsock_reset() - end all connections with a peer
 * @cid: of the peer; to which nothing is sent until this returns
 */
void ivshmem_vsock_reset(u32 cid)
{
	struct found found;
	unsigned int i;

	do {
		find(&found, cid);
		for (i = 0; i < found.nr; i++)
			reset(found.socks[i], cid);
		cond_resched();
	} while (found.nr == SOME);
}

/**
 * ivshmem_vsock_wake() - have those go on that wait to send to a peer
 * @cid: of the peer
 */
void ivshmem_vsock_wake(u32 cid)
{
	struct vsock_sock *vsk;
	unsigned int i;

	spin_lock_bh(&vsock_table_lock);
	for (i = 0; i < VSOCK_HASH_SIZE; i++)
		list_for_each_entry(vsk, &vsock_connected_table[i], connected_table)
			/* A program woken in vain waits again. */
			if (data_race(is_with(vsk, cid)))
				vsk->sk.sk_write_space(sk_vsock(vsk));
	spin_unlock_bh(&vsock_table_lock);
}
