/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a service manager passes to the server.
 */
#ifndef ACTIVATION_H
#define ACTIVATION_H

/* The names under which notify_store() stores what must outlive the server. */
#define STORED_MEMORY	"memory"
#define STORED_IDS	"ids"

/* Descriptors, or -1 for what was not passed. */
struct passed {
	int socket;
	int memory;
	int ids;
};

/*
 * Call this before a fork, because the descriptors are for one process id. Returns 0, or
 * -1 after a message.
 */
int activation_take(struct passed *passed);

#endif /* ACTIVATION_H */
