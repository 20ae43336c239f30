# SPDX-License-Identifier: GPL-2.0-only
"""The driver broken on purpose, once for each detector of the kernels that watch: a
silence proves something only if they would have spoken.

Each of these is a slip that somebody could make, in the driver's own text, and a test
of the suite that comes by there.
"""

import typing


class Mutant(typing.NamedTuple):
    detector: str
    slip: str
    kernel: str
    test: str
    changes: dict[tuple[str, str], str]  # {(file, text that is there once): what to put there}
    report: str  # what the kernel has to say when the test has run
    append: str = ""  # for its command line


ALL = (
    Mutant(
        "PROVE_LOCKING",
        "interrupts are let in while a lock of their handler is held",
        "kasan",
        "poll",
        {
            (
                "core/event.c",
                "	spin_lock_irq(&vec->lock);\n	if (old &&",
            ): "	spin_lock(&vec->lock);\n	if (old &&",
            (
                "core/event.c",
                "	spin_unlock_irq(&vec->lock);\n	smp_mb();",
            ): "	spin_unlock(&vec->lock);\n	smp_mb();",
        },
        r"WARNING: inconsistent lock state",
    ),
    Mutant(
        "DEBUG_ATOMIC_SLEEP",
        "a mutex is taken, and waited for, with a spinlock held",
        "kasan",
        "poll",
        {
            (
                "core/eventfd.c",
                "	mutex_lock(&file->lock);\n",
            ): "	spin_lock_irq(&file->peer->any.lock);\n	mutex_lock(&file->lock);\n"
            "	spin_unlock_irq(&file->peer->any.lock);\n",
        },
        r"BUG: sleeping function called from invalid context",
    ),
    Mutant(
        "KASAN",
        "an eventfd that is given back stays in the list of its vector",
        "kasan",
        "poll",
        {
            (
                "core/eventfd.c",
                "		ivshmem_listen(&file->peer->vectors[vector], &b->listener, NULL);\n"
                "		binding_put(&b->listener);\n",
            ): "		binding_put(&b->listener);\n",
        },
        r"BUG: KASAN: slab-use-after-free",
    ),
    Mutant(
        "DEBUG_KMEMLEAK",
        "closing a file forgets to free it",
        "kasan",
        "poll",
        {
            (
                "core/file.c",
                "	file_free(file);\n	put_device(&chardev->dev);",
            ): "	put_device(&chardev->dev);",
        },
        r"unreferenced object",
    ),
    Mutant(
        "UBSAN",
        "an array is filled as far as the program says",
        "kasan",
        "wait",
        {
            (
                "core/wait.c",
                "		if (word)\n			set->wanted[array_index_nospec(i, "
                "ARRAY_SIZE(set->wanted))] = word;",
            ): "		set->wanted[i] = word;",
        },
        r"UBSAN: array-index-out-of-bounds",
    ),
    Mutant(
        "DEBUG_OBJECTS",
        "a peer is handed to RCU for freeing twice",
        "kasan",
        "poll-memory",
        {
            (
                "core/peer.c",
                "	kvfree_rcu(peer, rcu);",
            ): "	kvfree_rcu(peer, rcu);\n	kvfree_rcu(peer, rcu);",
        },
        r"Double-freed call|ODEBUG",
    ),
    Mutant(
        "DMA_API_DEBUG",
        "a mapping for DMA is not undone when the device goes",
        "kasan",
        "rebind",
        {
            (
                "pci/pci.c",
                "	pci_set_drvdata(pdev, ip);\n	ret =",
            ): "	dma_map_single(&pdev->dev, ip, sizeof(*ip), DMA_TO_DEVICE);\n"
            "	pci_set_drvdata(pdev, ip);\n	ret =",
        },
        r"DMA-API: .*device driver has pending DMA allocations",
    ),
    Mutant(
        "FAULT_INJECTION",
        "nobody looks whether there was memory for an eventfd",
        "kasan",
        "faults",
        {
            ("core/eventfd.c", "	if (!b)\n		return ERR_PTR(-ENOMEM);\n	ret ="): "	ret =",
        },
        r"KASAN: null-ptr-deref|NULL pointer dereference",
    ),
    Mutant(
        "KCSAN",
        "a count is read as if no interrupt could change it",
        "kcsan",
        "race",
        {
            (
                "core/core.h",
                "	return atomic64_read(&file->peer->vectors[vector].count) - seen;",
            ): "	return file->peer->vectors[vector].count.counter - seen;",
        },
        r"BUG: KCSAN: data-race in .*ivshmem_",
        "kcsan.skip_watch=200",
    ),
)
