// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleeping until a doorbell rings: a futex between machines
 *
 * Why no wake-up is lost: the other side changes the word, then rings. The
 * waiter becomes a listener, then reads the counts, then the word, then sleeps.
 * If it missed the change, the doorbell comes after it read the counts, and the
 * interrupt handler finds it among the listeners.
 *
 * No task sleeps between ivshmem_access_try() and ivshmem_access_end(), so a
 * device can be reset or removed under any number of waiters. A task that waits
 * for one vector listens to that vector only, and is not woken by others; a task
 * that waits for several listens to all of the peer.
 *
 * Going to sleep and waking up is what programs do most, so the common case, one
 * vector, takes the short way: what a set needs is allocated and reported apart.
 */
#include <linux/bits.h>
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

/* At most this many bits may be at @set, and elements at @counts: all of a __u16. */
#define NBITS_MAX	(U16_MAX + 1)

/* Outputs of struct ivshmem_wait, one after the other. */
#define OUT_SIZE	(offsetofend(struct ivshmem_wait, result) - \
			 offsetof(struct ivshmem_wait, count))

/* What a vector has to report: the interrupts after @seen, up to @count. */
struct report {
	s64 seen;
	s64 count;
};

/**
 * struct wait_set - several vectors to wait for
 * @wanted: them
 * @signalled: those to report
 * @reports: for each of these, what is reported
 *
 * A set of a program is an array of __u64, whatever the size of a long is.
 */
struct wait_set {
	u64 wanted[IVSHMEM_MAX_VECTORS / 64];
	u64 signalled[IVSHMEM_MAX_VECTORS / 64];
	struct report reports[];
};

/* One call of WAIT. */
struct ivshmem_waiter {
	struct ivshmem_listener listener;
	struct ivshmem_listener news;	/* used if told is not 0 */
	struct task_struct *task;
	struct ivshmem_file *file;
	struct ivshmem_wait *w;
	struct wait_set *set;		/* NULL: one vector, w->vector */
	struct ivshmem_vector *vec;	/* that it listens to */
	ktime_t deadline;		/* CLOCK_MONOTONIC; KTIME_MAX: never */
	u64 told;			/* generation of peers known; 0: none is of interest */
	bool counted;			/* among the user's waiters, until the call ends */
};

static bool waiter_notify(struct ivshmem_listener *l, bool direct)
{
	struct ivshmem_waiter *wr = container_of(l, struct ivshmem_waiter, listener);

	trace_ivshmem_wake(wr->file->idev->number, wr->vec->number);
	wake_up_process(wr->task);
	return true;
}

static const struct ivshmem_listener_ops waiter_ops = {
	.notify = waiter_notify,
	.wants = true,
};

static bool waiter_hear(struct ivshmem_listener *l, bool direct)
{
	wake_up_process(container_of(l, struct ivshmem_waiter, news)->task);
	return true;
}

static const struct ivshmem_listener_ops news_ops = {
	.notify = waiter_hear,
};

static int check_vectors(const struct ivshmem_file *file, const struct ivshmem_wait *w)
{
	if (w->flags & IVSHMEM_WAIT_SET)
		return !w->vector && w->set && w->nbits && w->nbits <= NBITS_MAX ?
		       0 : -EINVAL;
	return w->vector < file->nr_vectors &&
	       !(w->nbits | w->set | w->signalled_set | w->counts) ? 0 : -EINVAL;
}

static int check_word(const struct ivshmem_file *file, const struct ivshmem_wait *w)
{
	if (!(w->flags & IVSHMEM_WAIT_WORD))
		return w->offset || w->expected ? -EINVAL : 0;
	if (w->offset % sizeof(u32) || w->offset >= file->node->part.size)
		return -EINVAL;
	return file->mode & FMODE_READ ? 0 : -EACCES;
}

static int check_ring(const struct ivshmem_file *file, const struct ivshmem_wait *w)
{
	if (w->flags & IVSHMEM_WAIT_RING)
		return ivshmem_ring_check(file, w->ring_peer, w->ring_vector);
	return w->ring_peer || w->ring_vector ? -EINVAL : 0;
}

/* Without an answer of PEERS there is nothing to compare with. */
static int check_news(const struct ivshmem_file *file, const struct ivshmem_wait *w)
{
	if (!(w->flags & IVSHMEM_WAIT_NEWS) || atomic64_read(&file->told))
		return 0;
	return rcu_access_pointer(file->idev->slots) ? -EINVAL : -EOPNOTSUPP;
}

/* Check the arguments, except for the set. */
static int wait_check(const struct ivshmem_file *file, const struct ivshmem_wait *w)
{
	int ret;

	if (w->flags & ~(IVSHMEM_WAIT_SET | IVSHMEM_WAIT_WORD | IVSHMEM_WAIT_ABSTIME |
			 IVSHMEM_WAIT_RING | IVSHMEM_WAIT_NEWS) ||
	    w->spin_ns > IVSHMEM_MAX_SPIN_NS)
		return -EINVAL;
	if (!file->nr_vectors)
		return -EOPNOTSUPP;
	ret = check_vectors(file, w);
	if (!ret)
		ret = check_word(file, w);
	if (!ret)
		ret = check_ring(file, w);
	if (!ret)
		ret = check_news(file, w);
	return ret;
}

static bool set_signalled(const struct ivshmem_waiter *wr)
{
	unsigned int v;

	for (v = 0; v < wr->file->nr_vectors; v++)
		if (wr->set->wanted[v / 64] & BIT_ULL(v % 64) &&
		    ivshmem_unseen(wr->file, v))
			return true;
	return false;
}

static bool any_signalled(const struct ivshmem_waiter *wr)
{
	return wr->set ? set_signalled(wr) : ivshmem_unseen(wr->file, wr->w->vector);
}

/* Have peers come or gone? */
static bool has_news(const struct ivshmem_waiter *wr)
{
	return wr->told && wr->told != ivshmem_presence_generation(wr->file->idev);
}

/* Does the word differ from the expected value? Called inside the device. Or -EIO. */
static int word_changed(const struct ivshmem_waiter *wr)
{
	const struct ivshmem_node *node = wr->file->node;
	const u32 *word = ivshmem_node_memory(node) + wr->w->offset;

	if (!(wr->w->flags & IVSHMEM_WAIT_WORD))
		return 0;
	if (ivshmem_node_broken(node, wr->w->offset, sizeof(*word)))
		return -EIO;
	return READ_ONCE(*word) != wr->w->expected;
}

/*
 * Look at the word, as wait_look() does. During a reset that cannot be; its end notifies
 * all listeners. Apart, as it takes a frame of its own.
 */
static noinline int wait_look_at_word(const struct ivshmem_waiter *wr)
{
	int idx, ret = ivshmem_chardev_try(wr->file->chardev, &idx);

	if (ret)
		return ret == -EAGAIN ? 0 : ret;
	ret = word_changed(wr);
	ivshmem_access_end(wr->file->idev, idx);
	return ret;
}

/* Look once. Returns 1 if the call is over, 0 if nothing happened yet, -ENODEV or -EIO. */
static int wait_look(const struct ivshmem_waiter *wr)
{
	if (ivshmem_chardev_gone(wr->file->chardev))
		return -ENODEV;
	if (any_signalled(wr) || has_news(wr))
		return 1;
	return wr->w->flags & IVSHMEM_WAIT_WORD ? wait_look_at_word(wr) : 0;
}

/* Look some times, inside the device. Returns as wait_look() does, or -EAGAIN. */
static int wait_look_often(const struct ivshmem_waiter *wr)
{
	struct ivshmem_device *idev = wr->file->idev;
	int idx, i, ret = ivshmem_chardev_try(wr->file->chardev, &idx);

	if (ret)
		return ret;
	ivshmem_bells_look(idev, true);
	for (i = 0; i < SPIN_ROUNDS && !ret; i++) {
		cpu_relax();
		ret = any_signalled(wr) || has_news(wr) ? 1 : word_changed(wr);
	}
	ivshmem_access_end(idev, idx);
	return ret;
}

/*
 * Spin until the budget is used up or another task wants the processor, also where
 * the kernel is not preemptible. It leaves the device now and then: the end of a partition
 * waits for all that are inside, also in others.
 */
static int wait_spin(const struct ivshmem_waiter *wr)
{
	ktime_t end = ktime_add_ns(ktime_get(), wr->w->spin_ns);
	int ret;

	if (ktime_after(end, wr->deadline))
		end = wr->deadline;
	do {
		ret = wait_look_often(wr);
	} while (!ret && !need_resched() && !signal_pending(current) &&
		 ktime_before(ktime_get(), end));
	return ret == -EAGAIN ? 0 : ret;
}

/* A call that is restarted must not ring again, nor wait longer than it was told. */
static int interrupted(const struct ivshmem_wait *w)
{
	bool duration = w->timeout_ns > 0 && !(w->flags & IVSHMEM_WAIT_ABSTIME);

	return duration || w->flags & IVSHMEM_WAIT_RING ? -EINTR : -ERESTARTSYS;
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
			return interrupted(wr->w);
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
	int ret;

	if (!wr->counted) {
		ret = ivshmem_user_charge(&wr->file->user->waiters, IVSHMEM_USER_WAITERS);
		if (ret)
			return ret;
		wr->counted = true;
	}
	ivshmem_listen(wr->vec, NULL, &wr->listener);
	if (wr->told)
		ivshmem_listen(&wr->file->peer->news, NULL, &wr->news);
	ret = wait_loop(wr);
	__set_current_state(TASK_RUNNING);
	if (wr->told)
		ivshmem_listen(&wr->file->peer->news, &wr->news, NULL);
	ivshmem_listen(wr->vec, &wr->listener, NULL);
	return ret;
}

/*
 * Put what vector @v has to report into the outputs, unless a lower one is there
 * already. Returns the number of interrupts. The count is read last, as in
 * ivshmem_unseen().
 */
static u64 collect_vector(struct ivshmem_waiter *wr, unsigned int v, struct report *report)
{
	struct ivshmem_file *file = wr->file;
	struct ivshmem_wait *w = wr->w;
	u64 unseen;

	report->seen = atomic64_read_acquire(&file->seen[v]);
	report->count = atomic64_read(&file->peer->vectors[v].count);
	unseen = report->count - report->seen;
	if (unseen && !w->result) {
		w->result = IVSHMEM_RESULT_SIGNALLED;
		w->signalled_vector = v;
		w->count = unseen;
	}
	return unseen;
}

/* Write the arrays of a program; @n elements of @from are known here. */
static int put_words(u64 address, const u64 *from, size_t n, size_t wanted)
{
	u64 __user *to = u64_to_user_ptr(address);

	n = min(n, wanted);
	return copy_to_user(to, from, n * sizeof(u64)) ||
	       clear_user(to + n, (wanted - n) * sizeof(u64)) ? -EFAULT : 0;
}

static int collect_set(struct ivshmem_waiter *wr)
{
	unsigned int v, nr = wr->file->nr_vectors;
	const struct ivshmem_wait *w = wr->w;
	u64 __user *counts = u64_to_user_ptr(w->counts);
	struct wait_set *set = wr->set;
	u64 unseen;

	memset(set->signalled, 0, sizeof(set->signalled));
	if (counts && clear_user(counts, w->nbits * sizeof(u64)))
		return -EFAULT;
	for (v = 0; v < nr; v++) {
		if (!(set->wanted[v / 64] & BIT_ULL(v % 64)))
			continue;
		unseen = collect_vector(wr, v, &set->reports[v]);
		if (!unseen)
			continue;
		set->signalled[v / 64] |= BIT_ULL(v % 64);
		if (counts && put_user(unseen, counts + v))
			return -EFAULT;
	}
	if (!w->signalled_set)
		return 0;
	return put_words(w->signalled_set, set->signalled, ARRAY_SIZE(set->signalled),
			 DIV_ROUND_UP(w->nbits, 64));
}

static bool is_signalled(const struct wait_set *set, unsigned int v)
{
	return set->signalled[v / 64] & BIT_ULL(v % 64);
}

/* Mark a vector as seen, unless another thread with the same file has done so. */
static bool claim_vector(struct ivshmem_file *file, unsigned int v, const struct report *report)
{
	lockdep_assert_held(&file->seen_lock);
	if (atomic64_read(&file->seen[v]) != report->seen)
		return false;
	atomic64_set_release(&file->seen[v], report->count);
	return true;
}

/* The same for a set. All or nothing: what was written to the program is one result. */
static bool claim_set(struct ivshmem_file *file, const struct wait_set *set)
{
	unsigned int v;

	for (v = 0; v < file->nr_vectors; v++)
		if (is_signalled(set, v) &&
		    atomic64_read(&file->seen[v]) != set->reports[v].seen)
			return false;
	for (v = 0; v < file->nr_vectors; v++)
		if (is_signalled(set, v))
			claim_vector(file, v, &set->reports[v]);
	return true;
}

/* Mark what is reported as seen. Returns false if another thread was told a part of it. */
static bool claim(const struct ivshmem_waiter *wr, const struct report *report)
{
	struct ivshmem_file *file = wr->file;
	bool first;

	if (!(wr->w->result & IVSHMEM_RESULT_SIGNALLED))
		return true;
	spin_lock(&file->seen_lock);
	first = wr->set ? claim_set(file, wr->set) :
			  claim_vector(file, wr->w->vector, report);
	spin_unlock(&file->seen_lock);
	return first;
}

/* Report a changed word, but not in a reset: the program looks after it. */
static int collect_word(struct ivshmem_waiter *wr)
{
	int ret = wait_look_at_word(wr);

	if (ret > 0)
		wr->w->result |= IVSHMEM_RESULT_CHANGED;
	return min(ret, 0);
}

/*
 * Report to the program first and mark as seen then: if the result cannot be written,
 * no doorbell is lost. The counts are read before the word, so a reported doorbell
 * belongs to a change that the program sees when it looks at the memory.
 *
 * Returns 1 if nothing is left to report: another thread with the same file was told, or a reset
 * has begun.
 */
static int wait_report(struct ivshmem_waiter *wr, struct ivshmem_wait __user *uw)
{
	struct ivshmem_wait *w = wr->w;
	struct report report;
	int ret = 0;

	w->count = 0;
	w->signalled_vector = 0;
	w->result = 0;
	if (wr->set)
		ret = collect_set(wr);
	else
		collect_vector(wr, w->vector, &report);
	if (!ret && w->flags & IVSHMEM_WAIT_WORD) {
		smp_rmb(); /* counts before word, see above */
		ret = collect_word(wr);
	}
	if (ret)
		return ret;
	if (has_news(wr))
		w->result |= IVSHMEM_RESULT_NEWS;
	if (!w->result)
		return 1;
	if (copy_to_user(&uw->count, &w->count, OUT_SIZE))
		return -EFAULT;
	return claim(wr, &report) ? 0 : 1;
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

/*
 * Copy in the bits at @set. Those that no vector has must be 0, however many the
 * program has, and one bit must be set.
 */
static int read_set(struct wait_set *set, const struct ivshmem_wait *w, unsigned int nr)
{
	const u64 __user *from = u64_to_user_ptr(w->set);
	unsigned int i, words = DIV_ROUND_UP(w->nbits, 64);
	u64 word, any = 0;

	for (i = 0; i < words; i++) {
		unsigned int end = min(w->nbits, nr), first = i * 64;
		u64 valid = end <= first ? 0 : GENMASK_ULL(min(end - first, 64U) - 1, 0);

		if (get_user(word, from + i))
			return -EFAULT;
		if (word & ~valid)
			return -EINVAL;
		if (word)
			set->wanted[array_index_nospec(i, ARRAY_SIZE(set->wanted))] = word;
		any |= word;
	}
	return any ? 0 : -EINVAL;
}

static struct wait_set *new_set(const struct ivshmem_wait *w, unsigned int nr)
{
	struct wait_set *set = kzalloc(struct_size(set, reports, nr), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!set)
		return ERR_PTR(-ENOMEM);
	ret = read_set(set, w, nr);
	if (!ret)
		return set;
	kfree(set);
	return ERR_PTR(ret);
}

/* Wait in the order of cost: look, spin, sleep. Returns 1 if there is something to report. */
static int wait_once(struct ivshmem_waiter *wr, const struct file *filp)
{
	const struct ivshmem_wait *w = wr->w;
	int ret = wait_look(wr);

	if (!ret && ivshmem_bells_look(wr->file->idev, false))
		ret = wait_look(wr);
	if (!ret && filp->f_flags & O_NONBLOCK)
		return -EAGAIN;
	if (!ret && w->spin_ns)
		ret = wait_spin(wr);
	if (!ret)
		ret = w->timeout_ns ? wait_sleep(wr) : -ETIMEDOUT;
	return ret;
}

/* All other errors that a reset could give mean that this rang. */
static int wait_ring(const struct ivshmem_waiter *wr, struct file *filp)
{
	const struct ivshmem_wait *w = wr->w;
	int idx, ret = ivshmem_access_until(filp, wr->deadline, &idx);

	if (ret)
		return ret == -ENODEV ? ret : -EBUSY;
	ret = ivshmem_node_ring(wr->file->node, w->ring_peer, w->ring_vector);
	ivshmem_access_end(wr->file->idev, idx);
	return ret;
}

/* Ring, wait, and report. If another thread was told first, go on waiting. */
static int wait_run(struct ivshmem_waiter *wr, struct file *filp,
		    struct ivshmem_wait __user *uw)
{
	struct ivshmem_wait *w = wr->w;
	int ret;

	if (w->flags & IVSHMEM_WAIT_RING) {
		ret = wait_ring(wr, filp);
		if (ret)
			return ret;
	}
	for (;;) {
		ret = wait_once(wr, filp);
		if (ret > 0)
			ret = wait_report(wr, uw);
		if (ret <= 0)
			return ret;
		if (signal_pending(current))
			return interrupted(w);
		cond_resched();
	}
}

/**
 * ivshmem_wait() - sleep until a doorbell rings
 * @filp: the open file
 * @w: copied from the program; its vector and offset are clamped
 * @uw: the program's structure; its outputs are written on success
 *
 * Return: 0 or a negative errno as documented at struct ivshmem_wait
 */
int ivshmem_wait(struct file *filp, struct ivshmem_wait *w,
		 struct ivshmem_wait __user *uw)
{
	struct ivshmem_file *file = filp->private_data;
	unsigned int nr = file->nr_vectors;
	struct ivshmem_waiter wr = {
		.listener = { .ops = &waiter_ops, .queue = file->queue },
		.news = { .ops = &news_ops, .queue = file->queue },
		.task = current,
		.file = file,
		.w = w,
		.deadline = deadline_of(w),
	};
	int ret = wait_check(file, w);

	if (ret)
		return ret;
	if (w->flags & IVSHMEM_WAIT_SET) {
		wr.set = new_set(w, nr);
		if (IS_ERR(wr.set))
			return PTR_ERR(wr.set);
		wr.vec = &file->peer->any;
	} else {
		w->vector = array_index_nospec(w->vector, nr);
		wr.vec = &file->peer->vectors[w->vector];
	}
	w->offset = array_index_nospec((size_t)w->offset, file->node->part.size);
	if (w->flags & IVSHMEM_WAIT_NEWS)
		wr.told = atomic64_read(&file->told);
	w->count = 0;
	w->signalled_vector = 0;
	trace_ivshmem_wait_begin(file->idev->number, w);
	ret = wait_run(&wr, filp, uw);
	if (wr.counted)
		atomic_dec(&file->user->waiters);
	trace_ivshmem_wait_end(file->idev->number, ret, w->signalled_vector, w->count);
	if (w->flags & IVSHMEM_WAIT_SET)
		kfree(wr.set);
	return ret;
}
