// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits on what one user may have of a device
 *
 * Open files and dma-bufs, files with O_ASYNC and tasks asleep in WAIT are counted per user and
 * character device. Where each file is a peer, which takes one of the device's ids, that is per
 * user and device, whatever partitions it has. CAP_SYS_RESOURCE lifts the limits.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include "core.h"

/*
 * An unprivileged user gets any number of uids in a user namespace of its own. They
 * count as the user who created the namespace.
 */
static kuid_t counted_uid(void)
{
	const struct user_namespace *ns = current_user_ns();
	kuid_t uid = current_uid();

	for (; ns != &init_user_ns; ns = ns->parent)
		if (!uid_eq(ns->owner, GLOBAL_ROOT_UID))
			uid = ns->owner;
	return uid;
}

static struct ivshmem_user *lookup_user(struct ivshmem_device *idev,
					const struct ivshmem_user *wanted)
{
	struct ivshmem_user *user;

	lockdep_assert_held(&idev->users_lock);
	list_for_each_entry(user, &idev->users, node)
		if (uid_eq(user->uid, wanted->uid) && user->chardev == wanted->chardev)
			return user;
	return NULL;
}

static bool over_limits(void)
{
	return ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE);
}

/**
 * ivshmem_user_get() - count an open file
 * @chardev: what is opened
 *
 * Return: the caller's user; -EUSERS if it has too many files; -ENOMEM
 */
struct ivshmem_user *ivshmem_user_get(struct ivshmem_chardev *chardev)
{
	struct ivshmem_peer *shared = chardev->node->shared;
	struct ivshmem_device *idev = chardev->idev;
	/* Before the lock: it may wait for the caller's memory cgroup. */
	struct ivshmem_user *user, *new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);

	if (!new)
		return ERR_PTR(-ENOMEM);
	new->uid = counted_uid();
	/* Its work looks at files of this one, and is waited for before the last of these goes. */
	new->chardev = shared ? chardev : NULL;
	ivshmem_queue_begin(&new->queue, shared);
	mutex_lock(&idev->users_lock);
	user = lookup_user(idev, new);
	if (!user) {
		list_add(&new->node, &idev->users);
		swap(user, new);
	}
	if (user->files >= IVSHMEM_USER_FILES && !over_limits())
		user = ERR_PTR(-EUSERS);
	else
		user->files++;
	mutex_unlock(&idev->users_lock);
	kfree(new);
	return user;
}

/**
 * ivshmem_user_put() - stop counting a file that is closed
 * @idev: whose node was opened
 * @user: as ivshmem_user_get() returned it
 */
void ivshmem_user_put(struct ivshmem_device *idev, struct ivshmem_user *user)
{
	bool last;

	mutex_lock(&idev->users_lock);
	last = !--user->files;
	if (last)
		list_del(&user->node);
	mutex_unlock(&idev->users_lock);
	if (!last)
		return;
	ivshmem_queue_end(&user->queue);
	kfree(user);
}

/**
 * ivshmem_user_charge() - increment a counter with a limit
 * @count: in struct ivshmem_user
 * @max: the limit
 *
 * Return: 0, to be undone by atomic_dec(); or -EUSERS
 */
int ivshmem_user_charge(atomic_t *count, int max)
{
	/* A task that may be over the limit takes the count there, for others of its user too. */
	if (atomic_inc_return(count) <= max || over_limits())
		return 0;
	atomic_dec(count);
	return -EUSERS;
}
