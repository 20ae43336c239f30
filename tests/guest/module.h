/* SPDX-License-Identifier: GPL-2.0-only */
/* Unload the module, load it, and check that it leaves nothing behind. */
#ifndef MODULE_H
#define MODULE_H

#include "dev.h"

/* 0 or a negative errno. */
int module_unload(void);
int module_load(void);

/* The module's reference count; -1 if it is not loaded. */
int module_references(void);

/* Wait up to ten seconds until it has so many: struct pages left behind hold it. */
bool module_references_become(int count);

/* The last points of a test that adds and removes devices: nothing is left. */
void module_clean(void);

#endif
