// SPDX-License-Identifier: GPL-2.0-only
/*
 * Incoming doorbells: vectors and their listeners
 *
 * The interrupt handler ends in ivshmem_vector_signal(): count, then notify the
 * listeners. Nothing is consumed: each open file compares the count with what it
 * has seen (struct ivshmem_file.seen), so any number of processes can wait for the
 * same vector.
 *
 * The handler's work is bounded, but for a race in eventfd.c. Each vector has a few
 * direct listeners, which the handler notifies itself: those that are known to wake
 * one task at most. All others are deferred: a work item notifies them, where it can
 * be preempted. One user can take half of the direct places only and has a work item of
 * its own, so that a crowd of one user's listeners delays nobody else.
 */
#include <linux/bottom_half.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include "core.h"
#include "trace.h"

/* Direct listeners of a vector, and those of one user among them. */
#define DIRECT_MAX	4
#define DIRECT_PER_USER	2

/* Listeners that the work item passes before it drops the lock for a moment. */
#define CHUNK		4

static struct workqueue_struct *deferred_wq;

int __init ivshmem_event_init(void)
{
	deferred_wq = alloc_workqueue("ivshmem", WQ_UNBOUND, 0);
	return deferred_wq ? 0 : -ENOMEM;
}

void ivshmem_event_exit(void)
{
	destroy_workqueue(deferred_wq);
}

static struct ivshmem_peer *vector_peer(struct ivshmem_vector *vec)
{
	if (vec->number == IVSHMEM_ANY_VECTOR)
		return container_of(vec, struct ivshmem_peer, any);
	if (vec->number == IVSHMEM_NEWS_VECTOR)
		return container_of(vec, struct ivshmem_peer, news);
	return container_of(vec - vec->number, struct ivshmem_peer, vectors[0]);
}

/* The last direct listener, or NULL. Direct ones come first in the list. */
static struct hlist_node *last_direct(struct ivshmem_vector *vec)
{
	struct hlist_node *node = vec->direct ? vec->listeners.first : NULL;
	unsigned int i;

	for (i = 1; i < vec->direct; i++)
		node = node->next;
	return node;
}

/* Insert a listener or a cursor before all deferred listeners. */
static void insert_deferred(struct ivshmem_vector *vec, struct ivshmem_listener *l)
{
	struct hlist_node *last = last_direct(vec);

	if (last)
		hlist_add_behind(&l->node, last);
	else
		hlist_add_head(&l->node, &vec->listeners);
}

/* The first deferred listener or cursor, or NULL. */
static struct ivshmem_listener *first_deferred(struct ivshmem_vector *vec)
{
	struct hlist_node *last = last_direct(vec);

	return hlist_entry_safe(last ? last->next : vec->listeners.first,
				struct ivshmem_listener, node);
}

static void add_deferred(struct ivshmem_vector *vec, struct ivshmem_listener *l)
{
	struct ivshmem_listener *other = first_deferred(vec);
	unsigned int passed;

	/* Pass a few cursors; after more of them, suppose that users differ. */
	for (passed = 0; other && !other->queue && passed < DIRECT_MAX; passed++)
		other = hlist_entry_safe(other->node.next, struct ivshmem_listener, node);
	if (other && other->queue != l->queue)
		vec->mixed = true;
	insert_deferred(vec, l);
}

static bool direct_place_left(struct ivshmem_vector *vec, const struct ivshmem_queue *queue)
{
	unsigned int i = 0, same = 0;
	struct ivshmem_listener *l;

	if (vec->direct == DIRECT_MAX)
		return false;
	hlist_for_each_entry(l, &vec->listeners, node) {
		if (i++ == vec->direct)
			break;
		same += l->queue == queue;
	}
	return same < DIRECT_PER_USER;
}

static void add_listener(struct ivshmem_vector *vec, struct ivshmem_listener *l)
{
	l->notified = atomic64_read(&vec->count);
	l->direct = !l->ops->always_deferred && direct_place_left(vec, l->queue);
	if (l->direct) {
		hlist_add_head(&l->node, &vec->listeners);
		vec->direct++;
	} else {
		add_deferred(vec, l);
	}
}

static void del_listener(struct ivshmem_vector *vec, struct ivshmem_listener *l)
{
	hlist_del_init(&l->node);
	vec->direct -= l->direct;
	l->direct = false;
	if (hlist_empty(&vec->listeners))
		vec->mixed = false;
}

/* Is there a doorbell that a deferred listener was not notified of? */
static bool is_due(const struct ivshmem_vector *vec, const struct ivshmem_listener *l)
{
	return l->notified != atomic64_read(&vec->count);
}

/**
 * ivshmem_listen() - replace one listener of a vector by another
 * @vec: the vector, or the peer's @any or @news
 * @old: listener to remove, or NULL
 * @new: listener to add, or NULL; its ops and queue are set
 *
 * Every doorbell goes to @old or to @new. @new is notified of all doorbells that
 * the counts do not show to the caller afterwards. Called with interrupts enabled. May sleep
 * if @old has references.
 */
void ivshmem_listen(struct ivshmem_vector *vec, struct ivshmem_listener *old,
		    struct ivshmem_listener *new)
{
	bool missed = false;
	int wanted = 0;

	spin_lock_irq(&vec->lock);
	if (old && !hlist_unhashed(&old->node)) {
		/* Counted, but the work item has not got there yet? */
		missed = old->ops->put && !old->direct && is_due(vec, old);
		del_listener(vec, old);
		wanted -= old->ops->wants;
	}
	if (new && hlist_unhashed(&new->node)) {
		add_listener(vec, new);
		wanted += new->ops->wants;
	}
	spin_unlock_irq(&vec->lock);
	smp_mb(); /* listen first, look then: pairs with ivshmem_vector_signal() */
	if (wanted)
		ivshmem_bells_want(vector_peer(vec)->idev, wanted);
	if (missed)
		old->ops->notify(old, false);
}

/* Queues and works are used under vec->lock while there are listeners, see _end(). */
static void queue_vector(struct ivshmem_queue *queue, struct ivshmem_vector *vec)
{
	lockdep_assert_held(&vec->lock);
	set_bit(vec->number, queue->vectors);
	queue_work(deferred_wq, &queue->work);
}

/*
 * Leave the deferred listeners to work items. Finding the queues of several users would
 * take too long for the interrupt handler, so that is a work item's task as well.
 */
static void defer(struct ivshmem_vector *vec)
{
	struct ivshmem_peer *peer = vector_peer(vec);
	struct ivshmem_listener *first = first_deferred(vec);

	trace_ivshmem_defer(peer->idev->number, vec->number);
	if (!vec->mixed && first->queue) {
		queue_vector(first->queue, vec);
	} else {
		set_bit(vec->number, peer->shared);
		queue_work(deferred_wq, &peer->work);
	}
}

/*
 * Notify the direct listeners. One that would take too long for the interrupt
 * handler becomes a deferred one, until it is added again.
 */
static void notify(struct ivshmem_vector *vec)
{
	struct ivshmem_listener *l;
	struct hlist_node *next;
	bool deferred = false;
	unsigned long flags;
	unsigned int left;

	spin_lock_irqsave(&vec->lock, flags);
	left = vec->direct;
	hlist_for_each_entry_safe(l, next, &vec->listeners, node) {
		if (!left--) {
			deferred = true;
			break;
		}
		if (!l->ops->notify(l, true)) {
			del_listener(vec, l);
			add_deferred(vec, l);
			deferred = true;
		}
	}
	if (deferred)
		defer(vec);
	spin_unlock_irqrestore(&vec->lock, flags);
}

/* Remove a listener that outlives a call. */
static void drop_listener(struct ivshmem_vector *vec, struct ivshmem_listener *l)
{
	del_listener(vec, l);
	if (l->ops->wants)
		ivshmem_bells_want(vector_peer(vec)->idev, -1);
}

/* Notify one deferred listener. Drops the lock unless that takes a single wake-up. */
static void notify_one_deferred(struct ivshmem_vector *vec, struct ivshmem_listener *l)
{
	if (!is_due(vec, l))
		return;
	l->notified = atomic64_read(&vec->count);
	if (!l->ops->put) {
		l->ops->notify(l, false);
		return;
	}
	refcount_inc(&l->refs);
	if (l->retired)
		drop_listener(vec, l);
	spin_unlock_irq(&vec->lock);
	l->ops->notify(l, false);
	l->ops->put(l);
	cond_resched();
	spin_lock_irq(&vec->lock);
}

/*
 * Call @handle for each deferred listener. The cursor keeps the place in the list while
 * the lock is free; listeners that come meanwhile are added before it. Work items of
 * other users may have cursors in the list, too.
 */
static void walk_deferred(struct ivshmem_vector *vec, const struct ivshmem_queue *queue,
			  void (*handle)(struct ivshmem_vector *vec,
					 struct ivshmem_listener *l))
{
	struct ivshmem_listener cursor = { }, *l;
	unsigned int passed = 0;

	spin_lock_irq(&vec->lock);
	insert_deferred(vec, &cursor);
	while (cursor.node.next) {
		l = hlist_entry(cursor.node.next, struct ivshmem_listener, node);
		hlist_del(&cursor.node);
		hlist_add_behind(&cursor.node, &l->node);
		if (l->queue && (!queue || l->queue == queue))
			handle(vec, l);
		if (!(++passed % CHUNK)) {
			spin_unlock_irq(&vec->lock);
			cond_resched();
			spin_lock_irq(&vec->lock);
		}
	}
	hlist_del(&cursor.node);
	if (hlist_empty(&vec->listeners))
		vec->mixed = false;
	spin_unlock_irq(&vec->lock);
}

static struct ivshmem_vector *peer_vector(struct ivshmem_peer *peer, unsigned int number)
{
	if (number == IVSHMEM_NEWS_VECTOR)
		return &peer->news;
	return number == IVSHMEM_ANY_VECTOR ? &peer->any : &peer->vectors[number];
}

/*
 * Take a vector from a set to which interrupts add at any time. One that is added behind the
 * walk's back is left to the work, which is queued again with it.
 */
static bool take_vector(unsigned long *vectors, unsigned int number)
{
	return test_bit(number, vectors) && test_and_clear_bit(number, vectors);
}

static void queue_work_fn(struct work_struct *work)
{
	struct ivshmem_queue *queue = container_of(work, struct ivshmem_queue, work);
	unsigned int i;

	for (i = 0; i < IVSHMEM_VECTOR_NUMBERS; i++)
		if (take_vector(queue->vectors, i))
			walk_deferred(peer_vector(queue->peer, i), queue, notify_one_deferred);
}

static void queue_one_deferred(struct ivshmem_vector *vec, struct ivshmem_listener *l)
{
	if (is_due(vec, l))
		queue_vector(l->queue, vec);
}

static void peer_work_fn(struct work_struct *work)
{
	struct ivshmem_peer *peer = container_of(work, struct ivshmem_peer, work);
	unsigned int i;

	for (i = 0; i < IVSHMEM_VECTOR_NUMBERS; i++)
		if (take_vector(peer->shared, i))
			walk_deferred(peer_vector(peer, i), NULL, queue_one_deferred);
}

/*
 * Remove a listener, unless it is of a task that does so itself. One that is due is left to its
 * work item, which notifies it as well: that may take long, and users decide how long.
 */
static void retire_one(struct ivshmem_vector *vec, struct ivshmem_listener *l)
{
	if (!l->ops->put)
		return;
	if (l->direct || !is_due(vec, l)) {
		drop_listener(vec, l);
		return;
	}
	l->retired = true;
	queue_vector(l->queue, vec);
}

/* The first direct listener that outlives a call, or NULL. */
static struct ivshmem_listener *lasting_direct(struct ivshmem_vector *vec)
{
	struct ivshmem_listener *l;
	unsigned int i = 0;

	hlist_for_each_entry(l, &vec->listeners, node) {
		if (i++ == vec->direct)
			break;
		if (l->ops->put)
			return l;
	}
	return NULL;
}

/**
 * ivshmem_vector_retire() - remove the listeners of a vector that outlive a call
 * @vec: of a node that was unbound; who becomes a listener looks for that afterwards, and
 *	removes itself
 *
 * Each is still notified of the doorbells from before, and of none that follow. Does not wait
 * for that.
 */
void ivshmem_vector_retire(struct ivshmem_vector *vec)
{
	struct ivshmem_listener *l;

	spin_lock_irq(&vec->lock);
	while ((l = lasting_direct(vec)))
		retire_one(vec, l);
	spin_unlock_irq(&vec->lock);
	walk_deferred(vec, NULL, retire_one);
}

/*
 * Call the handler of a vector, if the peer belongs to a driver that has one. In process
 * context the softirq that it may raise runs at the end.
 */
static void call_handler(struct ivshmem_peer *peer, const struct ivshmem_vector *vec)
{
	bool process = in_task() && !irqs_disabled();
	struct ivshmem_handler *h;
	void (*handle)(void *data);

	if (process)
		local_bh_disable();
	rcu_read_lock();
	h = rcu_dereference(peer->handlers);
	if (h) {
		h += vec->number;
		handle = smp_load_acquire(&h->handle);	/* then data */
		if (handle && !READ_ONCE(h->masked))
			handle(h->data);
	}
	rcu_read_unlock();
	if (process)
		local_bh_enable();
}

/**
 * ivshmem_vector_signal() - count a doorbell and notify the listeners
 * @vec: the vector that was rung
 *
 * Called by the interrupt handler, by peers on the same machine, and after a
 * reset or sleep, when doorbells may be lost.
 * The count goes up before the lists of listeners are read, so a listener that
 * comes too late for the list sees the new count.
 */
void ivshmem_vector_signal(struct ivshmem_vector *vec)
{
	struct ivshmem_peer *peer = vector_peer(vec);

	atomic64_inc(&vec->count);
	if (!peer->twin)
		atomic64_inc(&peer->idev->counters[peer->first_vector + vec->number].count);
	smp_mb__after_atomic(); /* count first, look then: pairs with ivshmem_listen() */
	if (rcu_access_pointer(peer->handlers))
		call_handler(peer, vec);
	if (!hlist_empty(&vec->listeners))
		notify(vec);
	ivshmem_any_signal(peer);
}

/* Notify the listeners to what is no doorbell of its own. */
static void list_signal(struct ivshmem_vector *vec)
{
	if (hlist_empty(&vec->listeners))
		return;
	atomic64_inc(&vec->count);
	notify(vec);
}

/**
 * ivshmem_any_signal() - notify the listeners to all vectors of a peer
 * @peer: one of its vectors was signalled, or its device has changed state
 */
void ivshmem_any_signal(struct ivshmem_peer *peer)
{
	list_signal(&peer->any);
}

/**
 * ivshmem_news_signal() - notify the listeners to changes of who is present
 * @peer: whose device has another generation of that, or another state
 */
void ivshmem_news_signal(struct ivshmem_peer *peer)
{
	smp_mb(); /* change first, look then: pairs with ivshmem_listen() */
	list_signal(&peer->news);
}

/**
 * ivshmem_device_signal() - signal a vector of a device: a doorbell has arrived
 * @idev: whose files share a peer
 * @vector: below its nr_vectors
 *
 * The vector of the device is signalled, then that of the partition that has it.
 */
void ivshmem_device_signal(struct ivshmem_device *idev, unsigned int vector)
{
	struct ivshmem_vector *twin;

	trace_ivshmem_interrupt(idev->number, vector);
	ivshmem_vector_signal(&idev->peer->vectors[vector]);
	if (!rcu_access_pointer(idev->counters[vector].twin))
		return;
	rcu_read_lock();
	twin = rcu_dereference(idev->counters[vector].twin);
	if (twin)
		ivshmem_vector_signal(twin);
	rcu_read_unlock();
}

/**
 * ivshmem_interrupt() - interrupt handler of a vector
 * @irq: not used
 * @vector: struct ivshmem_vector, of idev->peer
 *
 * A vector of MSI-X is not shared and works like an edge: there is nothing to
 * acknowledge. The status register stays 0, so it must not be consulted.
 *
 * Return: IRQ_HANDLED
 */
irqreturn_t ivshmem_interrupt(int irq, void *vector)
{
	const struct ivshmem_vector *vec = vector;

	ivshmem_device_signal(vector_peer(vector)->idev, vec->number);
	return IRQ_HANDLED;
}

/**
 * ivshmem_queue_begin() - prepare a queue
 * @queue: zeroed
 * @peer: whose vectors its listeners listen to
 */
void ivshmem_queue_begin(struct ivshmem_queue *queue, struct ivshmem_peer *peer)
{
	queue->peer = peer;
	INIT_WORK(&queue->work, queue_work_fn);
}

/**
 * ivshmem_queue_end() - wait for the work item of a queue
 * @queue: without listeners, about to be freed
 *
 * It is only queued under vec->lock while there are listeners, so it does not run again.
 */
void ivshmem_queue_end(struct ivshmem_queue *queue)
{
	cancel_work_sync(&queue->work);
}

static void vector_init(struct ivshmem_vector *vec, unsigned int number)
{
	vec->number = number;
	spin_lock_init(&vec->lock);
}

/**
 * ivshmem_events_begin() - prepare the vectors of a peer
 * @peer: zeroed, but for its idev and vectors
 */
void ivshmem_events_begin(struct ivshmem_peer *peer)
{
	unsigned int i;

	ivshmem_queue_begin(&peer->queue, peer);
	INIT_WORK(&peer->work, peer_work_fn);
	vector_init(&peer->any, IVSHMEM_ANY_VECTOR);
	vector_init(&peer->news, IVSHMEM_NEWS_VECTOR);
	for (i = 0; i < peer->nr_vectors; i++)
		vector_init(&peer->vectors[i], i);
}

/**
 * ivshmem_events_end() - wait for the work items of a peer
 * @peer: without listeners, about to be freed
 *
 * As in ivshmem_queue_end(), none follows.
 */
void ivshmem_events_end(struct ivshmem_peer *peer)
{
	/* In this order: a cursor of the queue's work lets a doorbell queue the peer's. */
	ivshmem_queue_end(&peer->queue);
	cancel_work_sync(&peer->work);
}

/* Is there any interrupt that was not yet reported to this file? */
bool ivshmem_events_pending(struct ivshmem_file *file)
{
	unsigned int i;

	for (i = 0; i < file->nr_vectors; i++)
		if (ivshmem_unseen(file, i))
			return true;
	return false;
}
