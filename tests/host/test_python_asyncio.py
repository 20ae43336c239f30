# SPDX-License-Identifier: GPL-2.0-only
"""The Python package's channels in an event loop: both directions at once, cancelled tasks,
and no message that nobody is told of."""

import asyncio
import contextlib
import errno
import signal
import threading
import typing

import ctl
import pytest
from binding import Other

import ivshmem
from ivshmem import Channel

ATTACH = "channel = ivshmem.Channel.attach(shm)\n"
SIZE = 1 << 14
COUNT = 2000


@pytest.fixture(name="path", scope="module")
def fixture_path() -> typing.Iterator[str]:
    with ctl.server() as (path, _):
        yield str(path)


@pytest.fixture(name="channel")
def fixture_channel(path: str) -> typing.Iterator[Channel]:
    """A channel that is new, whatever was in the memory."""
    with ivshmem.open(path) as shm:
        memory = shm.map()
        memory[:] = bytes(len(memory))
        del memory
        with Channel.create(shm, SIZE) as channel:
            yield channel


def run(work: typing.Coroutine[object, object, object]) -> None:
    """Run it in a new loop; it fails if it does not end."""

    async def limited() -> None:
        await asyncio.wait_for(work, ctl.LIMIT)

    asyncio.run(limited())


def is_watched(channel: Channel) -> bool:
    """The running loop watches the descriptor."""
    return channel.fileno() in asyncio.get_running_loop()._selector.get_map()  # type: ignore


async def until_watched(channel: Channel) -> None:
    """Let the other tasks run until one of them sleeps."""
    while not is_watched(channel):
        await asyncio.sleep(0.001)


def message(number: int) -> bytes:
    """Of different sizes, so that buffers fill up and wrap."""
    return number.to_bytes(4, "big") * (1 + number * 7 % 300)


async def send_all(channel: Channel) -> None:
    for number in range(COUNT):
        await channel.send_async(message(number))


async def receive_all(channel: Channel) -> None:
    for number in range(COUNT):
        assert await channel.recv_async() == message(number)


def test_both_directions_at_once(path: str, channel: Channel) -> None:
    """Each end sends and receives all the time, and each direction fills up."""
    program = (
        ATTACH
        + f"""
def message(n): return n.to_bytes(4, "big") * (1 + n * 7 % 300)
async def send():
    for n in range({COUNT}): await channel.send_async(message(n))
async def receive():
    for n in range({COUNT}): assert await channel.recv_async() == message(n)
async def both(): await asyncio.gather(send(), receive())
asyncio.run(both())
"""
    )

    async def both() -> None:
        await asyncio.gather(send_all(channel), receive_all(channel))

    with Other(path, program) as other:
        run(both())
        assert other.end() == 0


def test_no_wakeup_is_lost_between_tasks(path: str, channel: Channel) -> None:
    """Two ends in one loop, each with a task for each direction."""

    async def all_four(other: Channel) -> None:
        await asyncio.gather(
            send_all(channel), receive_all(channel), send_all(other), receive_all(other)
        )

    with ivshmem.open(path) as shm, Channel.attach(shm) as other:
        run(all_four(other))


def test_one_message_at_a_time(path: str, channel: Channel) -> None:
    """Each waits for the other's answer before it goes on."""
    program = ATTACH + "for message in channel: channel.send(message)"

    async def ask() -> None:
        for number in range(COUNT):
            await channel.send_async(message(number))
            assert await channel.recv_async() == message(number)

    with Other(path, program):
        run(ask())


def test_async_for_ends_with_the_other_end(path: str, channel: Channel) -> None:
    program = ATTACH + "for word in (b'one', b'two'): channel.send(word)\nchannel.close()"

    async def listen() -> list[bytes]:
        return [word async for word in channel]

    with Other(path, program) as other:
        assert asyncio.run(asyncio.wait_for(listen(), ctl.LIMIT)) == [b"one", b"two"]
        assert other.end() == 0


def test_death_of_the_other_end_wakes_a_task(path: str, channel: Channel) -> None:
    async def listen(other: Other) -> None:
        assert await channel.recv_async() == b"hello"
        task = asyncio.create_task(channel.recv_async())
        await until_watched(channel)
        other.process.send_signal(signal.SIGKILL)
        with pytest.raises(BrokenPipeError):
            await task

    with Other(path, ATTACH + "channel.send(b'hello')\nsignal.pause()") as other:
        run(listen(other))


def test_end_of_the_server_wakes_a_task() -> None:
    async def listen(channel: Channel, server: contextlib.ExitStack) -> None:
        task = asyncio.create_task(channel.recv_async())
        await until_watched(channel)
        server.close()
        with pytest.raises(OSError) as caught:
            await task
        assert caught.value.errno == errno.ENODEV

    with contextlib.ExitStack() as server:
        path, _ = server.enter_context(ctl.server(memory=["--memfd"]))
        with ivshmem.open(path) as shm, Channel.create(shm, SIZE) as channel:
            run(listen(channel, server))


def test_a_cancelled_task_takes_no_message(path: str, channel: Channel) -> None:
    """The receiver gives up again and again, at any moment."""
    program = (
        ATTACH
        + f"""
for n in range({COUNT}):
    channel.send(n.to_bytes(4, "big"))
    if not n % 10: time.sleep(0.0005)
signal.pause()
"""
    )
    received: list[int] = []
    cancelled = 0

    async def give_up(turns: int) -> None:
        nonlocal cancelled

        async def receive() -> None:
            received.append(int.from_bytes(await channel.recv_async(), "big"))

        task = asyncio.create_task(receive())
        for turn in range(turns):
            await asyncio.sleep(0.001 if turn == 5 else 0)
        cancelled += task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def listen() -> None:
        attempts = 0
        while len(received) < COUNT:
            await give_up(attempts % 7)
            attempts += 1
        task = asyncio.create_task(channel.recv_async())
        await until_watched(channel)
        task.cancel()
        await asyncio.wait([task])
        assert not is_watched(channel)

    with Other(path, program):
        run(listen())
    assert received == list(range(COUNT)) and cancelled


def test_a_cancelled_task_sends_nothing(path: str, channel: Channel) -> None:
    async def fill(other: Channel) -> None:
        count = 0
        await asyncio.gather(channel.send_async(b"first"), other.recv_async())
        with contextlib.suppress(BlockingIOError):
            while True:
                channel.send(b"%d" % count, 0)
                count += 1
        task = asyncio.create_task(channel.send_async(b"cancelled"))
        await until_watched(channel)
        task.cancel()
        await asyncio.wait([task])
        assert not is_watched(channel)
        for number in range(count):
            assert await other.recv_async() == b"%d" % number
        with pytest.raises(BlockingIOError):
            other.recv(0)

    with ivshmem.open(path) as shm, Channel.attach(shm) as other:
        run(fill(other))


def test_one_direction_goes_on_when_the_other_is_cancelled(path: str, channel: Channel) -> None:
    async def talk(other: Channel) -> None:
        await asyncio.gather(channel.send_async(b"first"), other.recv_async())
        with contextlib.suppress(BlockingIOError):
            while True:
                channel.send(bytes(1000), 0)
        sender = asyncio.create_task(channel.send_async(b""))
        receiver = asyncio.create_task(channel.recv_async())
        await until_watched(channel)
        sender.cancel()
        await asyncio.wait([sender])
        assert is_watched(channel)
        await other.send_async(b"still here")
        assert await receiver == b"still here"

    with ivshmem.open(path) as shm, Channel.attach(shm) as other:
        run(talk(other))


def test_close_ends_tasks_that_wait(channel: Channel) -> None:
    async def listen(close: typing.Callable[[], None]) -> None:
        tasks = [
            asyncio.create_task(channel.recv_async()),
            asyncio.create_task(channel.send_async(b"")),
        ]
        await until_watched(channel)
        close()
        for task in tasks:
            with pytest.raises(BrokenPipeError):
                await task
        with pytest.raises(BrokenPipeError):
            await channel.recv_async()

    run(listen(channel.close))


def test_close_by_another_thread_ends_a_task(channel: Channel) -> None:
    async def listen() -> None:
        task = asyncio.create_task(channel.recv_async())
        await until_watched(channel)
        thread = threading.Thread(target=channel.close)
        thread.start()
        with pytest.raises(BrokenPipeError):
            await task
        thread.join()
        assert not asyncio.get_running_loop()._selector.get_map().keys() - own  # type: ignore

    async def begin() -> None:
        own.update(asyncio.get_running_loop()._selector.get_map())  # type: ignore
        await listen()

    own: set[int] = set()
    run(begin())


def test_two_loops_serve_the_two_directions(path: str, channel: Channel) -> None:
    """Each in a thread of its own; the descriptor is the same."""
    with ivshmem.open(path) as shm, Channel.attach(shm) as other:
        works = [send_all(channel), receive_all(channel), send_all(other), receive_all(other)]
        threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(ctl.LIMIT)
            assert not thread.is_alive()
        with pytest.raises(BlockingIOError):
            channel.recv(0)


def test_a_busy_channel_leaves_other_tasks_their_turns(path: str, channel: Channel) -> None:
    async def compete(other: Channel) -> None:
        await asyncio.gather(channel.send_async(b"first"), other.recv_async())
        for _ in range(100):
            channel.send(b"", 0)
        turns = 0

        async def receive() -> None:
            for _ in range(100):
                await other.recv_async()

        task = asyncio.create_task(receive())
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns >= 100

    with ivshmem.open(path) as shm, Channel.attach(shm) as other:
        run(compete(other))
