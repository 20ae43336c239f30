/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The status line in the service manager.
 */
#ifndef STATUS_H
#define STATUS_H

#include <stdint.h>

struct server;
struct watch;

/* Report the status now. */
void status_report(struct server *server);

/* A peer has come or gone: report it soon. */
void status_changed(struct server *server);

/* The handler of server->status, the timer of the above. */
void status_due(struct server *server, struct watch *watch, uint32_t events);

#endif /* STATUS_H */
