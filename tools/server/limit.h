/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The server's limit of descriptors.
 */
#ifndef LIMIT_H
#define LIMIT_H

#include <stdint.h>

struct server;

/* Raise the soft limit to the hard limit. */
void limit_raise(struct server *server);

/* How many descriptors are in use. */
uint64_t limit_used(const struct server *server);

/* Warn before newcomers are refused. Call this when a peer has come or gone. */
void limit_check(struct server *server);

#endif /* LIMIT_H */
