/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ivshmem: what the files of the core know of each other; transport.h tells
 * what a device and its transport are
 *
 * Who may run when
 *
 * Every entry from user space (file operations, page faults, sysfs) may run on
 * any number of processors at once, with interrupts coming in and the device
 * going away in the middle. What holds it together:
 *
 *   idev->srcu	A reader is inside "the device is there": between
 *		ivshmem_enter() and ivshmem_exit() the region and the registers
 *		may be touched. In there nobody sleeps for a doorbell, and
 *		nobody touches the memory of programs: that could be a mapping
 *		of this very device, whose page fault waits for the end of a
 *		reset, which waits for the reader. Leaving LIVE means: set the
 *		state, wait for all readers to get out.
 *   vec->lock	Protects vec->eventfds. Taken in the interrupt handler, so
 *		interrupts are off around it elsewhere.
 *   RCU	A peer found in idev->peers lives until rcu_read_unlock().
 *
 * Lock order, outer first:
 *
 *   transport's lock	(probe, remove, reset; never in an operation)
 *     mmap_lock
 *       idev->srcu
 *         idev->peers' own lock
 *         RCU
 *     vec->lock
 *       eventfd's own lock
 *
 * The transport's lock is the parent's device_lock for PCI. synchronize_srcu()
 * is called under it only, where no reader of idev->srcu ever goes.
 */
#ifndef IVSHMEM_H
#define IVSHMEM_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include "transport.h"

/**
 * struct ivshmem_vector - one doorbell of a peer of ours
 * @peer: whom it belongs to (constant)
 * @count: times it fired; only grows
 * @queue: who sleeps for this vector alone
 * @lock: protects @eventfds
 * @eventfds: struct ivshmem_eventfd_binding.node of all open files
 */
struct ivshmem_vector {
	struct ivshmem_peer *peer;
	atomic64_t count;
	wait_queue_head_t queue;
	spinlock_t lock;	/* eventfds */
	struct list_head eventfds;
};

/**
 * struct ivshmem_peer - somebody here who can be rung
 * @idev: the device (constant)
 * @id: in idev->peers (constant; not used by a device with one peer)
 * @any: who sleeps for more than one vector, or polls
 * @fasync: who wants SIGIO (has a lock of its own)
 * @rcu: for freeing it
 * @vectors: as many as the device has
 */
struct ivshmem_peer {
	struct ivshmem_device *idev;
	u32 id;
	wait_queue_head_t any;
	struct fasync_struct *fasync;
	struct rcu_head rcu;
	struct ivshmem_vector vectors[];
};

/**
 * struct ivshmem_counter - what sysfs tells of a vector, for all peers together
 * @count: times it fired; only grows
 * @attr: its file (constant after registration)
 * @name: its number (constant)
 */
struct ivshmem_counter {
	atomic64_t count;
	struct device_attribute attr;
	char name[4];
};

enum ivshmem_state {
	IVSHMEM_LIVE,	/* operations run */
	IVSHMEM_PAUSED,	/* being reset: operations wait */
	IVSHMEM_GONE,	/* for good: operations fail */
};

/**
 * struct ivshmem_file - an open file
 * @idev: holds a reference
 * @peer: whose doorbells it hears: the device's, or its own
 * @mode: FMODE_READ, FMODE_WRITE (constant)
 * @seen: per vector the count that was reported to this file; moved forward by
 *	whoever reports
 */
struct ivshmem_file {
	struct ivshmem_device *idev;
	struct ivshmem_peer *peer;
	fmode_t mode;
	atomic64_t seen[];
};

/* main.c */
extern struct class ivshmem_class;
extern dev_t ivshmem_first_devt;
extern unsigned int ivshmem_cache;
extern bool ivshmem_map_registers;
extern const char * const ivshmem_cache_names[];
int ivshmem_minor_get(void);
void ivshmem_minor_put(int minor);
struct inode *ivshmem_inode_new(void);

/* device.c */
extern const struct dev_pm_ops ivshmem_pm_ops;
void ivshmem_device_pause(struct ivshmem_device *idev);
void ivshmem_device_resume(struct ivshmem_device *idev);
int ivshmem_enter(struct ivshmem_device *idev, int *idx);
int ivshmem_try_enter(struct ivshmem_device *idev, int *idx);
void ivshmem_exit(struct ivshmem_device *idev, int idx);

/* peer.c */
int ivshmem_peer_join(struct ivshmem_file *file);
void ivshmem_peer_leave(struct ivshmem_file *file);
u32 ivshmem_peer_id(struct ivshmem_peer *peer);
void ivshmem_peers_fire_all(struct ivshmem_device *idev);
void ivshmem_peers_free(struct ivshmem_device *idev);

/* event.c */
void ivshmem_vector_fire(struct ivshmem_vector *vec);
u64 ivshmem_unseen(struct ivshmem_file *file, unsigned int vector);
bool ivshmem_events_pending(struct ivshmem_file *file);
int ivshmem_eventfd_bind(struct ivshmem_file *file, u32 vector, int fd);
void ivshmem_eventfd_unbind_all(struct ivshmem_file *file);

/* file.c, ioctl.c, wait.c, mmap.c, sysfs.c */
extern const struct file_operations ivshmem_fops;
long ivshmem_ioctl(struct file *filp, unsigned int cmd, unsigned long arg);
int ivshmem_wait_check(struct ivshmem_file *file, const struct ivshmem_wait *w);
int ivshmem_wait(struct ivshmem_file *file, struct ivshmem_wait *w);
int ivshmem_mmap(struct file *filp, struct vm_area_struct *vma);
int ivshmem_sysfs_prepare(struct ivshmem_device *idev);

/*
 * Where mmap finds the register page: far beyond any region, within what a
 * 32-bit program can say.
 */
#define IVSHMEM_REGISTERS_OFFSET	BIT_ULL(43)

/* pci.c */
int ivshmem_pci_init(void);
void ivshmem_pci_exit(void);

#endif /* IVSHMEM_H */
