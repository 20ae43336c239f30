/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices that the rig makes up (tests/rig/vfio_user.py) and switches while they are
 * in use.
 */
#ifndef FAKE_H
#define FAKE_H

#include "dev.h"

/* Plug one in; gives its PCI address, valid until the next. It is on the bus by
 * then, and the driver may not have seen it yet.
 */
static inline const char *fake_plug(const char *name, const char *facts)
{
	static char pci[16];
	char path[80];

	snprintf(pci, sizeof(pci), "%s", rig_ask("fake %s %s", name, facts));
	snprintf(path, sizeof(path), PCI_DEVICES "%s", pci);
	if (!file_comes(path, true))
		tap_bail("no device %s in the guest", pci);
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
