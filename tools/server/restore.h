/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory that the service manager has kept.
 */
#ifndef RESTORE_H
#define RESTORE_H

#include <stdbool.h>

struct memory;

/* Is the stored memory what was asked for? Logs a warning if not. */
bool memory_restore(const struct memory *memory, int stored);

#endif /* RESTORE_H */
