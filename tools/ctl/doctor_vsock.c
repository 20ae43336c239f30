// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: partitions of the type vsock by which no machine is reached.
 */
#include "cids.h"
#include "doctor_segment.h"

#define DRIVER	"ivshmem_vsock"
#define OTHER	"vhost_vsock"
#define PROBE	"echo %s | sudo tee /sys/bus/ivshmem/drivers_probe"

/* Why the driver has not got it. */
static void examine_refusal(const struct segment_node *node)
{
	const char *name = node->name, *reason;
	char text[REFUSAL_TEXT];

	if (!is_there(below("/sys/module/" DRIVER))) {
		if (!has_module(DRIVER, running_kernel()))
			problem("vsock-no-module",
				"the partition %s is for vsock, but there is no module " DRIVER " for the kernel %s: a kernel with vsock for virtual machines (CONFIG_VIRTIO_VSOCKETS_COMMON) can have it: sudo dkms autoinstall, or reinstall the package ivshmem-dkms",
				name, running_kernel());
		else
			problem("vsock-not-loaded",
				"the partition %s is for vsock, but the module for that is not loaded: sudo modprobe " DRIVER,
				name);
		return;
	}
	reason = segment_refusal(node, text);
	if (reason)
		problem("vsock-refused", "%s carries no vsock, as %s", name, reason);
	else if (is_there(below("/sys/module/" OTHER)))
		problem("vsock-busy",
			"%s carries no vsock, as " OTHER " is loaded, which is for the guests of this machine, and the kernel has one transport to guests: stop its guests, then: sudo modprobe -r " OTHER "; " PROBE,
			name, name);
	else
		problem("vsock-refused",
			"the driver " DRIVER " has not bound the partition %s: see 'sudo dmesg | grep %s'; to try again, " PROBE,
			name, name, name);
}

static void examine_links(const struct segment_node *node)
{
	char text[REFUSAL_TEXT];
	unsigned int others;

	switch (segment_absence(node, text, &others)) {
	case ABSENCE_HIDDEN:
		problem("vsock-no-link",
			"%s reaches no machine by vsock: run this as root, who may see which machines are there",
			node->name);
		break;
	case ABSENCE_NO_PORT:
		problem("vsock-no-port", "%s reaches no machine by vsock, as %s", node->name, text);
		break;
	case ABSENCE_ALONE:
		problem("vsock-alone",
			"%s reaches no machine by vsock, as no other one is there: have others share the memory and load the driver",
			node->name);
		break;
	case ABSENCE_UNLINKED:
		problem("vsock-unlinked",
			"%s reaches no machine by vsock: of those there (%u) none takes part: load " DRIVER " there, and run 'ivshmemctl doctor'",
			node->name, others);
		break;
	}
}

void examine_vsock(const struct segment_node *node)
{
	static struct cids cids;

	if (!is_there(below(SYSFS_NODES "/%s/driver", node->name))) {
		examine_refusal(node);
		return;
	}
	cids_read(below(SYSFS_NODES "/%s/cids", node->name), &cids);
	if (!cids.linked)
		examine_links(node);
}
