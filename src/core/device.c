// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life of a device, the same for all transports
 *
 *   alloc -> map -> set_vectors -> register   its nodes appear on the bus
 *   reset_prepare -> reset_done               around a reset
 *   unregister -> (free interrupts) -> unmap -> put
 *
 * unregister() may come at any time. It makes every operation fail and zaps all
 * mappings; the structure itself lives until the last file is closed.
 */
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include "core.h"
#include "trace.h"

static DEFINE_IDA(numbers);

static void device_release(struct kref *ref)
{
	struct ivshmem_device *idev = container_of(ref, struct ivshmem_device, ref);

	trace_ivshmem_free(idev->number);
	ivshmem_bells_free(&idev->bells);
	ivshmem_peers_free(idev);
	cleanup_srcu_struct(&idev->srcu);
	kfree(idev->name);
	kfree(idev);
}

/**
 * ivshmem_device_alloc() - allocate a device
 * @parent: the transport's device, or NULL
 * @transport: operations of the transport
 * @priv: private data of the transport
 *
 * Drop it with ivshmem_device_put(), after ivshmem_device_unregister() if it was
 * registered.
 *
 * Return: the device or an ERR_PTR()
 */
struct ivshmem_device *ivshmem_device_alloc(struct device *parent,
					    const struct ivshmem_transport *transport,
					    void *priv)
{
	struct ivshmem_device *idev;
	int ret;

	idev = kzalloc(sizeof(*idev), GFP_KERNEL);
	if (!idev)
		return ERR_PTR(-ENOMEM);

	kref_init(&idev->ref);
	idev->parent = parent;
	idev->transport = transport;
	idev->priv = priv;
	idev->state = IVSHMEM_LIVE;
	idev->number = -1;
	init_waitqueue_head(&idev->changed);
	xa_init_flags(&idev->peers, XA_FLAGS_ALLOC);
	mutex_init(&idev->nodes_lock);
	mutex_init(&idev->slots_lock);
	mutex_init(&idev->users_lock);
	INIT_LIST_HEAD(&idev->users);
	ivshmem_presence_init(idev);
	mutex_init(&idev->irq_lock);
	ivshmem_bells_init(&idev->bells);

	ret = init_srcu_struct(&idev->srcu);
	if (ret) {
		kfree(idev);
		return ERR_PTR(ret);
	}
	trace_ivshmem_alloc(idev);
	return idev;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_alloc);

struct ivshmem_device *ivshmem_device_get(struct ivshmem_device *idev)
{
	kref_get(&idev->ref);
	return idev;
}

/**
 * ivshmem_device_put() - drop the transport's reference
 * @idev: never registered, or unregistered
 */
void ivshmem_device_put(struct ivshmem_device *idev)
{
	kref_put(&idev->ref, device_release);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_put);

/**
 * ivshmem_device_priv() - get the private data of the transport
 * @idev: the device
 *
 * Return: what ivshmem_device_alloc() was given
 */
void *ivshmem_device_priv(const struct ivshmem_device *idev)
{
	return idev->priv;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_priv);

/**
 * ivshmem_device_transport() - get the transport of a device
 * @idev: the device
 *
 * Return: what ivshmem_device_alloc() was given
 */
const struct ivshmem_transport *
ivshmem_device_transport(const struct ivshmem_device *idev)
{
	return idev->transport;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_transport);

/**
 * ivshmem_device_name() - get the name of a device's node
 * @idev: registered
 *
 * Return: "ivshmemN"
 */
const char *ivshmem_device_name(const struct ivshmem_device *idev)
{
	return dev_name(&idev->nodes[0]->dev);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_name);

/**
 * ivshmem_device_set_name() - set the name of a device in sysfs and udev
 * @idev: not registered yet
 * @name: the name; copied
 *
 * Return: 0 or -ENOMEM
 */
int ivshmem_device_set_name(struct ivshmem_device *idev, const char *name)
{
	idev->name = kstrdup(name, GFP_KERNEL);
	return idev->name ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_set_name);

/**
 * ivshmem_device_set_doorbell() - let peers be rung
 * @idev: not registered yet
 */
void ivshmem_device_set_doorbell(struct ivshmem_device *idev)
{
	idev->can_ring = true;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_set_doorbell);

/**
 * ivshmem_device_set_resettable() - say that the device can be reset while it is in use
 * @idev: not registered yet
 */
void ivshmem_device_set_resettable(struct ivshmem_device *idev)
{
	idev->can_reset = true;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_set_resettable);

/**
 * ivshmem_device_set_registers() - let programs map the register page
 * @idev: not registered yet
 * @phys: its address, a multiple of the page size. Nothing but the device's registers
 *	is in this page
 */
void ivshmem_device_set_registers(struct ivshmem_device *idev, phys_addr_t phys)
{
	idev->registers = (struct ivshmem_section) {
		.phys = phys,
		.size = PAGE_SIZE,
		.cache = IVSHMEM_CACHE_UC,
	};
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_set_registers);

/**
 * ivshmem_device_quiesce() - leave the state LIVE
 * @idev: the device
 * @state: IVSHMEM_RESETTING, or IVSHMEM_UNREGISTERED for good
 *
 * The caller holds idev->nodes_lock.
 *
 * On return no task accesses the device, all mappings are zapped, and the interrupts are
 * disabled for good or, in a reset, left alone.
 */
void ivshmem_device_quiesce(struct ivshmem_device *idev, enum ivshmem_state state)
{
	unsigned int i;

	lockdep_assert_held(&idev->nodes_lock);
	WRITE_ONCE(idev->state, state);
	/* A peer that joins too late for the signal sees the state: xa_alloc(), SRCU. */
	smp_mb();
	if (state == IVSHMEM_UNREGISTERED) {
		wake_up_all(&idev->changed);
		ivshmem_peers_signal_all(idev);
	}
	synchronize_srcu(&idev->srcu);
	ivshmem_bells_stop(idev);
	ivshmem_irqs_update(idev);
	for (i = 0; i < IVSHMEM_NODES; i++)
		if (idev->nodes[i])
			ivshmem_zap(idev->nodes[i]);
}

/**
 * ivshmem_device_shutdown() - leave the state LIVE for good, as far as one node goes
 * @node: registered; the caller holds its device_lock. The other nodes' turn comes, too
 *
 * On return no task accesses the device, the mappings of this node are zapped, and the
 * interrupts are masked.
 */
void ivshmem_device_shutdown(struct ivshmem_node *node)
{
	struct ivshmem_device *idev = node->idev;

	ivshmem_slots_leave(idev);
	WRITE_ONCE(idev->state, IVSHMEM_UNREGISTERED);
	smp_mb(); /* as above */
	wake_up_all(&idev->changed);
	ivshmem_peers_signal(node);
	synchronize_srcu(&idev->srcu);
	ivshmem_bells_stop(idev);
	ivshmem_irqs_update(idev);
	/* A disabled vector is masked when it fires: that could be in the kernel kexec boots. */
	ivshmem_device_free_irqs(idev);
	ivshmem_zap_shutdown(node);
}

/**
 * ivshmem_device_ring() - ring a peer
 * @idev: with doorbells of any kind; the caller is between ivshmem_access_try() and
 *	ivshmem_access_end()
 * @peer: the peer, at most IVSHMEM_MAX_PEER
 * @vector: its vector, at most U16_MAX
 *
 * Return: 0 or an error of the transport
 */
int ivshmem_device_ring(struct ivshmem_device *idev, u32 peer, u32 vector)
{
	trace_ivshmem_ring(idev->number, peer, vector);
	if (ivshmem_bells_ring(idev, &peer, vector) || !idev->can_ring)
		return 0;
	return idev->transport->ring(idev, peer, vector);
}

/* Report the new device to the log and to tracing. */
static void report(struct ivshmem_device *idev)
{
	const struct ivshmem_section *memory = &idev->memory;
	struct device *dev = &idev->nodes[0]->dev;

	trace_ivshmem_probe(idev);
	if (memory->pages)
		dev_info(dev, "%zu bytes of memory, %u vectors\n",
			 memory->size, ivshmem_device_vectors(idev));
	else
		dev_info(dev, "%zu bytes at %pap, %u vectors, %s%s\n",
			 memory->size, &memory->phys, ivshmem_device_vectors(idev),
			 ivshmem_cache_names[memory->cache],
			 memory->pagemap ? ", struct pages" : "");
	if (memory->why_not)
		dev_info(dev, "no struct pages for this region: %s\n", memory->why_not);
}

static int add_nodes(struct ivshmem_device *idev)
{
	const struct ivshmem_label_entry whole = {
		.type = IVSHMEM_TYPE_RAW,
		.size = idev->memory.size,
	};
	struct ivshmem_scan *scan = ivshmem_scan_begin(idev);
	int ret;

	if (IS_ERR(scan))
		return PTR_ERR(scan);
	/* First: who may open the device depends on it, and what doorbells it has. */
	ivshmem_scan_identify(idev, scan);
	ret = ivshmem_node_add(idev, 0, &whole);
	if (ret) {
		ivshmem_slots_free(idev);
		kvfree(scan);
		return ret;
	}
	report(idev);
	/* A partition that is missing is in the log; the device is still good for something. */
	ivshmem_scan_end(idev, scan);
	return 0;
}

/**
 * ivshmem_device_register() - create the nodes of a device
 * @idev: mapped, with its vectors set
 *
 * Return: 0 or a negative errno. On failure the device counts as unregistered, so
 * a file that was opened in the meantime gets -ENODEV
 */
int ivshmem_device_register(struct ivshmem_device *idev)
{
	int ret = ida_alloc_max(&numbers, IVSHMEM_DEVICES - 1, GFP_KERNEL);

	if (ret < 0)
		return ret;
	idev->number = ret;
	trace_ivshmem_register(idev->number);
	mutex_lock(&idev->nodes_lock);
	ret = add_nodes(idev);
	mutex_unlock(&idev->nodes_lock);
	if (ret) {
		/* The lock was dropped meanwhile, so the beat may have queued the work. */
		ivshmem_presence_end(idev);
		ida_free(&numbers, idev->number);
	}
	return ret;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_register);

/**
 * ivshmem_nodes_notify() - notify the drivers of all nodes
 * @idev: registered; the caller holds its nodes_lock
 * @event: what happens
 */
void ivshmem_nodes_notify(struct ivshmem_device *idev, enum ivshmem_event event)
{
	unsigned int i;

	lockdep_assert_held(&idev->nodes_lock);
	for (i = 0; i < IVSHMEM_NODES; i++)
		if (idev->nodes[i])
			ivshmem_node_notify(idev->nodes[i], event);
}

/**
 * ivshmem_device_reset_prepare() - block all access before a reset
 * @idev: registered; the caller holds the transport's lock
 *
 * Operations and page faults wait until ivshmem_device_reset_done().
 */
void ivshmem_device_reset_prepare(struct ivshmem_device *idev)
{
	if (idev->state == IVSHMEM_UNREGISTERED)	/* at shutdown */
		return;
	mutex_lock(&idev->nodes_lock);
	ivshmem_nodes_notify(idev, IVSHMEM_EVENT_RESET_PREPARE);
	ivshmem_device_quiesce(idev, IVSHMEM_RESETTING);
	mutex_unlock(&idev->nodes_lock);
	trace_ivshmem_reset_prepare(idev->number);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_reset_prepare);

/**
 * ivshmem_device_reset_done() - allow access again after a reset
 * @idev: registered; the caller holds the transport's lock
 *
 * The reset may have lost doorbells, so every vector is signalled once and programs look
 * at the memory again.
 */
void ivshmem_device_reset_done(struct ivshmem_device *idev)
{
	if (idev->state == IVSHMEM_UNREGISTERED)
		return;
	mutex_lock(&idev->nodes_lock);
	WRITE_ONCE(idev->state, IVSHMEM_LIVE);
	/* A task that is woken for this sees LIVE. */
	smp_store_release(&idev->resets, idev->resets + 1);
	trace_ivshmem_reset_done(idev->number);
	ivshmem_irqs_update(idev);
	wake_up_all(&idev->changed);
	ivshmem_nodes_notify(idev, IVSHMEM_EVENT_RESET_DONE);
	ivshmem_peers_signal_all(idev);
	mutex_unlock(&idev->nodes_lock);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_reset_done);

/**
 * ivshmem_device_unregister() - remove the nodes and end all access to the device
 * @idev: registered; the caller holds the transport's lock
 *
 * On return no operation accesses the region or the registers, nor will any later.
 * An interrupt handler may still run; the caller frees the interrupts next.
 */
void ivshmem_device_unregister(struct ivshmem_device *idev)
{
	trace_ivshmem_remove(idev->number);
	mutex_lock(&idev->nodes_lock);
	ivshmem_nodes_notify(idev, IVSHMEM_EVENT_UNREGISTER);
	ivshmem_slots_leave(idev);
	ivshmem_device_quiesce(idev, IVSHMEM_UNREGISTERED);
	ivshmem_slots_free(idev);
	trace_ivshmem_unregister(idev->number);
	ivshmem_partitions_remove(idev);
	mutex_unlock(&idev->nodes_lock);
	/* Who changes the partitions through a file of this node takes the lock. */
	ivshmem_node_remove(idev->nodes[0]);
	ivshmem_presence_end(idev);
	ida_free(&numbers, idev->number);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_unregister);

/**
 * ivshmem_access_try() - enter a device unless it is being reset
 * @idev: the device
 * @idx: for ivshmem_access_end()
 *
 * Does not sleep.
 *
 * Return: 0 if the caller may access the region and the registers until
 * ivshmem_access_end(); -ENODEV if unregistered; -EAGAIN during a reset
 */
int ivshmem_access_try(struct ivshmem_device *idev, int *idx)
{
	int state;

	*idx = srcu_read_lock(&idev->srcu);
	state = READ_ONCE(idev->state);
	if (state == IVSHMEM_LIVE) {
		/* Sparse cannot follow a lock that is taken conditionally. */
		__release(&idev->srcu);
		return 0;
	}
	srcu_read_unlock(&idev->srcu, *idx);
	return state == IVSHMEM_UNREGISTERED ? -ENODEV : -EAGAIN;
}

/**
 * ivshmem_access_end() - exit a device
 * @idev: the device
 * @idx: from ivshmem_access_try()
 */
void ivshmem_access_end(struct ivshmem_device *idev, int idx)
{
	__acquire(&idev->srcu);
	srcu_read_unlock(&idev->srcu, idx);
}
