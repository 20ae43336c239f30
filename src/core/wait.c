// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleeping until a doorbell rings: a futex between machines
 *
 * Why no wake-up is lost: the other side changes the word, then rings. The
 * waiter becomes a listener, then reads the counts, then the word, then sleeps.
 * If it missed the change, the doorbell comes after it read the counts, and the
 * interrupt handler finds it among the listeners.
 *
 * No task sleeps between ivshmem_access_begin() and ivshmem_access_end(), so a
 * device can be reset or removed under any number of waiters. A task that waits
 * for one vector listens to that vector only, and is not woken by others; a task
 * that waits for several listens to all of the peer.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/time_namespace.h>
#include <linux/uaccess.h>
#include "core.h"
#include "trace.h"

/* While spinning: rounds between two readings of the clock. */
#define SPIN_ROUNDS	32

/* One call of WAIT. */
struct ivshmem_waiter {
	struct ivshmem_listener listener;
	struct task_struct *task;
	struct ivshmem_file *file;
	struct ivshmem_wait *w;
	struct ivshmem_vector *vec;	/* that it listens to */
	ktime_t deadline;		/* CLOCK_MONOTONIC; KTIME_MAX: never */
};

static bool waiter_notify(struct ivshmem_listener *l, bool direct)
{
	struct ivshmem_waiter *wr = container_of(l, struct ivshmem_waiter, listener);

	trace_ivshmem_wake(wr->file->idev->minor, wr->vec->number);
	wake_up_process(wr->task);
	return true;
}

static const struct ivshmem_listener_ops waiter_ops = {
	.notify = waiter_notify,
};

/**
 * ivshmem_wait_check() - check the arguments of WAIT
 * @file: the open file
 * @w: copied from the program
 *
 * Return: 0, -EINVAL, -EOPNOTSUPP or -EACCES
 */
int ivshmem_wait_check(struct ivshmem_file *file, const struct ivshmem_wait *w)
{
	unsigned int i, nr = file->idev->nr_vectors;
	u64 any = 0;

	if (w->flags & ~(IVSHMEM_WAIT_SET | IVSHMEM_WAIT_WORD |
			 IVSHMEM_WAIT_ABSTIME))
		return -EINVAL;
	if (w->reserved[0] || w->reserved[1] ||
	    w->ncounts > IVSHMEM_MAX_VECTORS || !w->ncounts != !w->counts ||
	    w->spin_ns > IVSHMEM_MAX_SPIN_NS)
		return -EINVAL;
	if (!nr)
		return -EOPNOTSUPP;

	for (i = 0; i < ARRAY_SIZE(w->set); i++) {
		unsigned int first = i * 64;
		u64 valid = nr <= first ? 0 :
			    nr - first >= 64 ? ~0ULL : BIT_ULL(nr - first) - 1;

		if (w->set[i] & ~valid)
			return -EINVAL;
		any |= w->set[i];
	}
	if (w->flags & IVSHMEM_WAIT_SET) {
		if (!any || w->vector)
			return -EINVAL;
	} else if (any || w->vector >= nr) {
		return -EINVAL;
	}

	if (w->flags & IVSHMEM_WAIT_WORD) {
		if (w->offset % sizeof(u32) || w->offset >= file->idev->size)
			return -EINVAL;
		if (!(file->mode & FMODE_READ))
			return -EACCES;
	} else if (w->offset || w->expected) {
		return -EINVAL;
	}
	return 0;
}

static bool wanted(const struct ivshmem_wait *w, unsigned int vector)
{
	if (w->flags & IVSHMEM_WAIT_SET)
		return w->set[vector / 64] & BIT_ULL(vector % 64);
	return w->vector == vector;
}

/* The range of vectors to look at: all, or one. */
static void wait_span(const struct ivshmem_file *file,
		      const struct ivshmem_wait *w, unsigned int *first,
		      unsigned int *end)
{
	*first = w->flags & IVSHMEM_WAIT_SET ? 0 : w->vector;
	*end = w->flags & IVSHMEM_WAIT_SET ? file->idev->nr_vectors : *first + 1;
}

static bool any_fired(struct ivshmem_waiter *wr)
{
	unsigned int v, end;

	for (wait_span(wr->file, wr->w, &v, &end); v < end; v++)
		if (wanted(wr->w, v) && ivshmem_unseen(wr->file, v))
			return true;
	return false;
}

/* Does the word differ from the expected value? Called inside the device. */
static bool word_changed(struct ivshmem_waiter *wr)
{
	const u32 *word = wr->file->idev->mem + wr->w->offset;

	return wr->w->flags & IVSHMEM_WAIT_WORD &&
	       READ_ONCE(*word) != wr->w->expected;
}

/*
 * Look once. Returns 1 if the call is over, 0 if nothing happened yet, or -ENODEV.
 * During a reset nothing happened yet: its end notifies all listeners.
 */
static int wait_look(struct ivshmem_waiter *wr)
{
	int idx, ret = ivshmem_access_try(wr->file->idev, &idx);

	if (ret)
		return ret == -EAGAIN ? 0 : ret;
	ret = any_fired(wr) || word_changed(wr);
	ivshmem_access_end(wr->file->idev, idx);
	return ret;
}

/*
 * Spin until the budget is used up or another task wants the processor, also where
 * the kernel is not preemptible.
 */
static int wait_spin(struct ivshmem_waiter *wr)
{
	struct ivshmem_device *idev = wr->file->idev;
	ktime_t end = ktime_add_ns(ktime_get(), wr->w->spin_ns);
	int idx, i, ret = ivshmem_access_try(idev, &idx);

	if (ret)
		return ret == -EAGAIN ? 0 : ret;
	if (ktime_after(end, wr->deadline))
		end = wr->deadline;
	do {
		for (i = 0; i < SPIN_ROUNDS && !ret; i++) {
			cpu_relax();
			ret = any_fired(wr) || word_changed(wr);
		}
	} while (!ret && !need_resched() && !signal_pending(current) &&
		 READ_ONCE(idev->state) == IVSHMEM_LIVE &&
		 ktime_before(ktime_get(), end));
	ivshmem_access_end(idev, idx);
	return ret;
}

/* Sleep until something happens, the time is over, or a signal comes. */
static int wait_loop(struct ivshmem_waiter *wr)
{
	u64 slack = current->timer_slack_ns;
	int ret;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		ret = wait_look(wr);
		if (ret)
			return ret;
		if (signal_pending(current))
			return -ERESTARTSYS;
		if (wr->deadline == KTIME_MAX) {
			schedule();
		} else if (!schedule_hrtimeout_range(&wr->deadline, slack,
						     HRTIMER_MODE_ABS)) {
			ret = wait_look(wr);
			return ret ? ret : -ETIMEDOUT;
		}
	}
}

static int wait_sleep(struct ivshmem_waiter *wr)
{
	struct ivshmem_user *user = wr->file->user;
	int ret = ivshmem_user_charge(&user->waiters, IVSHMEM_USER_WAITERS);

	if (ret)
		return ret;
	ivshmem_listen(wr->vec, NULL, &wr->listener);
	ret = wait_loop(wr);
	__set_current_state(TASK_RUNNING);
	ivshmem_listen(wr->vec, &wr->listener, NULL);
	atomic_dec(&user->waiters);
	return ret;
}

/* Report a changed word; after a reset if there is one. */
static int report_word(struct ivshmem_waiter *wr)
{
	struct ivshmem_device *idev = wr->file->idev;
	int idx, ret = ivshmem_access_begin(idev, &idx);

	if (ret)
		return ret;
	if (word_changed(wr))
		wr->w->result |= IVSHMEM_RESULT_CHANGED;
	ivshmem_access_end(idev, idx);
	return 0;
}

/* Report vector @v. @count is the count up to which this reports. */
static int report_vector(struct ivshmem_waiter *wr, unsigned int v, s64 *count)
{
	struct ivshmem_file *file = wr->file;
	struct ivshmem_wait *w = wr->w;
	u64 __user *counts = u64_to_user_ptr(w->counts);
	s64 seen = atomic64_read_acquire(&file->seen[v]);

	*count = atomic64_read(&file->peer->vectors[v].count);
	if (!wanted(w, v) || *count == seen)
		return 0;
	if (v < w->ncounts && put_user(*count - seen, counts + v))
		return -EFAULT;
	if (!w->result) {
		w->fired_vector = v;
		w->count = *count - seen;
		w->result = IVSHMEM_RESULT_FIRED;
	}
	w->fired[v / 64] |= BIT_ULL(v % 64);
	return 0;
}

/* Mark as seen. If another thread was faster, both have reported the same. */
static void mark_seen(struct ivshmem_file *file, unsigned int v, s64 count)
{
	s64 seen = atomic64_read(&file->seen[v]);

	while (seen < count && !atomic64_try_cmpxchg(&file->seen[v], &seen, count))
		;
}

/*
 * Report to the program first and mark as seen then: if the result cannot be written,
 * no doorbell is lost. The counts are read before the word, so a reported doorbell
 * belongs to a change that the program sees when it looks at the memory.
 */
static int report_vectors(struct ivshmem_waiter *wr, struct ivshmem_wait __user *uw,
			  s64 *reported, unsigned int first, unsigned int end)
{
	struct ivshmem_wait *w = wr->w;
	unsigned int v;
	int ret;

	if (w->ncounts && clear_user(u64_to_user_ptr(w->counts),
				     w->ncounts * sizeof(u64)))
		return -EFAULT;
	for (v = first; v < end; v++) {
		ret = report_vector(wr, v, &reported[v - first]);
		if (ret)
			return ret;
	}
	smp_rmb(); /* counts before word, see above */
	ret = report_word(wr);
	if (ret)
		return ret;
	if (copy_to_user(uw, w, sizeof(*w)))
		return -EFAULT;
	for (v = first; v < end; v++)
		if (w->fired[v / 64] & BIT_ULL(v % 64))
			mark_seen(wr->file, v, reported[v - first]);
	return 0;
}

static int wait_report(struct ivshmem_waiter *wr, struct ivshmem_wait __user *uw)
{
	unsigned int first, end;
	s64 one, *reported = &one;
	int ret;

	wait_span(wr->file, wr->w, &first, &end);
	if (end - first > 1) {
		reported = kmalloc_array(end - first, sizeof(*reported), GFP_KERNEL);
		if (!reported)
			return -ENOMEM;
	}
	ret = report_vectors(wr, uw, reported, first, end);
	if (reported != &one)
		kfree(reported);
	return ret;
}

/* Convert a CLOCK_MONOTONIC time from the caller's time namespace. */
static ktime_t host_time(s64 ns)
{
	struct timespec64 add = { };
	s64 offset;

	timens_add_monotonic(&add);
	offset = timespec64_to_ns(&add);
	if (offset < 0)
		return ktime_add_safe(ns_to_ktime(ns), ns_to_ktime(-offset));
	return ns_to_ktime(max_t(s64, ns - offset, 0));
}

static ktime_t deadline_of(const struct ivshmem_wait *w)
{
	if (w->timeout_ns < 0)
		return KTIME_MAX;
	if (w->flags & IVSHMEM_WAIT_ABSTIME)
		return host_time(w->timeout_ns);
	return ktime_add_safe(ktime_get(), ns_to_ktime(w->timeout_ns));
}

/**
 * ivshmem_wait() - sleep until a doorbell rings
 * @file: the open file
 * @w: checked arguments; on -ERESTARTSYS a relative timeout is what remains
 * @uw: the program's structure; written on success
 *
 * Return: 0, -ENODEV, -ETIMEDOUT, -ERESTARTSYS, -EFAULT, -EUSERS, -ENOMEM
 */
int ivshmem_wait(struct ivshmem_file *file, struct ivshmem_wait *w,
		 struct ivshmem_wait __user *uw)
{
	int minor = file->idev->minor;
	struct ivshmem_waiter wr = {
		.listener = { .ops = &waiter_ops, .user = file->user },
		.task = current,
		.file = file,
		.w = w,
		.vec = &file->peer->any,
		.deadline = deadline_of(w),
	};
	int ret;

	w->vector = array_index_nospec(w->vector, file->idev->nr_vectors);
	if (!(w->flags & IVSHMEM_WAIT_SET))
		wr.vec = &file->peer->vectors[w->vector];
	w->count = 0;
	memset(w->fired, 0, sizeof(w->fired));
	w->fired_vector = 0;
	w->result = 0;
	trace_ivshmem_wait_begin(minor, w);
	ret = wait_look(&wr);
	if (!ret && w->spin_ns)
		ret = wait_spin(&wr);
	if (!ret)
		ret = w->timeout_ns ? wait_sleep(&wr) : -ETIMEDOUT;
	if (ret > 0)
		ret = wait_report(&wr, uw);
	if (ret == -ERESTARTSYS && w->timeout_ns > 0 &&
	    !(w->flags & IVSHMEM_WAIT_ABSTIME))
		w->timeout_ns = max_t(s64, 0, ktime_to_ns(ktime_sub(wr.deadline,
								    ktime_get())));
	trace_ivshmem_wait_end(minor, ret, w->fired_vector, w->count);
	return ret;
}
