// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handlers of vectors: doorbells for drivers of nodes
 *
 * A handler is called first when its vector is signalled, in the interrupt. It can be
 * masked as NAPI wants it: the handler masks the vector and schedules the work, and the
 * work unmasks it at its end, and goes on if a doorbell came in between.
 */
#include <linux/nospec.h>
#include <linux/slab.h>
#include "core.h"

/* The peer whose vectors the driver of a node handles. */
static int get_peer(struct ivshmem_node *node)
{
	struct ivshmem_handler *handlers;
	struct ivshmem_peer *peer;
	unsigned int i;
	int ret;

	if (node->peer)
		return 0;
	ret = ivshmem_peer_join(node, &peer);
	if (ret)
		return ret;
	handlers = kvcalloc(peer->nr_vectors, sizeof(*handlers), GFP_KERNEL);
	if (!handlers) {
		ivshmem_peer_leave(peer);
		return -ENOMEM;
	}
	for (i = 0; i < peer->nr_vectors; i++)
		handlers[i].masked = 1;
	rcu_assign_pointer(peer->handlers, handlers);
	node->peer = peer;
	return 0;
}

/* The handler of a vector; only for the driver that the node is bound to. */
static struct ivshmem_handler *node_handler(struct ivshmem_node *node, unsigned int vector)
{
	struct ivshmem_handler *handlers = rcu_dereference_protected(node->peer->handlers, 1);

	return &handlers[array_index_nospec(vector, node->peer->nr_vectors)];
}

/* What is masked wants no doorbells. A full barrier. May be called in the handler. */
static void set_masked(struct ivshmem_node *node, struct ivshmem_handler *h, unsigned int masked)
{
	if (xchg(&h->masked, masked) != masked)
		ivshmem_bells_want(node->idev, masked ? -1 : 1);
}

/**
 * ivshmem_node_request_vector() - handle the doorbells of a vector
 * @node: bound to the caller, which holds its device_lock (in probe, or a callback)
 * @vector: below ivshmem_node_vectors()
 * @handle: called in any context: the interrupt handler, a task that rings on the same
 *	machine, the end of a reset. Several calls may run at once, or interrupt each
 *	other, so locks need spin_lock_irqsave(). Mask the vector before ringing oneself
 * @data: its argument
 *
 * The vector is not masked. Doorbells that came before are not reported: look at the
 * memory after this.
 *
 * Return: 0; -EINVAL if there is no such vector; -EBUSY if it has a handler; -ENOMEM
 */
int ivshmem_node_request_vector(struct ivshmem_node *node, unsigned int vector,
				void (*handle)(void *data), void *data)
{
	bool first = !node->peer;
	struct ivshmem_handler *h;
	int ret;

	device_lock_assert(&node->dev);
	if (vector >= ivshmem_node_vectors(node))
		return -EINVAL;
	ret = get_peer(node);
	if (ret)
		return ret;
	h = node_handler(node, vector);
	if (h->handle)
		return -EBUSY;
	h->data = data;
	h->seen = atomic64_read(&node->peer->vectors[vector].count);
	smp_store_release(&h->handle, handle);	/* after data */
	/* Its full barrier is for the caller, too, who looks then: as in ivshmem_node_unmask(). */
	set_masked(node, h, 0);
	if (first)
		ivshmem_irqs_get(node->idev);
	return 0;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_request_vector);

/**
 * ivshmem_node_free_vector() - stop to handle the doorbells of a vector
 * @node: bound to the caller, which holds its device_lock
 * @vector: with a handler
 *
 * The handler does not run on return.
 */
void ivshmem_node_free_vector(struct ivshmem_node *node, unsigned int vector)
{
	struct ivshmem_handler *h = node_handler(node, vector);

	device_lock_assert(&node->dev);
	WRITE_ONCE(h->handle, NULL);
	synchronize_rcu(); /* nobody unmasks it after this */
	set_masked(node, h, 1);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_free_vector);

/**
 * ivshmem_node_mask() - stop to call the handler of a vector
 * @node: bound to the caller
 * @vector: with a handler
 *
 * May be called by the handler. On another processor it may be running still.
 */
void ivshmem_node_mask(struct ivshmem_node *node, unsigned int vector)
{
	struct ivshmem_handler *h = node_handler(node, vector);

	/* Acquire: what the caller looks at next is not older than the count. */
	WRITE_ONCE(h->seen, atomic64_read_acquire(&node->peer->vectors[vector].count));
	set_masked(node, h, 1);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_mask);

/**
 * ivshmem_node_unmask() - call the handler of a vector again
 * @node: bound to the caller
 * @vector: masked. Nothing happens if it has no handler: work may be late
 *
 * Return: true if a doorbell came since the vector was masked. The handler was not called
 * for it: the caller goes on with its work as if it had been
 */
bool ivshmem_node_unmask(struct ivshmem_node *node, unsigned int vector)
{
	struct ivshmem_handler *h = node_handler(node, vector);
	bool handled;

	rcu_read_lock(); /* pairs with ivshmem_node_free_vector() */
	handled = READ_ONCE(h->handle);
	if (handled)
		set_masked(node, h, 0);
	rcu_read_unlock();
	smp_mb(); /* unmask first, look then: pairs with ivshmem_vector_signal() */
	return handled && atomic64_read_acquire(&node->peer->vectors[vector].count) !=
			  READ_ONCE(h->seen);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_unmask);

/**
 * ivshmem_handlers_free() - free all handlers of a node
 * @node: being unbound from its driver; the caller holds its device_lock
 *
 * A handler that still runs may mask and unmask its vector, and finds all that it needs.
 */
void ivshmem_handlers_free(struct ivshmem_node *node)
{
	struct ivshmem_peer *peer = node->peer;
	struct ivshmem_handler *handlers;
	unsigned int i;

	if (!peer)
		return;
	ivshmem_irqs_put(node->idev);
	handlers = rcu_dereference_protected(peer->handlers, 1);
	for (i = 0; i < peer->nr_vectors; i++)
		WRITE_ONCE(handlers[i].handle, NULL);
	synchronize_rcu(); /* no handler runs any more, and nobody unmasks */
	for (i = 0; i < peer->nr_vectors; i++)
		set_masked(node, &handlers[i], 1);
	rcu_assign_pointer(peer->handlers, NULL);
	synchronize_rcu();
	kvfree(handlers);
	node->peer = NULL;
	ivshmem_peer_leave(peer);
}
