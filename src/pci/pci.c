// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI devices: probe, remove and reset
 *
 * BAR0 holds the registers, BAR1 the MSI-X table (ivshmem-doorbell only), BAR2
 * the shared memory. The PCI core calls probe for each device, at boot or at
 * hotplug, and remove when a device is unplugged or unbound, or the module is
 * unloaded. docs/specs/ivshmem-spec in QEMU's sources specifies the device:
 * ivshmem-plain has no interrupts, ivshmem-doorbell has.
 */
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/security.h>
#include <linux/slab.h>
#include "compat.h"
#include "pci.h"
#include "transport.h"

#define IVSHMEM_PCI_DEVICE	0x1110
#define IVSHMEM_PCI_REVISION	1

#define BAR_REGISTERS	0
#define BAR_MEMORY	2

/* Registers of 32 bits, offsets in bytes. */
#define REG_IVPOSITION	8
#define REG_DOORBELL	IVSHMEM_REG_DOORBELL
#define REGISTERS_SIZE	16

/**
 * struct ivshmem_pci - a PCI device bound to this driver
 * @pdev: the PCI device
 * @idev: the device above it; holds a reference
 * @registers: BAR0
 * @rest_of_page: claims the rest of the register page; no parent if unclaimed
 * @irq_names: names in /proc/interrupts, by vector
 */
struct ivshmem_pci {
	struct pci_dev *pdev;
	struct ivshmem_device *idev;
	void __iomem *registers;
	struct resource rest_of_page;
	char (*irq_names)[40];
};

static int pci_ring(struct ivshmem_device *idev, u32 peer, u32 vector)
{
	struct ivshmem_pci *ip = ivshmem_device_priv(idev);

	/* writel() orders earlier writes to the region before the doorbell. */
	writel(IVSHMEM_DOORBELL(peer, vector), ip->registers + REG_DOORBELL);
	return 0;
}

static u32 pci_id(struct ivshmem_device *idev)
{
	struct ivshmem_pci *ip = ivshmem_device_priv(idev);
	u32 id = readl(ip->registers + REG_IVPOSITION);

	return id > IVSHMEM_MAX_PEER ? IVSHMEM_ID_UNKNOWN : id;
}

static const struct ivshmem_transport ivshmem_pci_transport = {
	.owner = THIS_MODULE,
	.ring = pci_ring,
	.id = pci_id,
};

static void free_interrupts(struct ivshmem_pci *ip)
{
	ivshmem_device_free_irqs(ip->idev);
	pci_free_irq_vectors(ip->pdev);
}

/* Request up to @want vectors. Returns how many, or a negative errno. */
static int try_interrupts(struct ivshmem_pci *ip, unsigned int want)
{
	int i, ret, got = pci_alloc_irq_vectors(ip->pdev, 1, want, PCI_IRQ_MSIX);

	for (i = 0; i < got; i++) {
		snprintf(ip->irq_names[i], sizeof(ip->irq_names[i]),
			 "ivshmem-v%d@pci:%s", i, pci_name(ip->pdev));
		ret = ivshmem_device_request_irq(ip->idev, i, pci_irq_vector(ip->pdev, i),
						 ip->irq_names[i]);
		if (ret) {
			free_interrupts(ip);
			return ret;
		}
	}
	return got;
}

/*
 * Request all vectors of the device. A small machine may run out of them, and
 * request_irq() is the first to notice: then try half as many, which leaves some
 * to other drivers. Without any vector the device can still ring others.
 */
static int request_interrupts(struct ivshmem_pci *ip)
{
	int offered = min(pci_msix_vec_count(ip->pdev), IVSHMEM_MAX_VECTORS);
	int want, ret, got = 0;

	ret = ivshmem_device_set_vectors(ip->idev, max(offered, 0));
	if (ret || offered <= 0)
		return ret;
	ip->irq_names = devm_kcalloc(&ip->pdev->dev, offered,
				     sizeof(*ip->irq_names), GFP_KERNEL);
	if (!ip->irq_names)
		return -ENOMEM;
	for (want = offered; want && got <= 0; want /= 2)
		got = try_interrupts(ip, want);
	got = max(got, 0);
	ivshmem_device_limit_vectors(ip->idev, got);
	if (got < offered)
		pci_warn(ip->pdev, "got %d of %d interrupt vectors\n",
			 got, offered);
	return 0;
}

/*
 * The registers take 256 bytes, but programs can only map a whole page. Offer it
 * if no other device has registers in the rest of the page, and claim that rest
 * so that none gets any there later.
 */
static void claim_register_page(struct ivshmem_pci *ip)
{
	struct resource *bar = &ip->pdev->resource[BAR_REGISTERS];
	phys_addr_t start = pci_resource_start(ip->pdev, BAR_REGISTERS);
	resource_size_t len = pci_resource_len(ip->pdev, BAR_REGISTERS);

	if (!ivshmem_map_registers || !ip->pdev->msix_cap || !PAGE_ALIGNED(start))
		return;
	if (len < PAGE_SIZE) {
		ip->rest_of_page = (struct resource) {
			.name = "ivshmem register page",
			.start = bar->end + 1,
			.end = start + PAGE_SIZE - 1,
			.flags = bar->flags | IORESOURCE_BUSY,
		};
		if (!bar->parent ||
		    request_resource(bar->parent, &ip->rest_of_page)) {
			ip->rest_of_page.parent = NULL;
			return;
		}
	}
	ivshmem_device_set_registers(ip->idev, start);
}

static void release_register_page(struct ivshmem_pci *ip)
{
	if (ip->rest_of_page.parent)
		release_resource(&ip->rest_of_page);
}

static const struct pci_device_id ivshmem_pci_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, IVSHMEM_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, ivshmem_pci_ids);

/* Does this driver support the hardware? Logs the reason if not. */
static int check_device(struct pci_dev *pdev)
{
	/* new_id and driver_override bring any device here. */
	if (!pci_match_id(ivshmem_pci_ids, pdev) &&
	    security_locked_down(LOCKDOWN_PCI_ACCESS)) {
		pci_err(pdev, "kernel is locked down: only devices %04x:%04x are allowed\n",
			PCI_VENDOR_ID_REDHAT_QUMRANET, IVSHMEM_PCI_DEVICE);
		return -EPERM;
	}
	if (pdev->revision != IVSHMEM_PCI_REVISION) {
		pci_err(pdev, "unsupported revision %u (expected %u): use ivshmem-plain or ivshmem-doorbell of QEMU 2.6 or later instead of ivshmem\n",
			pdev->revision, IVSHMEM_PCI_REVISION);
		return -ENODEV;
	}
	if (!(pci_resource_flags(pdev, BAR_REGISTERS) & IORESOURCE_MEM) ||
	    pci_resource_len(pdev, BAR_REGISTERS) < REGISTERS_SIZE) {
		pci_err(pdev, "BAR %d is not a register block\n", BAR_REGISTERS);
		return -ENODEV;
	}
	if (!(pci_resource_flags(pdev, BAR_MEMORY) & IORESOURCE_MEM) ||
	    !pci_resource_start(pdev, BAR_MEMORY)) {
		pci_err(pdev, "BAR %d has no memory: check that the hypervisor provides it and that the address space has room for it\n",
			BAR_MEMORY);
		return -ENODEV;
	}
	if (pci_resource_len(pdev, BAR_MEMORY) < PAGE_SIZE) {
		pci_err(pdev, "BAR %d (%pR) is smaller than a page\n", BAR_MEMORY,
			&pdev->resource[BAR_MEMORY]);
		return -ENODEV;
	}
	return 0;
}

/*
 * Reads from a device that was unplugged return all-ones, so everything read so far
 * is valid only if the device still responds.
 */
static int check_presence(struct pci_dev *pdev)
{
	if (pci_device_is_present(pdev))
		return 0;
	pci_err(pdev, "device does not respond\n");
	return -ENODEV;
}

/* Map the registers and the region; unmap_device() undoes it. */
static int map_device(struct ivshmem_pci *ip)
{
	struct pci_dev *pdev = ip->pdev;
	int ret;

	ip->registers = pci_ioremap_bar(pdev, BAR_REGISTERS);
	if (!ip->registers)
		return -ENOMEM;
	ret = ivshmem_device_map(ip->idev, pci_resource_start(pdev, BAR_MEMORY),
				 pci_resource_len(pdev, BAR_MEMORY));
	if (ret) {
		pci_err(pdev, "cannot map BAR %d (%pR): %d\n", BAR_MEMORY,
			&pdev->resource[BAR_MEMORY], ret);
		iounmap(ip->registers);
	}
	return ret;
}

static void unmap_device(struct ivshmem_pci *ip)
{
	ivshmem_device_unmap(ip->idev);
	iounmap(ip->registers);
}

static int ivshmem_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ivshmem_device *idev;
	struct ivshmem_pci *ip;
	int ret;

	ret = check_device(pdev);
	if (ret)
		return ret;

	ip = kzalloc(sizeof(*ip), GFP_KERNEL);
	if (!ip)
		return -ENOMEM;
	ip->pdev = pdev;

	ret = pci_enable_device_mem(pdev);
	if (ret)
		goto err_free;
	ret = pci_request_regions(pdev, KBUILD_MODNAME);
	if (ret)
		goto err_disable;
	pci_set_master(pdev);

	idev = ivshmem_device_alloc(&pdev->dev, &ivshmem_pci_transport, ip);
	if (IS_ERR(idev)) {
		ret = PTR_ERR(idev);
		goto err_regions;
	}
	ip->idev = idev;
	if (pdev->msix_cap)
		ivshmem_device_set_doorbell(idev);
	if (ivshmem_pci_can_reset(pdev))
		ivshmem_device_set_resettable(idev);

	ret = map_device(ip);
	if (ret)
		goto err_put;
	ret = request_interrupts(ip);
	if (ret)
		goto err_unmap;
	claim_register_page(ip);
	ret = check_presence(pdev);
	if (ret)
		goto err_interrupts;

	pci_set_drvdata(pdev, ip);
	ret = ivshmem_device_register(idev);
	if (ret)
		goto err_interrupts;
	return 0;

err_interrupts:
	release_register_page(ip);
	free_interrupts(ip);
err_unmap:
	unmap_device(ip);
err_put:
	ivshmem_device_put(idev);
err_regions:
	pci_clear_master(pdev);
	pci_release_regions(pdev);
err_disable:
	pci_disable_device(pdev);
err_free:
	kfree(ip);
	return ret;
}

/* Files may still be open and mappings in use, unless the module is being unloaded. */
static void ivshmem_pci_remove(struct pci_dev *pdev)
{
	struct ivshmem_pci *ip = pci_get_drvdata(pdev);
	struct ivshmem_device *idev = ip->idev;

	ivshmem_device_unregister(idev);
	release_register_page(ip);
	free_interrupts(ip);
	unmap_device(ip);
	ivshmem_device_put(idev);
	pci_clear_master(pdev);
	pci_release_regions(pdev);
	pci_disable_device(pdev);
	kfree(ip);
}

static void ivshmem_pci_reset_prepare(struct pci_dev *pdev)
{
	struct ivshmem_pci *ip = pci_get_drvdata(pdev);

	ivshmem_device_reset_prepare(ip->idev);
}

static void ivshmem_pci_reset_done(struct pci_dev *pdev)
{
	struct ivshmem_pci *ip = pci_get_drvdata(pdev);

	ivshmem_device_reset_done(ip->idev);
}

static const struct pci_error_handlers ivshmem_pci_err_handler = {
	.reset_prepare = ivshmem_pci_reset_prepare,
	.reset_done = ivshmem_pci_reset_done,
};

static struct pci_driver ivshmem_pci_driver = {
	.name = KBUILD_MODNAME,
	.id_table = ivshmem_pci_ids,
	.probe = ivshmem_pci_probe,
	.remove = ivshmem_pci_remove,
	.err_handler = &ivshmem_pci_err_handler,
};

int __init ivshmem_pci_init(void)
{
	return pci_register_driver(&ivshmem_pci_driver);
}

void ivshmem_pci_exit(void)
{
	pci_unregister_driver(&ivshmem_pci_driver);
}
