# SPDX-License-Identifier: GPL-2.0-only
"""The Python package: what blocks, with a real server and, where it matters, two processes."""

import errno
import gc
import os
import pathlib
import select
import signal
import sys
import threading
import time
import types
import typing

import ctl
import pytest
from binding import Other

import ivshmem
from ivshmem import Channel, Event, Handle, Mutex, Semaphore, _library as library

ATTACH = "channel = ivshmem.Channel.attach(shm)\n"
SIZE = 1 << 16


@pytest.fixture(name="path", scope="module")
def fixture_path() -> typing.Iterator[str]:
    with ctl.server() as (path, _):
        yield str(path)


@pytest.fixture(name="shm")
def fixture_shm(path: str) -> typing.Iterator[Handle]:
    """A handle of memory that is all zeros."""
    with ivshmem.open(path) as shm:
        memory = shm.map()
        memory[:] = bytes(len(memory))
        del memory
        yield shm


@pytest.fixture(name="channel")
def fixture_channel(shm: Handle) -> typing.Iterator[Channel]:
    with Channel.create(shm, SIZE) as channel:
        yield channel


class Thread(threading.Thread):
    """A thread whose exception is its result."""

    def __init__(self, call: typing.Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.call = call
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.call()
        except Exception as error:
            self.error = error

    def result(self) -> Exception | None:
        self.join(ctl.LIMIT)
        assert not self.is_alive()
        return self.error


def is_asleep(thread: Thread) -> bool:
    """The thread sleeps in a system call: so it has entered the library."""
    stat = pathlib.Path(f"/proc/self/task/{thread.native_id}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "S"


def mappings() -> int:
    """How often this process maps the region."""
    return pathlib.Path("/proc/self/maps").read_text().count(ctl.REGION)


# Handles


def test_properties(shm: Handle) -> None:
    properties = shm.properties
    assert (properties.size, properties.vectors, properties.page_size) == (1 << 20, 4, 4096)
    assert properties.id is not None and properties.can_ring is True
    assert properties.transport is ivshmem.Transport.SERVER
    assert properties.cache is ivshmem.Cache.WB
    assert ivshmem.library_version() == (0, 1, 0)


def test_open_names_the_path_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        ivshmem.open(pathlib.Path("/nowhere/socket"))
    assert caught.value.filename == "/nowhere/socket"
    with pytest.raises(OSError) as other:
        ivshmem.open("/dev/null")
    assert other.value.errno == errno.ENOTTY


def test_a_name_with_a_null_byte_is_refused(path: str) -> None:
    """As open() does, rather than to open what the first part names."""
    for name, partition in ((f"{path}\0x", None), (path, "frames\0x")):
        with pytest.raises(ValueError):
            ivshmem.open(name, partition=partition)


def test_a_partition_is_a_region(path: str) -> None:
    for words in (["format", "--force"], ["partition", "add", "frames", "64K", "-v", "2"]):
        assert ctl.run(*words, device=path).process.returncode == ctl.OK
    with ivshmem.open(path, partition="frames") as shm, ivshmem.open(path) as whole:
        assert shm.properties.size == 65536 and shm.properties.vectors == 2
        shm.map()[:5] = b"frame"
        assert whole.map(0x20000, 5) == b"frame"
    with pytest.raises(FileNotFoundError):
        ivshmem.open(path, partition="none")


def test_a_server_tells_ids(path: str, shm: Handle) -> None:
    with ivshmem.open(path) as other:
        ids = {shm.properties.id, other.properties.id}
        assert ctl.wait_until(lambda: {peer.id for peer in other.list_peers()} == ids)
        mine = [peer for peer in other.list_peers() if peer.is_self]
        assert [peer.id for peer in mine] == [other.properties.id]
        assert mine[0].slot is None and mine[0].owner is None and mine[0].name == b""
        assert mine[0].kind is ivshmem.Kind.UNKNOWN


def test_programs_on_a_file_are_peers(tmp_path: pathlib.Path) -> None:
    region = tmp_path / "region"
    with region.open("wb") as file:
        file.truncate(SIZE * 16)
    assert ctl.run("format", device=region).process.returncode == ctl.OK
    with ivshmem.open(region) as one, ivshmem.open(region) as other:
        assert one.properties.id == 0xFF00 and other.properties.id == 0xFF01
        first, second = one.list_peers()
        assert first.is_self and not second.is_self and second.slot == 1
        assert second.kind is ivshmem.Kind.PROGRAM and second.generation >= 1
        assert second.name.endswith(b":%d" % os.getpid()) and 0 <= second.silent < ctl.LIMIT
        other.ring(0xFF00, 3)
        assert one.wait(3, timeout=ctl.LIMIT).vectors == {3}


def test_a_closed_handle_is_refused(path: str) -> None:
    shm = ivshmem.open(path)
    assert not shm.closed
    shm.close()
    shm.close()
    assert shm.closed
    with pytest.raises(OSError) as caught:
        shm.peers()
    assert caught.value.errno == errno.EBADF


def test_a_handle_that_nothing_refers_to_is_closed(path: str, shm: Handle) -> None:
    other = ivshmem.open(path)
    assert ctl.wait_until(lambda: len(shm.peers()) == 1)
    del other
    gc.collect()
    assert ctl.wait_until(lambda: not shm.peers())


def test_memory_is_shared_and_outlives_the_handle(path: str, shm: Handle) -> None:
    before = mappings()
    with ivshmem.open(path) as other:
        memory = other.map(4096)
        assert len(memory) == (1 << 20) - 4096 and memory.format == "B"
        part = memory[:4]
    memory.release()
    assert other.closed
    shm.map(0, 8192)[4096:4100] = b"here"
    assert bytes(part) == b"here" and mappings() == before + 1
    del memory, part
    gc.collect()
    assert mappings() == before


def test_a_range_beyond_the_end_is_refused(shm: Handle) -> None:
    for offset, length in ((1 << 20, 0), (1 << 21, 0), (100, 0), (0, (1 << 20) + 1)):
        with pytest.raises(OSError) as caught:
            shm.map(offset, length)
        assert caught.value.errno == errno.EINVAL


def test_read_only(path: str) -> None:
    with ivshmem.open(path, read_only=True) as shm:
        memory = shm.map()
        assert memory.readonly
        with pytest.raises(TypeError):
            memory[0] = 1
        with pytest.raises(PermissionError):
            shm.ring(0)


def test_numbers_that_do_not_fit_are_refused(shm: Handle) -> None:
    calls: list[typing.Callable[[], object]] = [
        lambda: shm.ring(1 << 32),
        lambda: shm.ring(-1),
        lambda: shm.wait(1 << 32),
        lambda: shm.wait(vectors=[256]),
        lambda: shm.wait(vectors=[-1]),
        lambda: shm.wait(word=(0, 1 << 32)),
        lambda: Semaphore(shm, 0, 1 << 32, create=True),
        lambda: Channel.create(shm, SIZE, vector=1 << 32),
        lambda: Channel.create(shm, 1 << 64),
    ]
    for call in calls:
        with pytest.raises(OverflowError):
            call()
    for offset in (1 << 64, -1):
        with pytest.raises(OverflowError):
            shm.map(offset, 4096)
        for kind in (Mutex, Semaphore, Event):
            with pytest.raises(OverflowError):
                kind(shm, offset, create=True)
    assert not any(shm.map()), "nothing was made at offset 0"
    with pytest.raises(OverflowError):
        shm.map(0, 1 << 64)
    with Channel.create(shm, SIZE) as channel:
        for size in ((1 << 64) + 8, -1):
            with pytest.raises(OverflowError):
                channel.reserve(size)
            with pytest.raises(OverflowError):
                channel.commit(size)
    with pytest.raises(ValueError):
        shm.wait(timeout=-1)


def test_ring_and_wait_between_processes(path: str, shm: Handle) -> None:
    program = """
say(shm.properties.id)
for n in range(2):
    woken = shm.wait(vectors=[1, 3])
    say(*woken.vectors, woken.count, woken.changed)
"""
    with Other(path, program) as other:
        peer = int(other.line())
        shm.ring(peer, 0)
        shm.ring(peer, 3)
        assert other.line() == "3 1 False"
        shm.ring(peer, 1)
        assert other.line() == "1 1 False"
        assert other.end() == 0
    with pytest.raises(OSError) as caught:
        shm.ring(65535)
    assert caught.value.errno == errno.ENXIO


def test_wait_for_a_word(path: str, shm: Handle) -> None:
    memory = shm.map()
    assert shm.wait(word=(64, 1)).changed
    with Other(path, "say(shm.properties.id, shm.wait(word=(64, 0)).changed)") as other:
        assert ctl.wait_until(shm.peers)
        memory[64] = 1
        for peer in shm.peers():
            shm.ring(peer)
        assert other.line().endswith("True")


def test_wait_has_an_end(shm: Handle) -> None:
    for timeout in (0, 0.01, 1.2):
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            shm.wait(timeout=timeout)
        assert time.monotonic() - begin >= timeout


def test_wait_spins_once(shm: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the main thread looks for signals."""
    spins: list[int] = []
    wait = library.lib.wait_sized

    def note(handle: object, options: typing.Any, *rest: object) -> object:
        spins.append(options._obj.spin_ns)
        return wait(handle, options, *rest)

    monkeypatch.setattr(library.lib, "wait_sized", note)
    with pytest.raises(TimeoutError):
        shm.wait(timeout=1.2, spin=0.5)
    assert spins[0] == 500_000_000 and len(spins) > 1 and not any(spins[1:])


def test_ring_wait(path: str, shm: Handle) -> None:
    program = """
say(shm.properties.id)
shm.wait(2)
for peer in shm.peers(): shm.ring(peer, 1)
"""
    with Other(path, program) as other:
        peer = int(other.line())
        assert shm.ring_wait(peer, 2, 1).vectors == {1}
        assert other.end() == 0


def test_ring_wait_rings_once(path: str, shm: Handle) -> None:
    with ivshmem.open(path) as other:
        assert ctl.wait_until(lambda: len(shm.peers()) == 1)
        assert other.properties.id is not None
        with pytest.raises(TimeoutError):
            shm.ring_wait(other.properties.id, 2, timeout=1.5)
        assert other.wait(2).count == 1


def test_eventfd(path: str, shm: Handle) -> None:
    fd = shm.eventfd(1)
    with ivshmem.open(path) as other:
        assert ctl.wait_until(other.peers)
        assert shm.properties.id is not None
        other.ring(shm.properties.id, 1)
        assert select.select([fd], [], [], ctl.LIMIT)[0]
        assert os.read(fd, 8) == (1).to_bytes(8, sys.byteorder)
    os.close(fd)


def test_peers_come_and_go(path: str, shm: Handle) -> None:
    others: list[Handle] = []
    assert not shm.peers()
    for _ in range(20):
        others.append(ivshmem.open(path))
        while len(shm.peers()) < len(others):
            assert select.select([shm], [], [], ctl.LIMIT)[0]
    assert shm.peers() == sorted(other.properties.id or 0 for other in others)


def test_a_handle_ends_with_its_server() -> None:
    with ctl.server(memory=["--memfd"]) as (path, _):
        shm = ivshmem.open(path)
    with pytest.raises(OSError) as caught:
        shm.wait()
    assert caught.value.errno == errno.ENODEV


# Channels


def test_messages_between_processes(path: str, channel: Channel) -> None:
    program = ATTACH + "for message in channel: channel.send(message.upper())\nsay('end')"
    messages: list[bytes | bytearray | memoryview] = [
        b"",
        b"a",
        bytearray(b"array"),
        memoryview(b"view")[1:],
        b"long" * 4000,
    ]
    with Other(path, program) as other:
        for message in messages:
            channel.send(message)
            assert channel.recv() == bytes(message).upper()
        channel.close()
        assert other.line() == "end" and other.end() == 0


def test_in_place(path: str, channel: Channel) -> None:
    program = (
        ATTACH
        + """
with channel.writing(8) as message: message[:] = b"in place"
message = channel.reserve(100)
message[:4] = b"part"
channel.commit(4)
channel.recv()
"""
    )
    with Other(path, program):
        with channel.reading() as message:
            assert message.readonly and bytes(message) == b"in place"
        assert bytes(channel.peek()) == bytes(channel.peek()) == b"part"
        channel.release()
        with pytest.raises(OSError) as caught:
            channel.release()
        assert caught.value.errno == errno.EINVAL
        with pytest.raises(ValueError):
            bytes(message)
        channel.send(b"end")


@pytest.fixture(name="pair")
def fixture_pair(path: str, channel: Channel) -> typing.Iterator[tuple[Channel, Channel]]:
    """Both ends of a channel that has been used."""
    with ivshmem.open(path) as shm, Channel.attach(shm) as other:
        thread = Thread(lambda: other.send(b"hello"))
        assert channel.recv() == b"hello" and thread.result() is None
        yield channel, other


def test_an_exception_neither_sends_nor_receives(pair: tuple[Channel, Channel]) -> None:
    one, other = pair
    with pytest.raises(KeyError), one.writing(5):
        raise KeyError
    one.send(b"first")
    with pytest.raises(KeyError), other.reading():
        raise KeyError
    assert other.recv() == b"first"
    with pytest.raises(BlockingIOError):
        other.recv(0)


def test_more_waits_for_flush(pair: tuple[Channel, Channel]) -> None:
    one, other = pair
    one.send(b"1", more=True)
    one.send(b"2", more=True)
    with pytest.raises(BlockingIOError):
        other.recv(0)
    one.flush()
    assert [other.recv(), other.recv()] == [b"1", b"2"]


def test_errors(shm: Handle, pair: tuple[Channel, Channel]) -> None:
    one, other = pair
    with pytest.raises(BlockingIOError):
        one.recv(0)
    with pytest.raises(TimeoutError):
        one.recv(1.2)
    with pytest.raises(OSError) as caught:
        one.send(bytes(one.properties.send_max + 1))
    assert caught.value.errno == errno.EMSGSIZE
    with pytest.raises(BlockingIOError):
        while True:
            one.send(bytes(1000), 0)
    with pytest.raises(TimeoutError):
        one.send(bytes(1000), 0.01)
    for timeout in (0, 1.2):
        with pytest.raises(FileNotFoundError):
            Channel.attach(shm, offset=SIZE, timeout=timeout)
    with pytest.raises(OSError) as caught:
        Channel.create(shm, 100)
    assert caught.value.errno == errno.EINVAL


def test_the_other_end_goes_away(path: str, channel: Channel) -> None:
    with Other(path, ATTACH + "channel.send(b'last')\nsignal.pause()") as other:
        assert bytes(channel.peek()) == b"last"
        other.kill()
        assert channel.recv() == b"last"
        with pytest.raises(BrokenPipeError):
            channel.recv()
    with ivshmem.open(path) as shm, Channel.attach(shm) as one:
        thread = Thread(lambda: channel.send(b"again"))
        assert one.recv() == b"again" and thread.result() is None
        with Channel.attach(shm):
            with pytest.raises(OSError) as caught:
                one.recv(5)
            assert caught.value.errno == errno.ESTALE
            with pytest.raises(ConnectionResetError):
                channel.recv(5)


def test_close_ends_calls_of_other_threads(channel: Channel) -> None:
    threads = [Thread(channel.recv), Thread(lambda: channel.send(b""))]
    assert all(ctl.wait_until(lambda: is_asleep(thread)) for thread in threads)
    channel.close()
    assert all(isinstance(thread.result(), BrokenPipeError) for thread in threads)
    with pytest.raises(BrokenPipeError):
        channel.recv()


def test_close_leaves_a_sender_alone(
    pair: tuple[Channel, Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library must not flush while another thread sends."""
    one, other = pair
    flushes: list[object] = []
    monkeypatch.setattr(library.lib, "channel_flush", flushes.append)
    inside = threading.Event()
    reserve = library.lib.channel_reserve

    def note(*rest: object) -> object:
        inside.set()
        return reserve(*rest)

    count = 0
    with pytest.raises(BlockingIOError):
        while True:
            one.send(bytes(1000), 0, more=True)
            count += 1
    monkeypatch.setattr(library.lib, "channel_reserve", note)
    thread = Thread(lambda: one.send(bytes(1000)))
    assert inside.wait(ctl.LIMIT)
    one.close()
    assert isinstance(thread.result(), BrokenPipeError) and not flushes
    assert [len(message) for message in other] == [1000] * count


def test_memory_of_a_message_outlives_the_channel(pair: tuple[Channel, Channel]) -> None:
    one, other = pair
    before = mappings()
    one.send(b"message")
    part = other.peek()[:4]
    other.send(b"held back", more=True)
    other.close()
    assert bytes(part) == b"mess" and mappings() == before
    assert one.recv() == b"held back"
    with pytest.raises(BrokenPipeError):
        one.recv()
    del part
    gc.collect()
    assert mappings() == before - 1


def test_objects_outlive_the_handle(path: str) -> None:
    with ivshmem.open(path) as shm:
        one = Channel.create(shm, SIZE)
    with one, ivshmem.open(path) as shm, Channel.attach(shm) as other:
        thread = Thread(lambda: one.send(b"still here"))
        assert other.recv() == b"still here" and thread.result() is None


def test_a_child_leaves_its_parents_alone(path: str, shm: Handle, channel: Channel) -> None:
    with Other(path, ATTACH + "channel.recv()\nchannel.send(b'after')") as other:
        channel.send(b"")
        child = os.fork()
        if not child:
            status = 1
            try:
                with pytest.raises(PermissionError):
                    channel.recv()
                with pytest.raises(PermissionError):
                    shm.peers()
                channel.close()
                shm.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert channel.recv() == b"after" and other.end() == 0
        assert not channel.closed and shm.properties.size


# Mutexes, semaphores, events

COUNT = """
memory, mutex = shm.map(), ivshmem.Mutex(shm, 4096, create=True)
for n in range(500):
    with mutex:
        value = int.from_bytes(memory[:4], "little") + 1
        time.sleep(0)
        memory[:4] = value.to_bytes(4, "little")
"""


def test_a_mutex_excludes_other_processes(path: str, shm: Handle) -> None:
    with Other(path, COUNT) as one, Other(path, COUNT) as other:
        assert one.end() == other.end() == 0
    assert int.from_bytes(shm.map()[:4], "little") == 1000


def test_a_mutex_belongs_to_a_thread(shm: Handle) -> None:
    mutex = Mutex(shm, 0, create=True)
    with mutex:
        with pytest.raises(OSError) as caught:
            mutex.lock()
        assert caught.value.errno == errno.EDEADLK
        error = Thread(mutex.unlock).result()
        assert isinstance(error, PermissionError)
        assert isinstance(Thread(lambda: mutex.lock(0)).result(), BlockingIOError)
        assert isinstance(Thread(lambda: mutex.lock(1.2)).result(), TimeoutError)
    assert Thread(lambda: mutex.lock(0)).result() is None


def leave_locked(path: str) -> None:
    """A process locks the mutex and dies."""
    program = (
        "mutex = ivshmem.Mutex(shm, 0, create=True)\nmutex.lock()\nsay('locked')\ntime.sleep(99)"
    )
    with Other(path, program) as other:
        assert other.line() == "locked"


def test_a_dead_owner_is_reported(path: str, shm: Handle) -> None:
    mutex = Mutex(shm, 0, create=True)
    leave_locked(path)
    with pytest.raises(ivshmem.OwnerDead) as caught:
        with mutex:
            pytest.fail("not consistent")
    assert caught.value.errno == errno.EOWNERDEAD
    mutex.consistent()
    mutex.unlock()
    with mutex, pytest.raises(OSError):
        mutex.consistent()


def test_hold_repairs(path: str, shm: Handle) -> None:
    mutex = Mutex(shm, 0, create=True)
    calls: list[int] = []
    for _ in range(2):
        with mutex.hold(timeout=5, repair=lambda: calls.append(1)):
            assert calls == []
    leave_locked(path)
    for _ in range(2):
        with mutex.hold(timeout=5, repair=lambda: calls.append(1)):
            assert calls == [1]


def test_a_mutex_is_unusable_without_repair(path: str, shm: Handle) -> None:
    mutex = Mutex(shm, 0, create=True)
    leave_locked(path)
    with pytest.raises(ivshmem.OwnerDead):
        mutex.lock()
    mutex.unlock()
    with pytest.raises(OSError) as caught:
        mutex.lock()
    assert caught.value.errno == errno.ENOTRECOVERABLE


def test_a_program_recovers_a_mutex(path: str, shm: Handle) -> None:
    mutex = Mutex(shm, 0, create=True)
    with ivshmem.open(path) as other:
        theirs = Mutex(other, 0)
        theirs.lock()
        with pytest.raises(FileNotFoundError):
            mutex.recover(65535)
        mutex.recover(other.properties.id)
        with pytest.raises(ivshmem.OwnerDead):
            mutex.lock()
        with pytest.raises(PermissionError):
            theirs.unlock()


def test_open_flags(shm: Handle) -> None:
    with pytest.raises(FileNotFoundError):
        Mutex(shm, 0)
    Mutex(shm, 0, create=True).lock()
    with pytest.raises(FileExistsError):
        Mutex(shm, 0, create=True, exclusive=True)
    with pytest.raises(FileExistsError):
        Event(shm, 0, create=True)
    Mutex(shm, 0, create=True, reset=True).lock(0)
    with pytest.raises(OSError) as caught:
        Semaphore(shm, ivshmem.SYNC_SIZE, 1 << 31, create=True)
    assert caught.value.errno == errno.EINVAL


def test_semaphore_and_event_between_processes(path: str, shm: Handle) -> None:
    semaphore = Semaphore(shm, 0, 1, create=True)
    event = Event(shm, 1024, create=True, auto_reset=True)
    program = """
semaphore, event = ivshmem.Semaphore(shm, 0), ivshmem.Event(shm, 1024)
say("waits")
event.wait()
say(semaphore.value)
semaphore.wait()
semaphore.post()
"""
    with semaphore:
        assert semaphore.value == 0
        with pytest.raises(BlockingIOError):
            semaphore.wait(0)
        with Other(path, program) as other:
            assert other.line() == "waits"
            event.set()
            assert other.line() == "0"
            with pytest.raises(TimeoutError):
                event.wait(1.2)
            semaphore.post()
            assert other.end() == 0
    assert semaphore.value == 2


def test_event_flags(shm: Handle) -> None:
    event = Event(shm, 0, create=True, is_set=True)
    event.wait(0)
    event.wait(0)
    event.reset()
    with pytest.raises(BlockingIOError):
        event.wait(0)


# Signals

# Each blocks for ever.
BLOCKING = {
    "wait": "shm.wait()",
    "ring_wait": "shm.ring_wait(shm.properties.id, 1)",
    "recv": "ivshmem.Channel.create(shm, 65536).recv()",
    "send": "ivshmem.Channel.create(shm, 65536).send(b'')",
    "attach": "ivshmem.Channel.attach(shm, offset=65536)",
    "lock": "mutex = ivshmem.Mutex(shm, 0)\n    mutex.lock()",
    "semaphore": "ivshmem.Semaphore(shm, 1024).wait()",
    "event": "ivshmem.Event(shm, 2048).wait()",
    "spinning": "shm.wait(spin=1)",
}


@pytest.mark.parametrize("name", BLOCKING)
def test_ctrl_c(name: str, path: str, shm: Handle) -> None:
    mutex = Mutex(shm, 0, create=True)
    objects = [mutex, Semaphore(shm, 1024, create=True), Event(shm, 2048, create=True)]
    program = f"""
try:
    say("begins")
    {BLOCKING[name]}
except KeyboardInterrupt:
    say("interrupted")
"""
    with mutex, Other(path, program) as other:
        assert other.line() == "begins"
        time.sleep(0.05 if name == "spinning" else 0.2)
        other.process.send_signal(signal.SIGINT)
        assert other.line() == "interrupted"
        assert other.end() == 0
    assert len(objects) == 3


@pytest.fixture(name="alarms")
def fixture_alarms() -> typing.Iterator[list[int]]:
    """A signal every 50 ms, whose handler notes it and raises nothing."""
    alarms: list[int] = []

    def note(number: int, _: types.FrameType | None) -> None:
        alarms.append(number)

    before = signal.signal(signal.SIGALRM, note)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    yield alarms
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_calls_go_on_after_signals(path: str, channel: Channel, alarms: list[int]) -> None:
    with Other(path, ATTACH + "time.sleep(1)\nchannel.send(b'late')"):
        assert channel.recv() == b"late"
    assert len(alarms) > 2


def test_signals_do_not_move_the_deadline(shm: Handle, alarms: list[int]) -> None:
    calls: list[typing.Callable[..., object]] = [shm.wait, Semaphore(shm, 0, create=True).wait]
    for call in calls:
        alarms.clear()
        with pytest.raises(TimeoutError):
            call(timeout=0.5)
        assert len(alarms) > 2


def test_a_handler_may_close_what_it_interrupts(channel: Channel) -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: channel.close())
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(BrokenPipeError):
        channel.recv()
    signal.signal(signal.SIGALRM, before)
