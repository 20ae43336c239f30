// SPDX-License-Identifier: GPL-2.0-only
/* What two guests of one architecture do works between two architectures. */
/* rig: guests=2 arches=amd64,arm64 devices=doorbell vectors=4 size=16M */
#include "shared.c"
