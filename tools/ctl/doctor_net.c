// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: partitions of the type net that have no interface here, and interfaces
 * that have no carrier.
 */
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "doctor_segment.h"
#include "textfile.h"

#define DRIVER	"ivshmem_net"

/* Why the driver has not got it. */
static void examine_refusal(const struct segment_node *node)
{
	const char *name = node->name, *reason;
	char text[REFUSAL_TEXT];

	if (!is_there(below("/sys/module/" DRIVER))) {
		if (!has_module(DRIVER, running_kernel()))
			problem("net-no-module",
				"the partition %s is a network, but there is no module " DRIVER " for the kernel %s: a kernel with CONFIG_INET can have it: sudo dkms autoinstall, or reinstall the package ivshmem-dkms",
				name, running_kernel());
		else
			problem("net-not-loaded",
				"the partition %s is a network, but the module that makes an interface of it is not loaded: sudo modprobe " DRIVER,
				name);
		return;
	}
	reason = segment_refusal(node, text);
	if (reason)
		problem("net-refused", "the network of %s has no interface, as %s", name, reason);
	else
		problem("net-refused",
			"the driver " DRIVER " has not bound the partition %s: see 'sudo dmesg | grep %s'; to try again, echo %s | sudo tee /sys/bus/ivshmem/drivers_probe",
			name, name, name);
}

static void examine_carrier(const struct segment_node *node, const char *interface)
{
	char text[REFUSAL_TEXT];
	unsigned int others;

	switch (segment_absence(node, text, &others)) {
	case ABSENCE_HIDDEN:
		problem("net-no-carrier",
			"the interface %s has no carrier: run this as root, who may see which machines are there",
			interface);
		break;
	case ABSENCE_NO_PORT:
		problem("net-no-port", "the interface %s has no carrier, as %s", interface, text);
		break;
	case ABSENCE_ALONE:
		problem("net-alone",
			"the interface %s has no carrier, as no other machine is there: have others share the memory and load the driver, or run 'ivshmemctl net' on their host",
			interface);
		break;
	case ABSENCE_UNLINKED:
		problem("net-unlinked",
			"the interface %s has no carrier: of the machines there (%u) none has this network: load " DRIVER " there and set its interface up, or run 'ivshmemctl net' on a host",
			interface, others);
		break;
	}
}

static void examine_interface(const struct segment_node *node, const char *interface)
{
	char text[32];

	if (read_line(below(SYSFS_NODES "/%s/net/%s/flags", node->name, interface), text, sizeof(text)))
		return;
	if (!(strtoul(text, NULL, 16) & IFF_UP))
		problem("net-down", "the interface %s of %s is down: sudo ip link set %s up",
			interface, node->name, interface);
	else if (read_line(below(SYSFS_NODES "/%s/net/%s/carrier", node->name, interface), text,
			   sizeof(text)) || strcmp(text, "1"))
		examine_carrier(node, interface);
}

/* One that was moved to another network namespace is not seen here. */
void examine_network(const struct segment_node *node)
{
	char **names;
	int count;

	if (!is_there(below(SYSFS_NODES "/%s/driver", node->name))) {
		examine_refusal(node);
		return;
	}
	count = read_names(below(SYSFS_NODES "/%s/net", node->name), &names);
	for (int i = 0; i < count; i++)
		examine_interface(node, names[i]);
	if (count >= 0)
		free_names(names, count);
}
