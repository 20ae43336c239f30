/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Labels that a fuzzer overwrites, for the driver's reader in the kernel (module.c) and for
 * the library's (tests/host/label_fuzz.c).
 */
#ifndef MUTATION_H
#define MUTATION_H

#include <linux/types.h>

/*
 * Write the numbers of an input somewhere in a good label, and read it. The first of them
 * decide how large the memory is, and how much of the label was copied. Returns whether the
 * reader keeps every promise of docs/label-format.md about what it accepts. It must stay
 * inside its copy as well, which a sanitizer watches.
 */
bool mutation_holds(const __u8 *data, size_t size);

#endif /* MUTATION_H */
