/* SPDX-License-Identifier: GPL-2.0-only */
/* What ethtool asks for, for tests of network interfaces. */
#ifndef ETHTOOL_H
#define ETHTOOL_H

#include <linux/ethtool.h>

#include "dev.h"

/* Ask an interface: @command begins with ETHTOOL_*. 0 or a negative errno. */
int ethtool(const char *interface, void *command);

/* How many counters it has. */
unsigned int ethtool_counters(const char *interface);

/* The sum of its counters that have this in their names. */
long long ethtool_sum(const char *interface, const char *name);

#endif
