/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of ivshmemctl peers.
 */
#ifndef CTL_PEERS_H
#define CTL_PEERS_H

#include "present.h"

/* Print a server and its peers. Complains on failure. */
enum exit_code peers_of_server(const char *socket);

/*
 * Print a line for each peer that is there, then one for each that comes or goes, until there
 * were @count of the latter, a signal, or the end of the device. Complains on failure.
 */
enum exit_code peers_watch(const struct device *device, uint64_t count);

#endif /* CTL_PEERS_H */
