/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory leaks, found by kmemleak. */
#ifndef LEAKS_H
#define LEAKS_H

#include "dev.h"

void leaks_begin(void);

/*
 * Has the driver, or this program, leaked anything since leaks_begin()? Call it while
 * the modules are loaded, so that kmemleak can name their functions.
 */
void leaks_end(const char *program);

#endif
