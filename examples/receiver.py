# SPDX-License-Identifier: LGPL-2.1-or-later
import sys

import ivshmem

with ivshmem.open(sys.argv[1]) as shm, ivshmem.Channel.create(shm, 1 << 20) as channel:
    for message in channel:  # until the other end closes
        print(message.decode())
