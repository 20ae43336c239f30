// SPDX-License-Identifier: GPL-2.0-only
/*
 * PEERS: who is present, and sleep until that changes
 *
 * A file that has called it gets a second listener, to the news of its peer. That wakes
 * those who sleep here as well as pollers, in the work item of its user (event.c).
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include "core.h"

/* An element of a program is no longer than this. */
#define INFO_SIZE_MAX	4096

/**
 * ivshmem_news_pending() - has anything changed since the last PEERS of a file?
 * @file: the file
 *
 * Return: false if it has never called PEERS
 */
bool ivshmem_news_pending(const struct ivshmem_file *file)
{
	u64 told = atomic64_read(&file->told);

	return told && told != ivshmem_presence_generation(file->idev);
}

/**
 * ivshmem_news_told() - note what a file knows
 * @file: the file
 * @generation: of the result that the program has got. Another thread may have got a newer one
 *
 * The file had no news before its first result. Those that came since that was collected are
 * notified here.
 */
void ivshmem_news_told(struct ivshmem_file *file, u64 generation)
{
	s64 told = atomic64_read(&file->told);

	do {
		if (told >= (s64)generation)
			return;
	/* A full barrier; told first, look then: pairs with ivshmem_news_signal() */
	} while (!atomic64_try_cmpxchg(&file->told, &told, generation));
	if (!told && ivshmem_news_pending(file))
		file->news.ops->notify(&file->news, false);
}

/**
 * ivshmem_news_check() - check the arguments of PEERS
 * @p: copied from the program
 *
 * Return: 0 or -EINVAL
 */
int ivshmem_news_check(const struct ivshmem_peers *p)
{
	if (p->flags & ~IVSHMEM_PEERS_WAIT || (p->timeout_ns && !p->flags))
		return -EINVAL;
	if (!p->room)
		return p->peers || p->info_size ? -EINVAL : 0;
	if (!p->peers || p->info_size % sizeof(u64) || p->info_size > INFO_SIZE_MAX ||
	    p->info_size < sizeof(struct ivshmem_peer_info))
		return -EINVAL;
	return 0;
}

/* Is there a reason not to sleep on? */
static bool is_over(const struct ivshmem_file *file, u64 known)
{
	return ivshmem_presence_generation(file->idev) != known ||
	       ivshmem_chardev_gone(file->chardev);
}

/* A call that is restarted must not wait longer than it was told. */
static int interrupted(const struct ivshmem_peers *p)
{
	return p->timeout_ns > 0 ? -EINTR : -ERESTARTSYS;
}

static int wait_for_news(struct file *filp, const struct ivshmem_peers *p)
{
	struct ivshmem_file *file = filp->private_data;
	ktime_t timeout = p->timeout_ns < 0 ? KTIME_MAX : ns_to_ktime(p->timeout_ns);
	int ret;

	if (is_over(file, p->generation))
		return 0;
	if (filp->f_flags & O_NONBLOCK)
		return -EAGAIN;
	if (!p->timeout_ns)
		return -ETIMEDOUT;
	ret = ivshmem_user_charge(&file->user->waiters, IVSHMEM_USER_WAITERS);
	if (ret)
		return ret;
	ret = wait_event_interruptible_hrtimeout(file->sleepers, is_over(file, p->generation),
						 timeout);
	atomic_dec(&file->user->waiters);
	if (ret == -ETIME)
		return -ETIMEDOUT;
	return ret == -ERESTARTSYS ? interrupted(p) : ret;
}

/* Give a program what it has room for. */
static int put_infos(const struct ivshmem_peers *p, const struct ivshmem_peer_info *all)
{
	char __user *to = u64_to_user_ptr(p->peers);
	u32 i, n = min(p->nr, p->room), rest = p->info_size - sizeof(*all);

	for (i = 0; i < n; i++, to += p->info_size)
		if (copy_to_user(to, &all[i], sizeof(*all)) ||
		    clear_user(to + sizeof(*all), rest))
			return -EFAULT;
	return 0;
}

/* Without a timeout this waits for the end of a reset, as other accesses do. */
static int enter(struct file *filp, const struct ivshmem_peers *p, ktime_t deadline, int *idx)
{
	int ret;

	if (!(p->flags & IVSHMEM_PEERS_WAIT))
		return ivshmem_access_file(filp, idx);
	ret = ivshmem_access_until(filp, deadline, idx);
	return ret == -ERESTARTSYS ? interrupted(p) : ret;
}

static int collect(struct file *filp, struct ivshmem_peers *p, ktime_t deadline,
		   struct ivshmem_peer_info *all, unsigned int room)
{
	struct ivshmem_file *file = filp->private_data;
	int idx, nr = enter(filp, p, deadline, &idx);

	if (nr)
		return nr;
	nr = ivshmem_presence_copy(file->idev, all, room, &p->generation);
	ivshmem_access_end(file->idev, idx);
	if (nr < 0)
		return nr;
	p->nr = nr;
	return put_infos(p, all);
}

/**
 * ivshmem_news() - find out who is present, after a change if the program wants that
 * @filp: the open file
 * @p: arguments that ivshmem_news_check() accepts; outputs
 *
 * Return: 0 or a negative errno as documented at struct ivshmem_peers
 */
int ivshmem_news(struct file *filp, struct ivshmem_peers *p)
{
	struct ivshmem_file *file = filp->private_data;
	unsigned int room = min_t(u32, p->room, IVSHMEM_LABEL_MAX_PEERS);
	u64 generation = ivshmem_presence_generation(file->idev);
	ktime_t deadline = p->timeout_ns < 0 ? KTIME_MAX :
			   ktime_add_safe(ktime_get(), ns_to_ktime(p->timeout_ns));
	struct ivshmem_peer_info *all;
	int ret = 0;

	if (!rcu_access_pointer(file->idev->slots)) {
		/* That they have gone is known now, until they come again. */
		if (atomic64_read(&file->told))
			ivshmem_news_told(file, generation);
		return -EOPNOTSUPP;
	}
	all = kvcalloc(room, sizeof(*all), GFP_KERNEL_ACCOUNT);
	if (!all)
		return -ENOMEM;
	ivshmem_file_listen(file, &file->peer->news, &file->news);
	if (p->flags & IVSHMEM_PEERS_WAIT)
		ret = wait_for_news(filp, p);
	if (!ret)
		ret = collect(filp, p, deadline, all, room);
	kvfree(all);
	return ret;
}
