// SPDX-License-Identifier: GPL-2.0-only
/*
 * Polled doorbells: counters in the peer sections of a label, for machines without interrupts
 *
 * To ring a peer is to count in the own section. A timer looks at the counters of all others,
 * and signals what has changed as an interrupt would. It runs only while a doorbell is wanted:
 *
 *	@wanted	counts tasks asleep in WAIT, eventfds that are bound, and handlers of drivers
 *		that are not masked
 *	@pollers	has the files that were polled for doorbells, or have O_ASYNC. Nobody
 *		reports the end of a poll(), so the beat (slot.c) removes those with an empty wait
 *		queue
 *
 * What is wanted is first written down, then the timer started if it does not run; it stops
 * itself under the same lock if nothing is wanted. So no wake-up is lost in between. What was
 * rung while nobody looked is found by the next look.
 *
 * Every counter is in the hands of a stranger. A look reads each once, and does a bounded
 * amount of work: what is left over waits for the next one.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include "slot.h"
#include "trace.h"

/* In one look: slots whose doorbells are compared one by one, and vectors signalled. */
#define MAX_ROWS	8
#define MAX_SIGNALS	32

/* Files that the beat passes before it drops the lock for a moment. */
#define CHUNK		32

/* Microseconds: limits of the poll interval, and when it is shorter or longer. */
#define MIN_POLL_US	200
#define MAX_POLL_US	10000
#define BUSY_US		(20 * USEC_PER_MSEC)
#define CALM_US		(10 * USEC_PER_SEC)

#define TIMER_MODE	HRTIMER_MODE_REL_SOFT

unsigned int ivshmem_poll_us = 1000;

static int poll_us_set(const char *val, const struct kernel_param *kp)
{
	unsigned int us;
	int ret = kstrtouint(val, 0, &us);

	if (ret)
		return ret;
	if (us < MIN_POLL_US || us > MAX_POLL_US)
		return -EINVAL;
	WRITE_ONCE(ivshmem_poll_us, us);
	return 0;
}

const struct kernel_param_ops ivshmem_poll_us_ops = {
	.set = poll_us_set,
	.get = param_get_uint,
};

/* Where a machine counts doorbells for a slot; then where it counts those of each vector. */
static __le32 *rung(const struct ivshmem_slots *slots, unsigned int from, unsigned int to)
{
	return &ivshmem_slot_section(slots, from)->counters[to];
}

static __le32 *row(const struct ivshmem_slots *slots, unsigned int from, unsigned int to)
{
	return rung(slots, from, slots->nr + to * slots->bell_vectors);
}

/* The counters of a slot as they were seen: rung, then those of each vector. */
static __le32 *seen_of(const struct ivshmem_slots *slots, unsigned int from)
{
	return slots->seen + from * (1 + slots->bell_vectors);
}

/* Read the counters of a slot for @own, and give those that have changed to @changed. */
static void read_row(struct ivshmem_slots *slots, unsigned int from, unsigned int own,
		     unsigned long *changed)
{
	const __le32 *bells = row(slots, from, own);
	__le32 now, *seen = seen_of(slots, from) + 1;
	unsigned int v;

	for (v = 0; v < slots->bell_vectors; v++) {
		now = READ_ONCE(bells[v]);
		if (now == seen[v])
			continue;
		seen[v] = now;
		__set_bit(v, changed);
	}
}

/* Look which slots have rung @own: @most of them, the others come next time. Gives how many. */
static unsigned int read_slots(struct ivshmem_slots *slots, unsigned int own, unsigned int most,
			       unsigned long *changed)
{
	unsigned int i, from, rows = 0;
	__le32 now, *seen;

	for (i = 0; i < slots->nr && rows < most; i++) {
		from = (slots->first + i) % slots->nr;
		now = READ_ONCE(*rung(slots, from, own));
		seen = seen_of(slots, from);
		if (now == *seen)
			continue;
		virt_rmb(); /* rung first, then the doorbells: pairs with count() */
		*seen = now;
		read_row(slots, from, own, changed);
		rows++;
		trace_ivshmem_look(slots->idev->number, from);
	}
	slots->first = (slots->first + i) % slots->nr;
	return rows;
}

/* Take a few vectors out of @set. Gives their number. */
static unsigned int take(unsigned long *set, unsigned int nr, u8 *vectors)
{
	unsigned int v, n = 0;

	for_each_set_bit(v, set, nr) {
		if (n == MAX_SIGNALS)
			break;
		__clear_bit(v, set);
		vectors[n++] = v;
	}
	return n;
}

/* Called inside the device, under bells->lock. Gives the number of vectors to signal. */
static unsigned int look_locked(struct ivshmem_bells *bells, struct ivshmem_slots *slots,
				u8 *vectors)
{
	const struct ivshmem_device *idev = slots->idev;
	int own = READ_ONCE(slots->own);
	unsigned int n, rows;

	WRITE_ONCE(bells->left_over, false);
	if (own < 0)
		return 0;
	atomic64_inc(&bells->looks);
	rows = read_slots(slots, own, MAX_ROWS, bells->pending);
	n = take(bells->pending, min_t(unsigned int, slots->bell_vectors,
				       idev->peer->nr_vectors), vectors);
	WRITE_ONCE(bells->left_over, rows == MAX_ROWS || n == MAX_SIGNALS);
	if (n)
		bells->last = ktime_get();
	return n;
}

static unsigned int look_once(struct ivshmem_slots *slots, u8 *vectors)
{
	struct ivshmem_bells *bells = &slots->idev->bells;
	unsigned long flags;
	unsigned int n;

	spin_lock_irqsave(&bells->lock, flags);
	n = look_locked(bells, slots, vectors);
	spin_unlock_irqrestore(&bells->lock, flags);
	return n;
}

/* Nothing is lost if another processor is looking: the caller comes again. */
static unsigned int look_if_free(struct ivshmem_slots *slots, u8 *vectors)
{
	struct ivshmem_bells *bells = &slots->idev->bells;
	unsigned long flags;
	unsigned int n = 0;

	if (spin_trylock_irqsave(&bells->lock, flags)) {
		n = look_locked(bells, slots, vectors);
		spin_unlock_irqrestore(&bells->lock, flags);
	}
	return n;
}

/* Look, and signal what has changed. */
static bool look(struct ivshmem_device *idev, bool spinning)
{
	struct ivshmem_slots *slots;
	u8 vectors[MAX_SIGNALS];
	unsigned int i, n = 0;
	int idx;

	if (ivshmem_access_try(idev, &idx))
		return false;
	slots = ivshmem_slots_of(idev);
	if (!slots || !slots->seen)
		goto out;
	n = spinning ? look_if_free(slots, vectors) : look_once(slots, vectors);
	if (n)
		virt_mb(); /* what the peers wrote before is seen by those who wake */
	for (i = 0; i < n; i++)
		ivshmem_device_signal(idev, vectors[i]);
out:
	ivshmem_access_end(idev, idx);
	return n;
}

/**
 * ivshmem_bells_look() - look at the polled doorbells at once
 * @idev: the device
 * @spinning: the caller looks again and again
 *
 * Return: true if vectors were signalled
 */
bool ivshmem_bells_look(struct ivshmem_device *idev, bool spinning)
{
	return READ_ONCE(idev->bells.on) && look(idev, spinning);
}

/* Doorbells follow each other closely, or not at all for long. */
static ktime_t interval(const struct ivshmem_bells *bells)
{
	unsigned int us = READ_ONCE(ivshmem_poll_us);
	s64 idle = ktime_us_delta(ktime_get(), bells->last);

	if (idle < BUSY_US)
		us = max_t(unsigned int, us / 4, MIN_POLL_US);
	else if (idle > CALM_US)
		us = min_t(unsigned int, us * 4, MAX_POLL_US);
	return ns_to_ktime((u64)us * NSEC_PER_USEC);
}

static bool is_wanted(const struct ivshmem_bells *bells)
{
	return atomic_read(&bells->wanted) || !list_empty(&bells->pollers);
}

static enum hrtimer_restart timer_fn(struct hrtimer *timer)
{
	struct ivshmem_bells *bells = container_of(timer, struct ivshmem_bells, timer);
	unsigned long flags;
	bool again;

	look(container_of(bells, struct ivshmem_device, bells), false);
	spin_lock_irqsave(&bells->lock, flags);
	again = bells->on && is_wanted(bells);
	bells->running = again;
	if (again)
		hrtimer_forward_now(timer, interval(bells));
	spin_unlock_irqrestore(&bells->lock, flags);
	return again ? HRTIMER_RESTART : HRTIMER_NORESTART;
}

/* Start the timer if it is wanted and does not run. Who wants it begins without haste. */
static void start(struct ivshmem_bells *bells)
{
	ktime_t latest;

	lockdep_assert_held(&bells->lock);
	if (!bells->on || bells->running || !is_wanted(bells))
		return;
	latest = ktime_sub_us(ktime_get(), BUSY_US);
	if (ktime_before(bells->last, latest))
		bells->last = latest;
	bells->running = true;
	hrtimer_start(&bells->timer, interval(bells), TIMER_MODE);
}

static void stop(struct ivshmem_bells *bells)
{
	lockdep_assert_held(&bells->lock);
	WRITE_ONCE(bells->on, false);
	/* If it is at work, it stops itself. */
	if (bells->running && hrtimer_try_to_cancel(&bells->timer) >= 0)
		bells->running = false;
}

/**
 * ivshmem_bells_want() - count who wants doorbells
 * @idev: the device
 * @n: 1, after it can be notified; or -1, also under vec->lock
 */
void ivshmem_bells_want(struct ivshmem_device *idev, int n)
{
	struct ivshmem_bells *bells = &idev->bells;
	unsigned long flags;

	if (!idev->peer)
		return;
	atomic_add(n, &bells->wanted);
	smp_mb__after_atomic(); /* want first, look then: pairs with ivshmem_bells_update() */
	if (n < 0 || !READ_ONCE(bells->on))
		return;
	spin_lock_irqsave(&bells->lock, flags);
	start(bells);
	spin_unlock_irqrestore(&bells->lock, flags);
}

/* Does a file want doorbells? Tasks and epolls that poll are in its queue. */
static bool polls(struct ivshmem_file *file)
{
	/* After a full barrier: see ivshmem_bells_poll() and tidy_some(). */
	return (waitqueue_active(&file->pollers) || READ_ONCE(file->fasync)) &&
	       !ivshmem_chardev_gone(file->chardev);
}

/**
 * ivshmem_bells_poll() - look at the polled doorbells for a file that is polled for them
 * @file: after the caller has joined its wait queue, if it waits, and a full barrier
 */
void ivshmem_bells_poll(struct ivshmem_file *file)
{
	struct ivshmem_bells *bells = &file->idev->bells;
	unsigned long flags;

	if (!file->idev->peer)
		return;
	if (list_empty(&file->polling) && polls(file)) {
		spin_lock_irqsave(&bells->lock, flags);
		if (list_empty(&file->polling))
			list_add_tail(&file->polling, &bells->pollers);
		start(bells);
		spin_unlock_irqrestore(&bells->lock, flags);
	}
	ivshmem_bells_look(file->idev, false);
}

/**
 * ivshmem_bells_forget() - have a file want no doorbells
 * @file: being closed
 */
void ivshmem_bells_forget(struct ivshmem_file *file)
{
	struct ivshmem_bells *bells = &file->idev->bells;
	unsigned long flags;

	spin_lock_irqsave(&bells->lock, flags);
	list_del_init(&file->polling);
	spin_unlock_irqrestore(&bells->lock, flags);
}

/* Pass the files up to @end, a few at most. Returns false if there is nothing more to do. */
static bool tidy_some(struct ivshmem_bells *bells, const struct list_head *end)
{
	struct ivshmem_file *file;
	unsigned int i;

	lockdep_assert_held(&bells->lock);
	for (i = 0; i < CHUNK; i++) {
		if (bells->pollers.next == end)
			return false;
		file = list_first_entry(&bells->pollers, struct ivshmem_file, polling);
		list_del_init(&file->polling);
		smp_mb(); /* remove first, look then: pairs with ivshmem_bells_poll() */
		if (polls(file))
			list_add_tail(&file->polling, &bells->pollers);
	}
	return true;
}

/**
 * ivshmem_bells_tidy() - remove the files that nobody polls any more
 * @idev: the device; called by the beat
 */
void ivshmem_bells_tidy(struct ivshmem_device *idev)
{
	struct ivshmem_bells *bells = &idev->bells;
	LIST_HEAD(end);

	spin_lock_irq(&bells->lock);
	list_add_tail(&end, &bells->pollers);
	while (tidy_some(bells, &end)) {
		spin_unlock_irq(&bells->lock);
		cond_resched();
		spin_lock_irq(&bells->lock);
	}
	list_del(&end);
	spin_unlock_irq(&bells->lock);
}

/* Only this machine writes there, so its own lock is enough. */
static void add_one(__le32 *counter)
{
	__le32 next = cpu_to_le32(le32_to_cpu(READ_ONCE(*counter)) + 1);

	virt_store_release(counter, next);	/* see count() */
}

/* Count a doorbell, unless the own section is somebody else's by now. */
static void count(struct ivshmem_slots *slots, unsigned int to, unsigned int vector)
{
	struct ivshmem_bells *bells = &slots->idev->bells;
	unsigned long flags;
	int own;

	spin_lock_irqsave(&bells->lock, flags);
	own = ivshmem_slots_own(slots);
	if (own >= 0) {
		/* What the caller has written comes first, then the doorbell, then rung. */
		add_one(row(slots, own, to) + vector);
		add_one(rung(slots, own, to));
	}
	spin_unlock_irqrestore(&bells->lock, flags);
}

/*
 * The doorbell id of another peer, which is to be rung by that; IVSHMEM_PEER_NO_ID if not. What the
 * last look at who is there has found may not be true any more, or not yet, and a peer that stands
 * still hears its interrupts when it goes on.
 */
static u32 register_id(const struct ivshmem_slots *slots, unsigned int to)
{
	if (!slots->idev->can_ring || to == READ_ONCE(slots->own))
		return IVSHMEM_PEER_NO_ID;
	return ivshmem_slot_doorbell(slots, to);
}

/**
 * ivshmem_bells_ring() - ring a peer by counting
 * @idev: the device; the caller is between ivshmem_access_try() and ivshmem_access_end()
 * @peer: the peer; out: its doorbell id, if it has one and was given by its slot
 * @vector: its vector
 *
 * Where there is a Doorbell register, only those are rung by counting who have no doorbell id:
 * the others have interrupts, and need not look.
 *
 * Return: false if the peer is rung by the transport, or not at all
 */
bool ivshmem_bells_ring(struct ivshmem_device *idev, u32 *peer, u32 vector)
{
	struct ivshmem_slots *slots = ivshmem_slots_of(idev);
	u32 id;
	int to;

	if (!slots || !slots->seen ||
	    (idev->can_ring && *peer - IVSHMEM_PEER_FIRST_ID >= slots->nr))
		return false;
	to = ivshmem_slot_of(idev, *peer);
	if (to < 0)
		return false;
	id = register_id(slots, to);
	if (id != IVSHMEM_PEER_NO_ID) {
		*peer = id;
		return false;
	}
	if (vector >= slots->bell_vectors)
		return true;
	vector = array_index_nospec(vector, slots->bell_vectors);
	if (to != READ_ONCE(slots->own)) {
		count(slots, to, vector);
	} else if (vector < idev->peer->nr_vectors) {
		smp_mb(); /* earlier writes to the region first */
		ivshmem_device_signal(idev, array_index_nospec(vector, idev->peer->nr_vectors));
	}
	return true;
}

/**
 * ivshmem_bells_id() - get the number by which others ring a machine without interrupts
 * @idev: the device; the caller is between ivshmem_access_try() and ivshmem_access_end()
 *
 * Return: the number; IVSHMEM_ID_UNKNOWN if it has no slot, or has interrupts
 */
u32 ivshmem_bells_id(struct ivshmem_device *idev)
{
	const struct ivshmem_slots *slots = ivshmem_slots_of(idev);
	int own = slots && slots->seen && !idev->nr_vectors ? READ_ONCE(slots->own) : -1;

	return own < 0 ? IVSHMEM_ID_UNKNOWN : IVSHMEM_PEER_FIRST_ID + own;
}

/**
 * ivshmem_bells_claimed() - prepare to be rung in a slot
 * @slots: without own slot; called by the beat, inside the device
 * @own: the slot to come. Others do not know yet who has it
 *
 * What is there counts as seen. A machine that had a slot before may have missed doorbells,
 * so each vector is signalled once.
 */
void ivshmem_bells_claimed(struct ivshmem_slots *slots, unsigned int own)
{
	struct ivshmem_bells *bells = &slots->idev->bells;
	DECLARE_BITMAP(ignored, IVSHMEM_MAX_VECTORS) = { };
	unsigned int from;

	if (!slots->seen)
		return;
	/* A look for the slot before ends. None begins without a slot. */
	spin_lock_irq(&bells->lock);
	spin_unlock_irq(&bells->lock);
	for (from = 0; from < slots->nr; from++) {
		*seen_of(slots, from) = READ_ONCE(*rung(slots, from, own));
		virt_rmb(); /* as in read_slots() */
		read_row(slots, from, own, ignored);
	}
	spin_lock_irq(&bells->lock);
	bitmap_zero(bells->pending, IVSHMEM_MAX_VECTORS);
	if (bells->claimed)
		bitmap_fill(bells->pending, slots->bell_vectors);
	bells->claimed = true;
	spin_unlock_irq(&bells->lock);
}

/* No other look follows, so nothing may be left over. Peers could go on and on. */
static void look_at_all(struct ivshmem_slots *slots)
{
	unsigned int most = DIV_ROUND_UP(slots->nr, MAX_ROWS) +
			    DIV_ROUND_UP(slots->bell_vectors, MAX_SIGNALS);

	do {
		look(slots->idev, false);
	} while (READ_ONCE(slots->idev->bells.left_over) && most--);
}

/**
 * ivshmem_bells_update() - look at polled doorbells if that can find any
 * @slots: the slots; called by the beat, inside the device
 *
 * Interrupts come from all peers that have a doorbell id, if they know this machine's. So a
 * machine that has told its id looks only while a peer without one is present, and after one may
 * have been.
 */
void ivshmem_bells_update(struct ivshmem_slots *slots)
{
	struct ivshmem_device *idev = slots->idev;
	struct ivshmem_bells *bells = &idev->bells;
	bool on = slots->seen && READ_ONCE(slots->own) >= 0 &&
		  (ivshmem_slots_doorbell(idev) == IVSHMEM_PEER_NO_ID ||
		   READ_ONCE(slots->polled));

	/* The last peer may have rung before it left, and so may one that nobody saw. */
	if (!on && (READ_ONCE(bells->on) || slots->turnover))
		look_at_all(slots);
	spin_lock_irq(&bells->lock);
	if (on) {
		WRITE_ONCE(bells->on, true);
		smp_mb(); /* pairs with ivshmem_bells_want() */
		start(bells);
	} else {
		stop(bells);
	}
	spin_unlock_irq(&bells->lock);
}

/**
 * ivshmem_bells_stop() - stop to look at polled doorbells
 * @idev: in reset, unregistered, or without slots; the beat starts it again
 *
 * A look may still be at work, inside the device.
 */
void ivshmem_bells_stop(struct ivshmem_device *idev)
{
	unsigned long flags;

	spin_lock_irqsave(&idev->bells.lock, flags);
	stop(&idev->bells);
	spin_unlock_irqrestore(&idev->bells.lock, flags);
}

/**
 * ivshmem_bells_begin() - have the doorbells of a label
 * @slots: not in use yet; the caller holds idev->nodes_lock
 *
 * Return: 0 or -ENOMEM
 */
int ivshmem_bells_begin(struct ivshmem_slots *slots)
{
	if (!slots->bell_vectors)
		return 0;
	slots->seen = kvcalloc(slots->nr, (1 + slots->bell_vectors) * sizeof(*slots->seen),
			       GFP_KERNEL);
	if (!slots->seen)
		return -ENOMEM;
	WRITE_ONCE(slots->idev->bells.vectors, slots->bell_vectors);
	return 0;
}

/**
 * ivshmem_bells_end() - end the doorbells of a label
 * @idev: whose beat has ended; the caller holds its nodes_lock
 */
void ivshmem_bells_end(struct ivshmem_device *idev)
{
	ivshmem_bells_stop(idev);
	WRITE_ONCE(idev->bells.vectors, 0);
}

/**
 * ivshmem_bells_init() - prepare the polled doorbells of a device
 * @bells: in the device, zeroed
 */
void ivshmem_bells_init(struct ivshmem_bells *bells)
{
	spin_lock_init(&bells->lock);
	INIT_LIST_HEAD(&bells->pollers);
	hrtimer_setup(&bells->timer, timer_fn, CLOCK_MONOTONIC, TIMER_MODE);
}

/**
 * ivshmem_bells_free() - wait for the last look
 * @bells: of a device without users
 */
void ivshmem_bells_free(struct ivshmem_bells *bells)
{
	hrtimer_cancel(&bells->timer);
}
