/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ivshmem: what the files of the driver know of each other
 *
 * A device is one shared region, with or without doorbells. It comes from a
 * transport (pci.c), which gives it memory, a number of vectors, and the two
 * operations below; everything above the transport is the same code.
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
 *
 * Lock order, outer first:
 *
 *   parent's device_lock		(probe, remove, reset; never in an operation)
 *     mmap_lock
 *       idev->srcu
 *     vec->lock
 *       eventfd's own lock
 *
 * synchronize_srcu() is called under the device_lock only, where no reader of
 * idev->srcu ever goes.
 */
#ifndef IVSHMEM_H
#define IVSHMEM_H

#include <linux/atomic.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/wait.h>
#include "uapi/linux/ivshmem.h"

struct ivshmem_device;

/**
 * struct ivshmem_transport - what lies below a device
 * @ring: ring @vector of @peer; called between ivshmem_enter() and _exit()
 * @id: own peer number or IVSHMEM_ID_UNKNOWN; called likewise
 */
struct ivshmem_transport {
	void (*ring)(struct ivshmem_device *idev, u32 peer, u32 vector);
	u32 (*id)(struct ivshmem_device *idev);
};

/**
 * struct ivshmem_vector - one doorbell of ours
 * @idev: the device it belongs to (constant)
 * @count: times it fired; only grows
 * @queue: who sleeps for this vector alone
 * @lock: protects @eventfds
 * @eventfds: struct ivshmem_eventfd_binding.node of all open files
 * @attr: its file in sysfs (constant after registration)
 * @name: its number, for sysfs (constant)
 * @irq_name: what /proc/interrupts shows (constant)
 */
struct ivshmem_vector {
	struct ivshmem_device *idev;
	atomic64_t count;
	wait_queue_head_t queue;
	spinlock_t lock;	/* eventfds */
	struct list_head eventfds;
	struct device_attribute attr;
	char name[4];
	char irq_name[40];
};

enum ivshmem_state {
	IVSHMEM_LIVE,	/* operations run */
	IVSHMEM_PAUSED,	/* being reset: operations wait */
	IVSHMEM_GONE,	/* for good: operations fail */
};

/**
 * struct ivshmem_device - one shared region
 * @dev: owns the memory of this structure; its parent is the transport's device
 * @cdev: the node /dev/ivshmemN
 * @transport: operations of the layer below (constant)
 * @priv: the transport's own (constant)
 * @minor: N (constant after registration)
 * @state: enum ivshmem_state; written under the parent's device_lock, read
 *	between ivshmem_enter() and _exit() or with READ_ONCE() as a hint
 * @srcu: see the top of this file
 * @any: who sleeps for more than one vector, polls, or waits for the state to
 *	change
 * @inode: its address space holds the mappings through all nodes, so that one
 *	call takes them all away
 * @fasync: who wants SIGIO (has a lock of its own)
 * @phys: bus address of the region as the processor sees it, page-aligned
 * @size: bytes in the region, a multiple of the page size
 * @mem: the region in the kernel's address space
 * @registers_phys: page of the registers, if programs may map it, else 0
 * @can_ring: peers have doorbells, even if we got no interrupt of our own
 * @nr_vectors: elements of @vectors (constant after registration)
 * @vectors: the doorbells
 * @vector_attrs: for @vector_group
 * @vector_group: the directory "interrupts" in sysfs
 * @groups: all that sysfs shows
 *
 * Everything from @phys to the end is set before ivshmem_device_register() and
 * constant from then on, but for the insides of @vectors.
 */
struct ivshmem_device {
	struct device dev;
	struct cdev cdev;
	const struct ivshmem_transport *transport;
	void *priv;
	int minor;

	int state;
	struct srcu_struct srcu;
	wait_queue_head_t any;
	struct inode *inode;
	struct fasync_struct *fasync;

	phys_addr_t phys;
	size_t size;
	void *mem;
	phys_addr_t registers_phys;

	bool can_ring;
	unsigned int nr_vectors;
	struct ivshmem_vector *vectors;
	struct attribute **vector_attrs;
	struct attribute_group vector_group;
	const struct attribute_group *groups[3];
};

/**
 * struct ivshmem_file - an open file
 * @idev: holds a reference
 * @mode: FMODE_READ, FMODE_WRITE (constant)
 * @seen: per vector the count that was reported to this file; moved forward by
 *	whoever reports
 */
struct ivshmem_file {
	struct ivshmem_device *idev;
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
struct ivshmem_device *ivshmem_device_alloc(struct device *parent,
					    const struct ivshmem_transport *transport,
					    void *priv);
int ivshmem_device_map(struct ivshmem_device *idev, phys_addr_t phys,
		       resource_size_t size);
int ivshmem_device_register(struct ivshmem_device *idev);
void ivshmem_device_pause(struct ivshmem_device *idev);
void ivshmem_device_resume(struct ivshmem_device *idev);
void ivshmem_device_gone(struct ivshmem_device *idev);
void ivshmem_device_unmap(struct ivshmem_device *idev);

int ivshmem_enter(struct ivshmem_device *idev, int *idx);
int ivshmem_try_enter(struct ivshmem_device *idev, int *idx);
void ivshmem_exit(struct ivshmem_device *idev, int idx);

/* event.c */
int ivshmem_vectors_alloc(struct ivshmem_device *idev, unsigned int nr);
void ivshmem_vectors_free(struct ivshmem_device *idev);
void ivshmem_vector_fire(struct ivshmem_vector *vec);
void ivshmem_vectors_fire_all(struct ivshmem_device *idev);
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
unsigned long ivshmem_get_unmapped_area(struct file *filp, unsigned long addr,
					unsigned long len, unsigned long pgoff,
					unsigned long flags);
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
