/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages to the service manager. Without one, these functions do nothing.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdbool.h>

bool notify_wanted(void);

/* The server is ready. */
void notify_ready(void);

/* A line for the administrator. Returns false if the manager is busy: try again later. */
bool notify_status(const char *status);

/* Keep a descriptor, to pass it to the next server; no longer keep it. */
void notify_store(const char *name, int fd);
void notify_discard(const char *name);

#endif /* NOTIFY_H */
