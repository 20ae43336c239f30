// SPDX-License-Identifier: GPL-2.0-only
/* The same without a server and without interrupts: two plain devices and a program. */
/* rig: guests=2 devices=plain vectors=4 size=1M alone=yes timeout=300 */
#define WITH_INTERRUPTS 0
#include "host_program.c"
