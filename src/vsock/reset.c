// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ends the connections with a peer that is gone
 *
 * Its sockets are found in the tables of the kernel's vsock: those with a connection in one, those
 * that still connect in the other. They are changed under their own locks, which cannot be taken
 * while a table is looked through: so all are taken out first. That is done once, as sockets that
 * appear later are of the next session; who makes them all the time keeps nobody here.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include "vsock.h"

/* Room for sockets that appear after they were counted. */
#define MORE	16

/**
 * struct found - sockets that were found
 * @socks: the first @room of them, each with a reference
 * @room: of @socks
 * @nr: how many there are, which may be more
 */
struct found {
	struct sock **socks;
	unsigned int room;
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
	       !sock_flag(&vsk->sk, SOCK_DONE) && !vsock_is_over(vsk) && !vsk->close_work_scheduled;
}

static void add(struct found *found, struct vsock_sock *vsk, u32 cid)
{
	/* Without its lock this is a guess; see reset(). */
	if (!data_race(is_orphan(vsk, cid)))
		return;
	if (found->nr < found->room) {
		sock_hold(sk_vsock(vsk));
		found->socks[found->nr] = sk_vsock(vsk);
	}
	found->nr++;
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

static void drop(struct found *found)
{
	unsigned int i;

	for (i = 0; i < min(found->nr, found->room); i++)
		sock_put(found->socks[i]);
	kvfree(found->socks);
	found->socks = NULL;
}

/* Find all of them. */
static void find_all(struct found *found, u32 cid)
{
	find(found, cid);
	while (found->nr > found->room) {
		drop(found);
		found->room = 2 * found->nr + MORE;
		found->socks = kvmalloc_array(found->room, sizeof(*found->socks), GFP_KERNEL);
		if (!found->socks) {
			found->room = 0;
			msleep(20);	/* others need it more */
		}
		find(found, cid);
	}
}

/* Did a program call connect(), and was something sent? Called with the lock of the socket held. */
static bool is_connecting(const struct sock *sk)
{
	return sk->sk_state == TCP_SYN_SENT && sk->sk_socket &&
	       sk->sk_socket->state == SS_CONNECTING;
}

/*
 * What has come can be read; then there is ECONNRESET. The connection is no longer in the table,
 * so that the next one by the same ports is not taken for it.
 */
static void reset(struct sock *sk, u32 cid)
{
	struct vsock_sock *vsk = vsock_sk(sk);

	lock_sock(sk);
	if (is_orphan(vsk, cid) && (sk->sk_state == TCP_ESTABLISHED || is_connecting(sk))) {
		if (sk->sk_state == TCP_SYN_SENT) {
			sk->sk_state = TCP_CLOSE;
		} else {
			sock_set_flag(sk, SOCK_DONE);
			vsock_mark_over(vsk);
			vsock_remove_connected(vsk);
		}
		sk->sk_err = ECONNRESET;
		sk->sk_error_report(sk);
	}
	release_sock(sk);
	cond_resched();
}

/**
 * ivshmem_vsock_reset() - end all connections with a peer
 * @cid: of the peer; to which nothing is sent until this returns
 */
void ivshmem_vsock_reset(u32 cid)
{
	struct found found = { .room = 0 };
	unsigned int i;

	find_all(&found, cid);
	for (i = 0; i < found.nr; i++)
		reset(found.socks[i], cid);
	drop(&found);
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
