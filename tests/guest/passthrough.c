// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of a device is what another device, given to a program by vfio, reads and writes: as
 * for a guest of this machine whose RAM it is. Where there are struct pages vfio pins them, and
 * they stay when their device is removed.
 */
/*
 * rig: arches=amd64 devices=plain,plain size=4M over=pci,memory mem=1024 machine=q35 alone=yes
 * rig: qemu='-device intel-iommu,intremap=on' append=intel_iommu=on modargs=pages=no
 * rig: modules=vfio-pci?,vfio_iommu_type1?,configfs
 */
#include <signal.h>

#include "guarded.h"
#include "module.h"
#include "pattern.h"
#include "vfio.h"

#define SIZE (4UL << 20)
#define PCI "0000:00:10.0"
#define OTHER "0000:00:11.0"
#define CONFIG "/sys/kernel/config/ivshmem/ivshmem"
#define PARAMETER "/sys/module/ivshmem/parameters/pages"
#define ADDRESS 0x10000000	/* that the other device uses */

static int map_for_device(int container, void *memory)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)memory, .iova = ADDRESS, .size = SIZE,
	};

	return result(ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
}

static int unmap_for_device(int container)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = ADDRESS, .size = SIZE,
	};

	return result(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap));
}

/* Map the memory for the other device, and remove its own while that is so. */
static void test_removal(int container, const char *what)
{
	int fd = dev_open();
	char *map = dev_map(fd, SIZE);

	tap_about(what);
	pattern_write(map, SIZE, 1);
	tap_eq(map_for_device(container, map), 0, "the IOMMU maps the memory");
	tap_eq(unmap_for_device(container), 0, "and ends that");
	tap_eq(map_for_device(container, map), 0, "and maps it again");
	tap_ok(pattern_matches(map, SIZE, 1), "no byte was lost");
	if (rig_over("pci"))
		tap_eq(file_write(PCI_DRIVER "unbind", PCI), 0, "its device can be unbound");
	else
		tap_eq(result(rmdir(CONFIG "0")), 0, "its device can be removed");
	tap_eq(touch(map, false), SIGBUS, "the program's mapping ends");
	tap_eq(unmap_for_device(container), 0, "the IOMMU gives it back");
	munmap(map, SIZE);
	close(fd);
}

int main(void)
{
	int container;

	guard();
	if (access("/sys/bus/pci/drivers/vfio-pci", F_OK)) {
		tap_skip("a device by vfio", "this kernel has no vfio-pci");
		return tap_done();
	}
	vfio_bind(OTHER);
	container = vfio_container(vfio_group(OTHER));
	if (rig_over("memory")) {
		test_removal(container, "");
		rmdir(CONFIG "1");
		tap_eq(system("rmmod ivshmem_soft"), 0, "the module can be unloaded");
		tap_ok(module_references_become(0), "nothing holds the other one");
		return tap_done();
	}
	test_removal(container, "pages=no");
	tap_ok(module_references_become(0), "nothing is left");
	file_write(PARAMETER, "yes");
	file_write(PCI_DRIVER "bind", PCI);
	if (!file_comes(RIG_DEVICE, true))
		tap_bail("the device does not appear");
	/* Here vfio never gives the pages back: see docs/mapping.md. */
	test_removal(container, "pages=yes");
	return tap_done();
}
