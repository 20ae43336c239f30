/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices that the rig makes up (tests/rig/vfio_user.py) and switches while they are
 * in use.
 */
#ifndef FAKE_H
#define FAKE_H

#include "dev.h"

/* Plug one in; gives its PCI address, valid until the next. It is on the bus by
 * then, and the driver has seen it.
 *
 * After a hotplug the kernel looks at all devices of the bus, and takes away those that
 * do not answer. The lock that it holds meanwhile is the one of a rescan: that comes
 * after, so that nothing touches the device any more that the test does not know of.
 */
static inline const char *fake_plug(const char *name, const char *facts)
{
	static char pci[16];
	char path[80];

	snprintf(pci, sizeof(pci), "%s", rig_ask("fake %s %s", name, facts));
	snprintf(path, sizeof(path), PCI_DEVICES "%s", pci);
	if (!file_comes(path, true))
		tap_bail("no device %s in the guest", pci);
	file_write("/sys/bus/pci/rescan", "1");
	return pci;
}

/* Has the driver let go of everything, with no device bound? */
static inline bool nothing_left(void)
{
	return access(RIG_DEVICE, F_OK) && system("grep -q ivshmem /proc/iomem") &&
	       system("grep -q ivshmem /proc/interrupts") &&
	       system("ls -d /sys/bus/pci/drivers/ivshmem/0* >/dev/null 2>&1");
}

#endif
