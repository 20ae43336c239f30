// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits: how much of a device one user may have
 *
 * Open files, files that want SIGIO, and tasks asleep in WAIT are counted for each
 * user of each device. CAP_SYS_RESOURCE lifts the limits.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include "core.h"

/*
 * A user without privileges gets as many ids as it likes in a user namespace of
 * its own; they count as the user who made the namespace.
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

static struct ivshmem_user *lookup_user(struct ivshmem_device *idev, kuid_t uid)
{
	struct ivshmem_user *user;

	lockdep_assert_held(&idev->users_lock);
	list_for_each_entry(user, &idev->users, node)
		if (uid_eq(user->uid, uid))
			return user;
	user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
	if (!user)
		return NULL;
	user->uid = uid;
	list_add(&user->node, &idev->users);
	return user;
}

/**
 * ivshmem_user_get() - count an open file
 * @idev: its device
 *
 * Return: the caller's user; -EUSERS if that has too many; -ENOMEM
 */
struct ivshmem_user *ivshmem_user_get(struct ivshmem_device *idev)
{
	struct ivshmem_user *user;

	mutex_lock(&idev->users_lock);
	user = lookup_user(idev, counted_uid());
	if (!user)
		user = ERR_PTR(-ENOMEM);
	else if (user->files >= IVSHMEM_USER_FILES && !capable(CAP_SYS_RESOURCE))
		user = ERR_PTR(-EUSERS);
	else
		user->files++;
	mutex_unlock(&idev->users_lock);
	return user;
}

/**
 * ivshmem_user_put() - an open file was closed
 * @idev: its device
 * @user: as ivshmem_user_get() gave it
 */
void ivshmem_user_put(struct ivshmem_device *idev, struct ivshmem_user *user)
{
	mutex_lock(&idev->users_lock);
	if (!--user->files) {
		list_del(&user->node);
		kfree(user);
	}
	mutex_unlock(&idev->users_lock);
}

/**
 * ivshmem_user_charge() - count one more of something
 * @count: of struct ivshmem_user
 * @max: its limit
 *
 * Return: 0, to be undone by atomic_dec(); or -EUSERS
 */
int ivshmem_user_charge(atomic_t *count, int max)
{
	if (atomic_inc_return(count) <= max || capable(CAP_SYS_RESOURCE))
		return 0;
	atomic_dec(count);
	return -EUSERS;
}
