# SPDX-License-Identifier: LGPL-2.1-or-later
import asyncio
import sys

import ivshmem


async def listen(channel: ivshmem.Channel) -> None:
    while message := await channel.recv_async():
        print(message.decode())


async def talk(channel: ivshmem.Channel, words: list[str]) -> None:
    for word in words:
        await channel.send_async(word.encode())
    await channel.send_async(b"")  # that was all


async def main(path: str, role: str, *words: str) -> None:
    with ivshmem.open(path) as shm:
        create = role == "create"
        end = ivshmem.Channel
        with end.create(shm, 1 << 20) if create else end.attach(shm) as channel:
            await asyncio.gather(listen(channel), talk(channel, list(words)))


asyncio.run(main(*sys.argv[1:]))
