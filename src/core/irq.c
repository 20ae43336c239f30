// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of a device
 *
 * They are enabled only while files are open or a driver handles vectors, so that peers
 * that ring a device in vain cost this machine at most one interrupt for each vector: the
 * kernel masks the vector when that one comes in. The next user of the device gets it, as
 * a doorbell that came before and may mean something.
 *
 * Neither a reset nor sleep changes what is enabled: the bus restores its masks.
 */
#include <linux/interrupt.h>
#include "core.h"

/**
 * ivshmem_device_request_irq() - let an interrupt signal a vector
 * @idev: with vectors, not registered yet
 * @vector: below nr_vectors
 * @irq: the interrupt; not shared, and works like an edge
 * @name: in /proc/interrupts; not copied
 *
 * Return: 0 or a negative errno
 */
int ivshmem_device_request_irq(struct ivshmem_device *idev, unsigned int vector,
			       unsigned int irq, const char *name)
{
	int ret = ivshmem_request_disabled_irq(irq, ivshmem_interrupt, name,
					       &idev->peer->vectors[vector]);

	if (!ret)
		idev->counters[vector].irq = irq;
	return ret;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_request_irq);

/**
 * ivshmem_device_free_irqs() - free all interrupts that were requested
 * @idev: never registered, unregistered, or shut down. Removal can come beside shutdown; the
 *	second of them finds none left
 */
void ivshmem_device_free_irqs(struct ivshmem_device *idev)
{
	static DEFINE_MUTEX(lock);
	unsigned int i;

	mutex_lock(&lock);
	for (i = 0; i < idev->nr_vectors; i++) {
		if (idev->counters[i].irq)
			free_irq(idev->counters[i].irq, &idev->peer->vectors[i]);
		idev->counters[i].irq = 0;
	}
	mutex_unlock(&lock);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_free_irqs);

static void enable(const struct ivshmem_device *idev, bool on)
{
	unsigned int i;

	for (i = 0; i < idev->nr_vectors; i++) {
		if (!idev->counters[i].irq)
			continue;
		if (on)
			enable_irq(idev->counters[i].irq);
		else
			disable_irq_nosync(idev->counters[i].irq);
	}
}

static void update(struct ivshmem_device *idev)
{
	int state = READ_ONCE(idev->state);
	bool on = state == IVSHMEM_LIVE && idev->irq_users;

	lockdep_assert_held(&idev->irq_lock);
	if (state == IVSHMEM_RESETTING || on == idev->irqs_enabled)
		return;
	idev->irqs_enabled = on;
	enable(idev, on);
}

/**
 * ivshmem_irqs_update() - enable the interrupts while they have users
 * @idev: whose state has changed
 *
 * Interrupts of an unregistered device are disabled for good. During a reset they stay
 * as they are, because to unmask one accesses the device.
 */
void ivshmem_irqs_update(struct ivshmem_device *idev)
{
	mutex_lock(&idev->irq_lock);
	update(idev);
	mutex_unlock(&idev->irq_lock);
}

static void count_user(struct ivshmem_device *idev, int n)
{
	mutex_lock(&idev->irq_lock);
	idev->irq_users += n;
	update(idev);
	mutex_unlock(&idev->irq_lock);
}

/**
 * ivshmem_irqs_count_file() - count an open file as a user of the interrupts, or no longer
 * @chardev: what is open
 * @n: 1 or -1
 *
 * Files that outlive the binding to the node count no more, see ivshmem_irqs_drop_files().
 */
void ivshmem_irqs_count_file(struct ivshmem_chardev *chardev, int n)
{
	struct ivshmem_device *idev = chardev->idev;

	mutex_lock(&idev->irq_lock);
	if (!READ_ONCE(chardev->unbound)) {
		chardev->irq_users += n;
		idev->irq_users += n;
		update(idev);
	}
	mutex_unlock(&idev->irq_lock);
}

/**
 * ivshmem_irqs_drop_files() - stop to count all open files of a node
 * @chardev: unbound, so no file is counted any more
 */
void ivshmem_irqs_drop_files(struct ivshmem_chardev *chardev)
{
	struct ivshmem_device *idev = chardev->idev;

	mutex_lock(&idev->irq_lock);
	idev->irq_users -= chardev->irq_users;
	update(idev);
	mutex_unlock(&idev->irq_lock);
}

/**
 * ivshmem_irqs_get() - count a user of the interrupts
 * @idev: the device
 */
void ivshmem_irqs_get(struct ivshmem_device *idev)
{
	count_user(idev, 1);
}

/**
 * ivshmem_irqs_put() - stop to count a user of the interrupts
 * @idev: the device
 */
void ivshmem_irqs_put(struct ivshmem_device *idev)
{
	count_user(idev, -1);
}
