/* SPDX-License-Identifier: GPL-2.0-only */
/* Devices that the rig emulates (tests/rig/vfio_user.py) and breaks while in use. */
#ifndef FAKE_H
#define FAKE_H

#include "dev.h"

/*
 * Plug a device in and wait until the driver has probed it. Gives its PCI address, valid
 * until the next call.
 *
 * After a hotplug the kernel looks at all devices of the bus and removes those that do
 * not answer. A rescan takes the same lock, so once it returns the kernel is done, and
 * only the test touches the device.
 */
const char *fake_plug(const char *name, const char *facts);

/* No node, no memory or interrupt claimed, no device bound? */
bool nothing_left(void);

#endif
