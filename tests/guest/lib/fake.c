// SPDX-License-Identifier: GPL-2.0-only
/* Devices that the rig emulates: see fake.h. */
#include "../fake.h"

const char *fake_plug(const char *name, const char *facts)
{
	static char pci[16];
	char path[80];

	snprintf(pci, sizeof(pci), "%s", rig_ask("fake %s %s", name, facts));
	snprintf(path, sizeof(path), PCI_DEVICES "%s", pci);
	if (!file_comes(path, true))
		tap_bail("device %s does not appear in the guest", pci);
	file_write("/sys/bus/pci/rescan", "1");
	return pci;
}

bool nothing_left(void)
{
	return access(RIG_DEVICE, F_OK) && system("grep -q ivshmem /proc/iomem") &&
	       system("grep -q ivshmem /proc/interrupts") &&
	       system("ls -d /sys/bus/pci/drivers/ivshmem/0* >/dev/null 2>&1");
}
