/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ivshmem: declarations shared by the files of the core
 *
 *	transport	PCI, a window, memory: finds the device, see transport.h
 *	device		its memory, peers and lifetime: struct ivshmem_device
 *	node		all of it, or a partition, on the bus: struct ivshmem_node
 *	driver		bound to a node and owns it, see client.h. One of them is the
 *			character device: struct ivshmem_chardev
 *
 * Concurrency
 *
 * Every entry from user space (file operations, page faults, sysfs) may run on
 * any number of processors at once, while interrupts come in and the device is
 * reset or removed. The rules:
 *
 *   idev->srcu	Between ivshmem_access_try() and ivshmem_access_end() a task
 *		may access the region and the registers. There it neither sleeps
 *		for a doorbell nor accesses the memory of programs. That memory
 *		could be a mapping of this device: its page fault would wait for
 *		the end of a reset, and the reset for the task. To leave the
 *		state LIVE means to set the state and wait for all such tasks.
 *   vec->lock	Protects the listeners of a vector. Taken in the interrupt
 *		handler, so interrupts are off around it elsewhere, and it is
 *		held for a few wake-ups at most (but see eventfd.c).
 *   idev->nodes_lock	Partitions come and go under it alone. Who enters or leaves the
 *		state LIVE holds it, so that no node comes between the parts of that.
 *		The beat of slot.c, for which its holders wait, only tries to get it. So work
 *		of its own, for which they do not wait, notifies the drivers of nodes of peers.
 *   RCU	A peer found in idev->peers, or a vector in idev->counters, stays until
 *		rcu_read_unlock().
 *
 * Lock order, outer first:
 *
 *   transport's lock	(probe, remove, reset; never in an operation)
 *   file of sysfs that changes the partitions	(removed after idev->nodes_lock is dropped)
 *    idev->nodes_lock
 *    device_lock of a node	(callbacks of its driver)
 *     idev->slots_lock	(waits for the beat of slot.c, and for idev->srcu)
 *     mmap_lock
 *       reservation lock of a dma-buf	(taken by the drivers that import it)
 *         idev->srcu
 *       idev->srcu
 *         node->buffers_lock	(to export)
 *         lock of a page	(outlives idev->srcu in a page fault)
 *         slots->lock
 *         idev->peers' own lock
 *         RCU
 *     node->buffers_lock
 *       reservation lock of a dma-buf	(to revoke; then nobody waits for idev->srcu)
 *     file->lock
 *       vec->lock
 *         locks of the wait queues that are woken: eventfd's, file->pollers' and
 *         file->sleepers'
 *     file->seen_lock	(nothing is taken under it)
 *     idev->users_lock
 *     idev->irq_lock
 *       locks of the interrupt controller
 *     idev->bells.lock	(in any context; never under vec->lock)
 *       lock of the kernel's timers
 *    pagemaps_lock	(probe, remove)
 *      the kernel's lock of memory hotplug
 *
 * The transport's lock is the parent's device_lock for PCI. synchronize_srcu()
 * is called under that lock, a node's device_lock or idev->slots_lock, which no reader of
 * idev->srcu takes.
 *
 * Life of a node: the whole device's is from ivshmem_device_register() to _unregister(). A
 * partition's ends earlier if its entry in the table changes. Its open files, mappings and
 * dma-bufs then see the end of a device; they refer to the node's character device, that to
 * the node, and that to struct ivshmem_device. At shutdown and resume the kernel calls the
 * bus for each node, under its device_lock, and only that node is dealt with.
 *
 * Removal and reset wait for nothing that a user of the device controls. Tasks
 * inside leave after a bounded amount of work: they have allocated all memory
 * before, page tables included. The lock of a page is held as shortly: for a page
 * fault the kernel has allocated the page table before, too. The reservation lock of a
 * dma-buf is the affair of the drivers that import it. A page fault may wait for the end of a
 * reset under mmap_lock, so nothing that a reset needs may wait for that.
 */
#ifndef IVSHMEM_CORE_H
#define IVSHMEM_CORE_H

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/cdev.h>
#include <linux/fs.h>
#include <linux/irqreturn.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include "bell.h"
#include "client.h"
#include "compat.h"
#include "label.h"
#include "transport.h"

/* Devices are numbered from 0 to this, exclusive. */
#define IVSHMEM_DEVICES	1024

/* Nodes of a device: node 0 is all of it, the others are partitions. */
#define IVSHMEM_NODES	(1 + IVSHMEM_LABEL_MAX_ENTRIES)

/* Limits of one user on one device, see user.c and docs/security.md. */
#define IVSHMEM_USER_FILES	1024	/* open files and dma-bufs */
#define IVSHMEM_USER_SIGIO	16	/* open files with O_ASYNC */
#define IVSHMEM_USER_WAITERS	256	/* tasks asleep in WAIT or PEERS */

/* Where each open file has an id: ids that only CAP_SYS_RESOURCE may take. */
#define IVSHMEM_RESERVED_IDS	16

/* How long a task may wait for the end of a reset with a lock that others need. */
#define IVSHMEM_LOCKED_WAIT_MS	10

struct ivshmem_listener;
struct ivshmem_slots;

/* The numbers of struct ivshmem_peer.any and .news. */
#define IVSHMEM_ANY_VECTOR	IVSHMEM_MAX_VECTORS
#define IVSHMEM_NEWS_VECTOR	(IVSHMEM_MAX_VECTORS + 1)
#define IVSHMEM_VECTOR_NUMBERS	(IVSHMEM_MAX_VECTORS + 2)

/**
 * struct ivshmem_queue - deferred notifications of one user at one peer
 * @peer: whose vectors they are (constant)
 * @work: notifies the listeners
 * @vectors: those that were signalled meanwhile
 *
 * Each user has a work item of its own, so a user with a thousand listeners delays
 * nobody else.
 */
struct ivshmem_queue {
	struct ivshmem_peer *peer;
	struct work_struct work;
	DECLARE_BITMAP(vectors, IVSHMEM_VECTOR_NUMBERS);
};

/**
 * struct ivshmem_user - use of a device by one user
 * @node: in idev->users
 * @uid: the user (constant)
 * @chardev: what is used (constant), or NULL for all of the device, if each file is a peer
 * @files: open files and dma-bufs; under idev->users_lock
 * @sigio: those of them with O_ASYNC
 * @waiters: tasks asleep in WAIT or PEERS
 * @queue: its queue at the peer that the files share; without a peer if each is its own
 */
struct ivshmem_user {
	struct list_head node;
	kuid_t uid;
	struct ivshmem_chardev *chardev;
	unsigned int files;
	atomic_t sigio;
	atomic_t waiters;
	struct ivshmem_queue queue;
};

/**
 * struct ivshmem_listener_ops - operations of one kind of listener
 * @notify: report a doorbell. With @direct the call comes from the interrupt
 *	handler, under vec->lock; it returns false without doing anything if it
 *	would wake more than one task. Otherwise it may sleep if @put is set
 * @put: drop a reference; NULL if the listener has no references and is always
 *	notified under vec->lock
 * @always_deferred: the interrupt handler never notifies it
 * @wants: doorbells are wanted while it is in a list
 */
struct ivshmem_listener_ops {
	bool (*notify)(struct ivshmem_listener *l, bool direct);
	void (*put)(struct ivshmem_listener *l);
	bool always_deferred;
	bool wants;
};

/**
 * struct ivshmem_listener - receiver of the doorbells of a vector
 * @node: in vec->listeners
 * @ops: operations (constant)
 * @queue: the queue of its user (constant). Stays as long as the listener is in the
 *	list. NULL: a cursor, not a listener
 * @notified: vec->count at the last notification; older for a direct listener
 * @refs: references, if @ops has put
 * @direct: the interrupt handler notifies it
 * @retired: its work item removes it, and then notifies it
 * @lasting: it was added for as long as its file is open; released after that, to be acquired
 *
 * All but @ops, @queue, @refs and @lasting is protected by vec->lock.
 */
struct ivshmem_listener {
	struct hlist_node node;
	const struct ivshmem_listener_ops *ops;
	struct ivshmem_queue *queue;
	s64 notified;
	refcount_t refs;
	bool direct;
	bool retired;
	bool lasting;
};

/**
 * struct ivshmem_vector - one doorbell of a local peer
 * @count: times it was signalled; only grows
 * @listeners: struct ivshmem_listener, the direct ones first
 * @lock: protects all but @count
 * @number: index in the peer (constant)
 * @direct: number of direct listeners
 * @mixed: the deferred listeners may have several queues
 *
 * An open file may have 256 of these, so they are small.
 */
struct ivshmem_vector {
	atomic64_t count;
	struct hlist_head listeners;
	spinlock_t lock;	/* see above */
	u16 number;
	u8 direct;
	bool mixed;
};

/**
 * struct ivshmem_handler - a driver's handler of a vector
 * @handle: called first when the vector is signalled, or NULL
 * @data: its argument
 * @masked: it is not called, and no doorbell is wanted for it; also without @handle. A whole
 *	number for xchg()
 * @seen: count of the vector when it was called last
 */
struct ivshmem_handler {
	void (*handle)(void *data);
	void *data;
	unsigned int masked;
	s64 seen;
};

/**
 * struct ivshmem_peer - a local peer: its vectors can be rung
 * @idev: the device (constant)
 * @node: with peer_per_file the node that it belongs to, to compare with; else NULL
 * @id: in idev->peers (constant; not used by a device with one peer)
 * @first_vector: of the device, which is 0 here (constant)
 * @nr_vectors: number of @vectors (constant after registration). If they are polled, all that
 *	a label can give the device
 * @twin: each of its vectors is signalled after one of idev->peer, which is counted
 * @any: signalled with each of the vectors, for listeners to several of them
 * @news: signalled when other machines come or go
 * @handlers: of a driver, by vector; NULL if it has none
 * @queue: deferred notifications, if the peer belongs to one file
 * @work: gives the vectors whose listeners have several queues to these
 * @shared: those vectors
 * @rcu: for freeing
 * @vectors: the doorbells
 */
struct ivshmem_peer {
	struct ivshmem_device *idev;
	const struct ivshmem_node *node;
	u32 id;
	u16 first_vector;
	u16 nr_vectors;
	bool twin;
	struct ivshmem_vector any;
	struct ivshmem_vector news;
	struct ivshmem_handler __rcu *handlers;
	struct ivshmem_queue queue;
	struct work_struct work;
	DECLARE_BITMAP(shared, IVSHMEM_VECTOR_NUMBERS);
	struct rcu_head rcu;
	struct ivshmem_vector vectors[];
};

/**
 * struct ivshmem_counter - interrupts of a vector, of all peers together
 * @count: times it was signalled; only grows
 * @irq: the interrupt, or 0 (constant while the device is registered, up to shutdown)
 * @twin: of a partition: the same vector of its peer, signalled next; or NULL
 */
struct ivshmem_counter {
	atomic64_t count;
	unsigned int irq;
	struct ivshmem_vector __rcu *twin;
};

enum ivshmem_state {
	IVSHMEM_LIVE,		/* operations run */
	IVSHMEM_RESETTING,	/* operations wait */
	IVSHMEM_UNREGISTERED,	/* operations fail, for good */
};

/**
 * struct ivshmem_section - memory of a device
 * @phys: address, page-aligned; 0 if the section consists of @pages
 * @pages: pages of kernel-allocated memory (shmem), in order, or NULL
 * @pagemap: struct pages for the memory at @phys, or NULL
 * @huge: they are huge
 * @why_not: why there are none, if there should be
 * @size: bytes, a multiple of the page size; 0 if there is no such section
 * @mem: the kernel's mapping, if it has one
 * @cache: IVSHMEM_CACHE_*, for programs and for @mem
 *
 * Once the device is registered only @mem changes: open files and sysfs look at the rest outside
 * the device, also when it goes. What @pages and @pagemap point to goes with it.
 */
struct ivshmem_section {
	phys_addr_t phys;
	struct page **pages;
	struct ivshmem_pagemap *pagemap;
	bool huge;
	const char *why_not;
	size_t size;
	void *mem;
	unsigned int cache;
};

/**
 * struct ivshmem_device - shared memory and its doorbells
 * @ref: references: the transport's and the node's
 * @parent: the transport's device, or NULL
 * @transport: operations of the transport (constant)
 * @priv: private data of the transport (constant)
 * @name: name in sysfs and udev, or NULL
 * @number: N of /dev/ivshmemN and of the node (constant after registration)
 * @state: enum ivshmem_state; written under the transport's lock, read under
 *	@srcu, or with READ_ONCE() as a hint
 * @srcu: read side held while accessing the device, see above
 * @changed: tasks that wait for another @state
 * @resets: how many have ended; under @nodes_lock, and read as a hint
 * @nodes_lock: protects @nodes; see above
 * @nodes: the whole device, valid while registered, and in its callbacks; then its
 *	partitions, or NULL
 * @label_uuid: of its label; with the next two under @nodes_lock and a lock of rescan.c
 * @label_generation: of its label, or 0 without one
 * @label_refused: the label was refused when it was read last
 * @slots_lock: protects @slots against changes; readers are inside @srcu
 * @slots: the peer area of its label, or NULL
 * @peers_generation: one more with each change of who is present; never 0
 * @peers_notified: the one that files were notified of; under @nodes_lock
 * @peers_work: notifies the drivers of nodes
 * @bells: its polled doorbells
 * @peer: the peer that all files of the whole device share, or NULL with peer_per_file
 * @peers: with peer_per_file all peers, by id
 * @users_lock: protects @users
 * @users: struct ivshmem_user of all who have open files
 * @irq_lock: protects @irq_users and @irqs_enabled
 * @irq_users: open files of nodes that are not unbound, and handlers of vectors
 * @irqs_enabled: interrupts are enabled
 * @memory: the shared memory
 * @registers: the register page, if programs may map it
 * @can_ring: peers have doorbells, even if this machine got no interrupt
 * @can_reset: it can be reset while it is in use
 * @nr_vectors: interrupts of this machine; see also ivshmem_device_vectors()
 * @counters: one for each vector
 *
 * @name and all fields from @memory on are set before ivshmem_device_register() and
 * constant afterwards, except the counts in @counters.
 */
struct ivshmem_device {
	struct kref ref;
	struct device *parent;
	const struct ivshmem_transport *transport;
	void *priv;
	char *name;
	int number;

	int state;
	struct srcu_struct srcu;
	struct wait_queue_head changed;
	unsigned int resets;
	struct mutex nodes_lock;	/* nodes */
	struct ivshmem_node *nodes[IVSHMEM_NODES];
	u8 label_uuid[16];
	u64 label_generation;
	bool label_refused;
	struct mutex slots_lock;	/* slots */
	struct ivshmem_slots __rcu *slots;
	atomic64_t peers_generation;
	u64 peers_notified;
	struct work_struct peers_work;
	struct ivshmem_bells bells;
	struct ivshmem_peer *peer;
	struct xarray peers;
	struct mutex users_lock;	/* users */
	struct list_head users;
	struct mutex irq_lock;	/* irq_users, irqs_enabled */
	unsigned int irq_users;
	bool irqs_enabled;

	struct ivshmem_section memory;
	struct ivshmem_section registers;
	bool can_ring;
	bool can_reset;
	unsigned int nr_vectors;
	struct ivshmem_counter *counters;
};

/**
 * struct ivshmem_node - a device, or a partition of it, on the bus
 * @dev: on the bus "ivshmem"; owns the memory of this structure
 * @idev: holds a reference (constant)
 * @number: index in idev->nodes (constant)
 * @part: the partition's entry, or one of type "raw" for all of the device (constant)
 * @nr_vectors: own vectors; fewer than the entry says if interrupts are missing. Constant, but
 *	for those of a whole device without interrupts, which change with its label
 * @driver_override: the only driver that may be bound, or NULL; under a lock of bus.c
 * @inode: holds the mappings of programs, so that one call zaps them all (constant)
 * @buffers_lock: protects @buffers
 * @buffers: exported dma-bufs that are not revoked
 * @shared: the peer that all files share, or NULL with peer_per_file (constant)
 * @peer: that of the bound driver, after its first request for a vector, else NULL;
 *	under the device_lock
 * @error: why the driver could not be bound
 * @stage: the last event of IVSHMEM_EVENT_UNREGISTER to _RESET_DONE, for a driver that is
 *	bound later; at first as after a reset. Under the device_lock
 */
struct ivshmem_node {
	struct device dev;
	struct ivshmem_device *idev;
	unsigned int number;
	struct ivshmem_label_entry part;
	unsigned int nr_vectors;
	char *driver_override;
	struct inode *inode;
	struct mutex buffers_lock;	/* buffers */
	struct list_head buffers;
	struct ivshmem_peer *shared;
	struct ivshmem_peer *peer;
	int error;
	enum ivshmem_event stage;
};

/**
 * struct ivshmem_chardev - character device of a node
 * @dev: in the class; owns the memory of this structure
 * @cdev: /dev/ivshmemN
 * @node: holds a reference (constant)
 * @idev: the device of @node (constant)
 * @unbound: operations fail, though the device may still be there
 * @irq_users: its files among idev->irq_users until it is unbound; under idev->irq_lock
 * @vector_files: the files in the directory "interrupts" in sysfs; with the next three under
 *	the device_lock of @node while registered
 * @nr_vector_files: how many there are; 0: there is no such directory
 * @vector_attrs: attributes of @vector_group
 * @vector_group: the directory "interrupts" in sysfs
 * @groups: all attribute groups in sysfs
 * @region_attr: the file "region" in sysfs
 * @region_group: has @region_attr
 * @region_attrs: attributes of @region_group
 */
struct ivshmem_chardev {
	struct device dev;
	struct cdev cdev;
	struct ivshmem_node *node;
	struct ivshmem_device *idev;
	bool unbound;
	int irq_users;

	struct ivshmem_vector_file *vector_files;
	unsigned int nr_vector_files;
	struct attribute **vector_attrs;
	struct attribute_group vector_group;
	const struct attribute_group *groups[4];
	struct bin_attribute region_attr;
	struct attribute_group region_group;

	BIN_READ_CONST struct bin_attribute *region_attrs[2];
};

/**
 * struct ivshmem_file - an open file
 * @chardev: holds a reference
 * @node: its node
 * @idev: its device
 * @peer: receives its doorbells: the device's peer, or one of its own
 * @user: charged for it
 * @queue: of all its listeners
 * @mode: FMODE_READ, FMODE_WRITE (constant)
 * @nr_vectors: those of the node when it was opened (constant)
 * @resets: idev->resets when @pollers were notified last
 * @listener: on the peer's @any after the first poll() or O_ASYNC; its
 *	references are those of this structure
 * @news: on the peer's @news after the first PEERS; has a reference to this structure
 * @told: the latest generation that PEERS has given, or 0
 * @pollers: tasks and epolls that poll
 * @sleepers: tasks asleep in PEERS, who want no doorbells
 * @polling: in idev->bells.pollers if there are @pollers that want doorbells
 * @fasync: receivers of SIGIO (with a lock of its own)
 * @lock: protects changes of @bindings
 * @bindings: eventfds, by vector
 * @seen_lock: protects changes of @seen
 * @seen: for each vector the count that was reported to this file; advanced by
 *	the task that reports
 */
struct ivshmem_file {
	struct ivshmem_chardev *chardev;
	struct ivshmem_node *node;
	struct ivshmem_device *idev;
	struct ivshmem_peer *peer;
	struct ivshmem_user *user;
	struct ivshmem_queue *queue;
	fmode_t mode;
	unsigned int nr_vectors;
	unsigned int resets;
	struct ivshmem_listener listener;
	struct ivshmem_listener news;
	atomic64_t told;
	wait_queue_head_t pollers;
	wait_queue_head_t sleepers;
	struct list_head polling;
	struct fasync_struct *fasync;
	struct mutex lock;	/* bindings */
	struct xarray bindings;
	spinlock_t seen_lock;	/* changes of seen */
	atomic64_t seen[];
};

/* module.c */
extern unsigned int ivshmem_cache;
extern bool ivshmem_kvmfr_ioctls;
extern const char * const ivshmem_cache_names[];
struct inode *ivshmem_inode_new(void);

/* device.c */
struct ivshmem_device *ivshmem_device_get(struct ivshmem_device *idev);
int ivshmem_access_try(struct ivshmem_device *idev, int *idx);
void ivshmem_access_end(struct ivshmem_device *idev, int idx);
void ivshmem_device_quiesce(struct ivshmem_device *idev, enum ivshmem_state state);
void ivshmem_device_shutdown(struct ivshmem_node *node);
int ivshmem_device_ring(struct ivshmem_device *idev, u32 peer, u32 vector);
void ivshmem_nodes_notify(struct ivshmem_device *idev, enum ivshmem_event event);

/* section.c */
bool ivshmem_node_broken(const struct ivshmem_node *node, loff_t pos, size_t n);
int ivshmem_region_copy(struct ivshmem_device *idev, loff_t pos, void *buffer, size_t n,
			bool write);
int ivshmem_node_copy(const struct ivshmem_node *node, loff_t pos, void *buffer, size_t n,
		      bool write);

/* Does the kernel refer to its memory by struct pages? */
static inline bool ivshmem_section_has_pages(const struct ivshmem_section *section)
{
	return section->pages || section->pagemap;
}

/* The page of this number in a section that has pages. */
static inline struct page *ivshmem_section_page(const struct ivshmem_section *section,
						unsigned long number)
{
	return section->pages ? section->pages[number] :
				pfn_to_page(PHYS_PFN(section->phys) + number);
}

/* pages.c */
#define IVSHMEM_PAGES_SYNTAX	"MODE[,DEVICE=MODE...], MODE is auto, yes or no"
extern const struct kernel_param_ops ivshmem_pages_ops;
int ivshmem_pages_init(void);
void ivshmem_pages_exit(void);
bool ivshmem_pages_map(struct ivshmem_device *idev, phys_addr_t phys, size_t size);
bool ivshmem_pages_in_way(phys_addr_t phys, size_t size);
void ivshmem_pages_unmap(struct ivshmem_section *memory);

/* bus.c */
extern struct bus_type ivshmem_bus;
int ivshmem_bus_init(void);
void ivshmem_bus_exit(void);

static inline struct ivshmem_node *to_ivshmem_node(const struct device *dev)
{
	return container_of(dev, struct ivshmem_node, dev);
}

void ivshmem_node_notify(struct ivshmem_node *node, enum ivshmem_event event);
bool ivshmem_node_is_overridden(struct ivshmem_node *node);

/* node.c */
int ivshmem_node_add(struct ivshmem_device *idev, unsigned int number,
		     const struct ivshmem_label_entry *part);
void ivshmem_node_remove(struct ivshmem_node *node);
void ivshmem_node_update_vectors(struct ivshmem_node *node);
int ivshmem_node_ring_check(const struct ivshmem_node *node, u32 peer, u32 vector);

/* Is it a partition? Else it is all of the device. */
static inline bool ivshmem_node_is_partition(const struct ivshmem_node *node)
{
	return node->number;
}

/* Bytes of the register page that programs may map through a node. */
static inline size_t ivshmem_node_registers(const struct ivshmem_node *node)
{
	return ivshmem_node_is_partition(node) ? 0 : node->idev->registers.size;
}

/* How many vectors of a peer may be rung from here, if doorbells can be rung at all? */
static inline unsigned int ivshmem_node_max_vectors(const struct ivshmem_node *node)
{
	return ivshmem_node_is_partition(node) ? node->part.vectors : U16_MAX + 1;
}

static inline bool ivshmem_node_can_ring(const struct ivshmem_node *node)
{
	return (node->idev->can_ring || READ_ONCE(node->idev->bells.vectors)) &&
	       ivshmem_node_max_vectors(node);
}

/* partition.c */
extern const struct attribute_group ivshmem_partitions_group;
int ivshmem_partitions_apply(struct ivshmem_device *idev, const struct ivshmem_label *table,
			     bool all);
int ivshmem_partitions_lock(struct ivshmem_device *idev);
void ivshmem_partitions_remove(struct ivshmem_device *idev);

/* rescan.c */
struct ivshmem_scan;
extern struct device_attribute dev_attr_rescan;
struct ivshmem_scan *ivshmem_scan_begin(struct ivshmem_device *idev);
void ivshmem_scan_identify(struct ivshmem_device *idev, struct ivshmem_scan *scan);
int ivshmem_scan_end(struct ivshmem_device *idev, struct ivshmem_scan *scan);
u64 ivshmem_label_generation(const struct ivshmem_device *idev);
ssize_t ivshmem_label_show(const struct ivshmem_device *idev, char *buf);

/* slot.c, see slot.h */
int ivshmem_slots_init(void);
void ivshmem_slots_exit(void);
const char *ivshmem_slots_apply(struct ivshmem_device *idev, const struct ivshmem_label *label,
				const u8 *copy);
void ivshmem_slots_begin(struct ivshmem_device *idev);
void ivshmem_slots_leave(struct ivshmem_device *idev);
void ivshmem_slots_free(struct ivshmem_device *idev);

/* presence.c */
void ivshmem_presence_init(struct ivshmem_device *idev);
void ivshmem_presence_end(struct ivshmem_device *idev);
void ivshmem_presence_notify(struct ivshmem_device *idev);
int ivshmem_presence_copy(struct ivshmem_device *idev, struct ivshmem_peer_info *to,
			  unsigned int room, u64 *generation);
ssize_t ivshmem_presence_show(struct ivshmem_chardev *chardev, char *buf);
int ivshmem_slot_of(struct ivshmem_device *idev, u32 id);

static inline u64 ivshmem_presence_generation(struct ivshmem_device *idev)
{
	return atomic64_read(&idev->peers_generation);
}

/* news.c */
bool ivshmem_news_pending(const struct ivshmem_file *file);
void ivshmem_news_told(struct ivshmem_file *file, u64 generation);
int ivshmem_news_check(const struct ivshmem_peers *p);
int ivshmem_news(struct file *filp, struct ivshmem_peers *p);

/* How many vectors a device has now: one for each interrupt, or polled ones. */
static inline unsigned int ivshmem_device_vectors(const struct ivshmem_device *idev)
{
	return idev->nr_vectors ?: READ_ONCE(idev->bells.vectors);
}

/* handler.c */
void ivshmem_handlers_free(struct ivshmem_node *node);

/* chardev.c */
int ivshmem_chardev_init(void);
void ivshmem_chardev_exit(void);
int ivshmem_chardev_begin(struct ivshmem_chardev *chardev, int *idx);
int ivshmem_chardev_try(struct ivshmem_chardev *chardev, int *idx);
bool ivshmem_chardev_resetting(const struct ivshmem_chardev *chardev);

/* Is it unbound, or its device unregistered? Then all operations fail with -ENODEV, for good. */
static inline bool ivshmem_chardev_gone(const struct ivshmem_chardev *chardev)
{
	return READ_ONCE(chardev->unbound) ||
	       READ_ONCE(chardev->idev->state) == IVSHMEM_UNREGISTERED;
}

/* peer.c */
struct ivshmem_peer *ivshmem_peer_alloc(struct ivshmem_device *idev, unsigned int first,
					unsigned int nr, gfp_t gfp);
void ivshmem_peer_free(struct ivshmem_peer *peer);
int ivshmem_peer_join(struct ivshmem_node *node, struct ivshmem_peer **peer);
void ivshmem_peer_leave(struct ivshmem_peer *peer);
u32 ivshmem_peer_id(const struct ivshmem_node *node, const struct ivshmem_peer *peer);
void ivshmem_peers_signal(struct ivshmem_node *node);
void ivshmem_peers_retire(struct ivshmem_node *node);
void ivshmem_peers_signal_all(struct ivshmem_device *idev);
void ivshmem_peers_signal_news(struct ivshmem_device *idev);
void ivshmem_peers_free(struct ivshmem_device *idev);

/* user.c */
struct ivshmem_user *ivshmem_user_get(struct ivshmem_chardev *chardev);
void ivshmem_user_put(struct ivshmem_device *idev, struct ivshmem_user *user);
int ivshmem_user_charge(atomic_t *count, int max);

/* irq.c */
void ivshmem_irqs_get(struct ivshmem_device *idev);
void ivshmem_irqs_put(struct ivshmem_device *idev);
void ivshmem_irqs_count_file(struct ivshmem_chardev *chardev, int n);
void ivshmem_irqs_drop_files(struct ivshmem_chardev *chardev);
void ivshmem_irqs_update(struct ivshmem_device *idev);

/* event.c */
int ivshmem_event_init(void);
void ivshmem_event_exit(void);
void ivshmem_events_begin(struct ivshmem_peer *peer);
void ivshmem_events_end(struct ivshmem_peer *peer);
void ivshmem_queue_begin(struct ivshmem_queue *queue, struct ivshmem_peer *peer);
void ivshmem_queue_end(struct ivshmem_queue *queue);
void ivshmem_listen(struct ivshmem_vector *vec, struct ivshmem_listener *old,
		    struct ivshmem_listener *new);
void ivshmem_vector_retire(struct ivshmem_vector *vec);
void ivshmem_vector_signal(struct ivshmem_vector *vec);
void ivshmem_any_signal(struct ivshmem_peer *peer);
void ivshmem_news_signal(struct ivshmem_peer *peer);
void ivshmem_device_signal(struct ivshmem_device *idev, unsigned int vector);
irqreturn_t ivshmem_interrupt(int irq, void *vector);

/*
 * Count the interrupts of a vector, below nr_vectors, that were not yet reported to a file.
 * The count only grows, so it is read last. In the other order another thread could report
 * in between and make the difference negative.
 */
static inline u64 ivshmem_unseen(const struct ivshmem_file *file, unsigned int vector)
{
	s64 seen = atomic64_read_acquire(&file->seen[vector]);

	return atomic64_read(&file->peer->vectors[vector].count) - seen;
}

bool ivshmem_events_pending(struct ivshmem_file *file);

/* eventfd.c */
#ifdef CONFIG_EVENTFD
int ivshmem_eventfd_bind(struct ivshmem_file *file, u32 vector, int fd);
void ivshmem_eventfd_unbind_all(struct ivshmem_file *file);
#else
static inline int ivshmem_eventfd_bind(struct ivshmem_file *file, u32 vector, int fd)
{
	return -EOPNOTSUPP;
}

static inline void ivshmem_eventfd_unbind_all(struct ivshmem_file *file) { }
#endif

/* dmabuf.c */
#ifdef CONFIG_DMA_SHARED_BUFFER
int ivshmem_buffer_export(struct file *filp, u64 offset, u64 size, int fd_flags);
bool ivshmem_buffer_revoked(const struct vm_area_struct *vma);
void ivshmem_buffers_revoke(struct ivshmem_node *node);
#else
static inline int ivshmem_buffer_export(struct file *filp, u64 offset, u64 size, int fd_flags)
{
	return -EOPNOTSUPP;
}

static inline bool ivshmem_buffer_revoked(const struct vm_area_struct *vma)
{
	return false;
}

static inline void ivshmem_buffers_revoke(struct ivshmem_node *node) { }
#endif

/* file.c, ioctl.c, kvmfr.c, wait.c, mmap.c, sysfs.c */
extern const struct file_operations ivshmem_fops;
int ivshmem_access_file(struct file *filp, int *idx);
int ivshmem_access_until(struct file *filp, ktime_t deadline, int *idx);
void ivshmem_file_listen(struct ivshmem_file *file, struct ivshmem_vector *vec,
			 struct ivshmem_listener *l);
long ivshmem_ioctl(struct file *filp, unsigned int cmd, unsigned long arg);
int ivshmem_dmabuf(struct file *filp, const struct ivshmem_dmabuf *d);
long ivshmem_kvmfr(struct file *filp, unsigned int cmd, void __user *arg);
int ivshmem_ring_check(const struct ivshmem_file *file, u32 peer, u32 vector);
int ivshmem_wait(struct file *filp, struct ivshmem_wait *w,
		 struct ivshmem_wait __user *uw);
int ivshmem_mmap(struct file *filp, struct vm_area_struct *vma);
unsigned long ivshmem_mmap_place(struct file *filp, unsigned long addr, unsigned long len,
				 unsigned long pgoff, unsigned long flags);
void ivshmem_zap(struct ivshmem_node *node);
void ivshmem_zap_shutdown(struct ivshmem_node *node);
int ivshmem_mmap_region(struct ivshmem_chardev *chardev, struct vm_area_struct *vma);
int ivshmem_mmap_file(struct ivshmem_chardev *chardev, struct file *filp,
		      struct vm_area_struct *vma);
int ivshmem_sysfs_prepare(struct ivshmem_chardev *chardev);
void ivshmem_sysfs_update(struct ivshmem_chardev *chardev);
void ivshmem_sysfs_free(struct ivshmem_chardev *chardev);

/*
 * Offset of the register page for mmap: far beyond any region, and within reach
 * of a 32-bit program.
 */
#define IVSHMEM_REGISTERS_OFFSET	BIT_ULL(43)

#endif /* IVSHMEM_CORE_H */
