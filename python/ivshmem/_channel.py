# SPDX-License-Identifier: LGPL-2.1-or-later
"""Channels: messages between two ends."""

import asyncio
import contextlib
import ctypes
import errno
import threading
import typing

from ._handle import Handle
from ._library import MORE, ChannelOptions, lib, sizes, structure
from ._library import ChannelProperties as _ChannelProperties
from ._resource import Resource, Scoped, Use, borrow, check, view, wait_for


_Result = typing.TypeVar("_Result")


class ChannelProperties(typing.NamedTuple):
    """See struct ivshmem_channel_properties in ivshmem_channel.h."""

    size: int
    send_max: int
    receive_max: int
    rings: int
    sleeps: int


def _options(
    offset: int, size: int, send_size: int, vector: int, spin: float | None
) -> ChannelOptions:
    spin_ns = 0 if spin is None else int(spin * 1_000_000_000) or -1
    return structure(
        ChannelOptions,
        offset=offset,
        size=size,
        send_size=send_size,
        vector=vector,
        spin_ns=spin_ns,
    )


def _drop(message: memoryview) -> None:
    """Refuse access by the buffer that was lent. Slices of it remain, and so does the
    memory, but what they show is no longer the message."""
    with contextlib.suppress(BufferError):
        message.release()


class Channel(Scoped):
    """One end of a channel, by Channel.create() or Channel.attach().

    One thread or task can send while another receives. Timeouts are in seconds; None waits
    for ever, and 0 raises BlockingIOError instead of waiting. One call, in either direction,
    raises BrokenPipeError when the other end has closed, ConnectionResetError when it has
    restarted; later ones wait for the successor.
    """

    def __init__(self, address: ctypes.c_void_p) -> None:
        self._resource = Resource(address, lib.channel_close, errno.ESHUTDOWN)
        # For calls that change the buffer to send. A signal's handler may make one during
        # another.
        self._sending = threading.RLock()
        self._held = False
        self._sleepers: dict[asyncio.AbstractEventLoop, set[asyncio.Future[None]]] = {}

    @classmethod
    def create(
        cls,
        shm: Handle,
        size: int,
        offset: int = 0,
        *,
        send_size: int = 0,
        vector: int = 0,
        spin: float | None = None,
    ) -> "Channel":
        """Create a channel in that range, or take over the creator's end. @send_size: of the
        buffer to send, the rest is to receive; @spin: seconds before a sleep, at most.
        """
        address = ctypes.c_void_p()
        options = _options(offset, size, send_size, vector, spin)
        with shm._resource as handle:
            check(
                lib.channel_create_sized(
                    handle, ctypes.byref(options), ctypes.sizeof(options), ctypes.byref(address)
                )
            )
        return cls(address)

    @classmethod
    def attach(
        cls,
        shm: Handle,
        size: int = 0,
        offset: int = 0,
        *,
        timeout: float | None = None,
        vector: int = 0,
        spin: float | None = None,
    ) -> "Channel":
        """Attach to the other end. FileNotFoundError: it is not created within the timeout."""
        address = ctypes.c_void_p()
        options = _options(offset, size, 0, vector, spin)
        given = ctypes.byref(options), ctypes.sizeof(options)
        out = ctypes.byref(address)
        with shm._resource as handle:
            wait_for(
                lambda deadline: lib.channel_attach_sized(handle, *given, deadline, out),
                timeout,
                errno.ENOENT,
            )
        return cls(address)

    def close(self) -> None:
        """Close this end. Committed messages can still be received, and so can those held
        back by more=True unless another thread is sending. Calls of other threads, and tasks
        that wait, raise BrokenPipeError."""
        self._resource.close(self._interrupt)

    def _interrupt(self, channel: ctypes.c_void_p) -> None:
        # A sender may sleep until the shutdown, so do not wait for it. Nothing is held back
        # while it sleeps.
        if self._sending.acquire(blocking=False):
            try:
                if self._held:
                    lib.channel_flush(channel)
            finally:
                self._sending.release()
        lib.channel_shutdown(channel)

    def shutdown(self) -> None:
        """End the use of this end without closing it; any thread may call it."""
        with self._resource as channel:
            lib.channel_shutdown(channel)

    @property
    def properties(self) -> ChannelProperties:
        out = _ChannelProperties()
        with self._resource as channel:
            size = ctypes.sizeof(out)
            lib.channel_get_properties_sized(channel, ctypes.byref(out), size)
        return ChannelProperties(out.size, out.send_max, out.receive_max, out.rings, out.sleeps)

    def fileno(self) -> int:
        """A descriptor for selectors, for both directions. Call with timeout=0 until
        BlockingIOError before each poll. The channel owns it."""
        with self._resource as channel:
            return check(lib.channel_fd(channel))

    # Sending

    def _reserve(self, channel: ctypes.c_void_p, size: int, timeout: float | None) -> int:
        """The address of the space."""
        address = ctypes.c_void_p()
        given = *sizes(size), ctypes.byref(address)
        with self._sending:
            wait_for(lambda deadline: lib.channel_reserve(channel, *given, deadline), timeout)
        assert address.value
        return address.value

    def reserve(self, size: int, timeout: float | None = None) -> memoryview:
        """Space for a message, to be written in place. Only for use until commit()."""
        with self._resource as channel:
            return view(self._reserve(channel, size, timeout), size, Use(self._resource))

    def commit(self, size: int, *, more: bool = False) -> None:
        """Send the first @size bytes of what is reserved; @more: with the next message, or by
        flush()."""
        with self._resource as channel, self._sending:
            check(lib.channel_commit(channel, *sizes(size), more * MORE))
            self._held = more

    def flush(self) -> None:
        """Send messages held back by more=True."""
        with self._resource as channel, self._sending:
            lib.channel_flush(channel)
            self._held = False

    @contextlib.contextmanager
    def writing(
        self, size: int, timeout: float | None = None, *, more: bool = False
    ) -> typing.Iterator[memoryview]:
        """Reserve; the end of the with statement commits, unless it is an exception."""
        message = self.reserve(size, timeout)
        try:
            yield message
        finally:
            _drop(message)
        self.commit(size, more=more)

    def send(
        self,
        data: bytes | bytearray | memoryview,
        timeout: float | None = None,
        *,
        more: bool = False,
    ) -> None:
        """Send a copy of the data."""
        source = memoryview(data).cast("B")
        with self._resource as channel:
            borrow(self._reserve(channel, len(source), timeout), len(source))[:] = source
        self.commit(len(source), more=more)

    # Receiving

    def _peek(self, channel: ctypes.c_void_p, timeout: float | None) -> tuple[int, int]:
        """The address and the size of the next message."""
        address, size = ctypes.c_void_p(), ctypes.c_size_t()
        out = ctypes.byref(address), ctypes.byref(size)
        wait_for(lambda deadline: lib.channel_peek(channel, *out, deadline), timeout)
        assert address.value
        return address.value, size.value

    def peek(self, timeout: float | None = None) -> memoryview:
        """The next message in place, only for use until release(). The other end can still
        write to it: check a copy."""
        with self._resource as channel:
            return view(*self._peek(channel, timeout), Use(self._resource)).toreadonly()

    def release(self) -> None:
        """Free the space of the message that peek() has returned."""
        with self._resource as channel:
            check(lib.channel_release(channel))

    @contextlib.contextmanager
    def reading(self, timeout: float | None = None) -> typing.Iterator[memoryview]:
        """Peek; the end of the with statement releases, unless it is an exception."""
        message = self.peek(timeout)
        try:
            yield message
        finally:
            _drop(message)
        self.release()

    def recv(self, timeout: float | None = None) -> bytes:
        """The next message. An exception of a signal's handler that ends the wait loses
        none; one that comes while the message is taken, which is short, loses that."""
        with self._resource as channel:
            data = ctypes.string_at(*self._peek(channel, timeout))
            check(lib.channel_release(channel))
            return data

    def __iter__(self) -> typing.Iterator[bytes]:
        """The messages until the other end closes."""
        with contextlib.suppress(BrokenPipeError):
            while True:
                yield self.recv()

    # asyncio

    async def _readable(self) -> None:
        """Sleep until the descriptor is readable. It serves both directions, so all tasks
        wake, and each one calls again. Nobody watches it while nobody sleeps."""
        loop = asyncio.get_running_loop()
        fd = self.fileno()
        sleepers = self._sleepers.setdefault(loop, set())
        if not sleepers:
            loop.add_reader(fd, self._wake, sleepers)
        future = loop.create_future()
        sleepers.add(future)
        try:
            await future
        finally:
            sleepers.remove(future)
            if not sleepers:
                loop.remove_reader(fd)
                del self._sleepers[loop]

    @staticmethod
    def _wake(sleepers: set[asyncio.Future[None]]) -> None:
        for future in sleepers:
            if not future.done():
                future.set_result(None)

    async def _retry(self, call: typing.Callable[[], _Result]) -> _Result:
        """Call without waiting until it succeeds. As each call that finds nothing comes
        before a sleep, no wakeup is lost; as nothing follows one that succeeds, a task that
        is cancelled takes nothing with it."""
        # Others have their turn, even if there is always something to do here.
        await asyncio.sleep(0)
        # Until this task has left, close() leaves the descriptor open, but readable.
        with self._resource:
            while True:
                try:
                    return call()
                except BlockingIOError:
                    await self._readable()

    async def send_async(
        self, data: bytes | bytearray | memoryview, *, more: bool = False
    ) -> None:
        """As send(). If it is cancelled, nothing was sent."""
        await self._retry(lambda: self.send(data, 0, more=more))

    async def recv_async(self) -> bytes:
        """As recv(). If it is cancelled, nothing was received."""
        return await self._retry(lambda: self.recv(0))

    async def __aiter__(self) -> typing.AsyncIterator[bytes]:
        """The messages until the other end closes."""
        with contextlib.suppress(BrokenPipeError):
            while True:
                yield await self.recv_async()
