# SPDX-License-Identifier: LGPL-2.1-or-later
"""Handles: the region, doorbells and peers."""

import ctypes
import dataclasses
import enum
import errno
import os
import time
import typing

from ._library import ID_UNKNOWN, READ_ONLY, SLOT_NONE, WAIT_ABSTIME, WAIT_SET, WAIT_WORD
from ._library import MAX_VECTORS, WaitOptions, WaitResult, lib, munmap, structure, text
from ._library import sizes, u32, u64
from ._library import Peer as _Peer
from ._library import Properties as _Properties
from ._resource import Resource, Scoped, check, view, wait_for


class Transport(enum.IntEnum):
    """What a handle is open on."""

    DEVICE = 0  # a guest's /dev/ivshmemN
    SERVER = 1  # a server's socket on the host
    FILE = 2  # a file on the host


class Cache(enum.IntEnum):
    """How the region is mapped."""

    WB = 0  # write-back, as ordinary memory
    WC = 1  # write-combining
    UC = 2  # uncached


class Properties(typing.NamedTuple):
    """See struct ivshmem_properties in ivshmem.h."""

    size: int
    id: int | None  # None: unknown
    vectors: int
    vectors_guessed: bool
    transport: Transport
    cache: Cache
    can_ring: bool
    mapped_registers: bool
    page_size: int


class Kind(enum.IntEnum):
    """What a peer says it is."""

    UNKNOWN = 0  # servers do not say it
    GUEST = 1  # a machine
    PROGRAM = 2  # a program on the host
    SERVER = 3  # the server on the host


class Peer(typing.NamedTuple):
    """A peer as it describes itself: a stranger can write anything."""

    id: int  # what ring() takes
    slot: int | None  # in the peer area; None: a server's peer
    kind: int  # a Kind, or what a later version knows
    is_self: bool  # it is this program, or this machine
    owner: int | None  # random, unlike that of any peer before
    generation: int  # of the slot: one more with each owner
    silent: float  # seconds since it was last heard of
    name: bytes  # any bytes


@dataclasses.dataclass(frozen=True)
class Wakeup:
    """What ended a wait. It can be nothing: check the memory."""

    changed: bool  # the word differs from what was expected
    vectors: frozenset[int]  # that were signalled
    count: int  # interrupts of the lowest of them


class _Mapping:
    """Goes away with the last buffer that refers to it, whether or not the handle is open."""

    def __init__(self, address: int, length: int) -> None:
        self._range = address, length

    def __del__(self) -> None:
        munmap(*self._range)


class Handle(Scoped):
    """An open device or file, or a connection to a server; or a partition of its region. All
    threads can use it."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        read_only: bool = False,
        partition: str | None = None,
    ) -> None:
        name = os.fspath(path)
        address = ctypes.c_void_p()
        flags = READ_ONLY if read_only else 0
        out, path_bytes = ctypes.byref(address), text(name)
        if partition is None:
            check(lib.open(out, path_bytes, flags), name)
        else:
            check(lib.open_partition(out, path_bytes, text(partition), flags), name)
        self._resource = Resource(address, lib.close)
        self.read_only = read_only

    @property
    def properties(self) -> Properties:
        """As of now: vectors can come later, and an id can change."""
        out = _Properties()
        with self._resource as handle:
            check(lib.get_properties_sized(handle, ctypes.byref(out), ctypes.sizeof(out)))
        return Properties(
            out.size,
            None if out.id == ID_UNKNOWN else out.id,
            out.vectors,
            bool(out.vectors_guessed),
            Transport(out.transport),
            Cache(out.cache),
            bool(out.can_ring),
            bool(out.mapped_registers),
            out.page_size,
        )

    def map(self, offset: int = 0, length: int = 0) -> memoryview:
        """Map part of the region; 0: up to the end. The mapping outlives the handle and is
        removed with the last reference to it, or to a slice of it."""
        properties = self.properties
        address = ctypes.c_void_p()
        with self._resource as handle:
            check(lib.map(handle, *u64(offset), *sizes(length), ctypes.byref(address)))
        assert address.value
        length = length or properties.size - offset
        # Huge pages go back whole, even where only a part was asked for.
        whole = -(-length // properties.page_size) * properties.page_size
        memory = view(address.value, length, _Mapping(address.value, whole))
        return memory.toreadonly() if self.read_only else memory

    def ring(self, peer: int, vector: int = 0) -> None:
        """Ring a peer's doorbell."""
        with self._resource as handle:
            check(lib.ring(handle, *u32(peer, vector)))

    def wait(
        self,
        vector: int = 0,
        *,
        vectors: typing.Iterable[int] | None = None,
        word: tuple[int, int] | None = None,
        timeout: float | None = None,
        spin: float = 0,
    ) -> Wakeup:
        """Sleep until the doorbell of the vector rings, or that of any of @vectors; with
        word=(offset, expected) only while the 32-bit word there has that value."""
        return self._wait(_wait_options(vector, vectors, word, spin), timeout)

    def ring_wait(
        self,
        peer: int,
        peer_vector: int = 0,
        vector: int = 0,
        *,
        vectors: typing.Iterable[int] | None = None,
        word: tuple[int, int] | None = None,
        timeout: float | None = None,
        spin: float = 0,
    ) -> Wakeup:
        """Ring, then wait; on a guest, in one system call."""
        options = _wait_options(vector, vectors, word, spin)
        return self._wait(options, timeout, u32(peer, peer_vector))

    def _wait(
        self,
        options: WaitOptions,
        timeout: float | None,
        ring: tuple[int, ...] = (),
    ) -> Wakeup:
        result = WaitResult()
        rest = (
            ctypes.byref(options),
            ctypes.sizeof(options),
            ctypes.byref(result),
            ctypes.sizeof(result),
        )

        def call(deadline: int) -> int:
            nonlocal ring
            options.timeout_ns = deadline
            # It has rung and spun even if it was interrupted: go on without that.
            first, ring = ring, ()
            if first:
                code = lib.ring_wait_sized(handle, *first, *rest)
                # The device was being reset all the time.
                if code == -errno.EBUSY:
                    ring = first
                    over = 0 <= deadline <= time.monotonic_ns()
                    code = -errno.ETIMEDOUT if over else -errno.EINTR
            else:
                code = lib.wait_sized(handle, *rest)
            options.spin_ns = 0
            return code

        with self._resource as handle:
            wait_for(call, timeout)
        signalled = frozenset(
            number for number in range(MAX_VECTORS) if result.set[number // 64] >> number % 64 & 1
        )
        return Wakeup(bool(result.changed), signalled, result.count)

    def eventfd(self, vector: int = 0) -> int:
        """A new descriptor, which becomes readable when the vector is signalled and which
        the caller closes."""
        with self._resource as handle:
            return check(lib.eventfd(handle, *u32(vector)))

    def fileno(self) -> int:
        """A descriptor for selectors that tells of peers and of the end: call peers() when
        it is readable. The handle owns it."""
        with self._resource as handle:
            return check(lib.fd(handle))

    def peers(self) -> list[int]:
        """The other peers' ids, in ascending order."""
        room = 16
        with self._resource as handle:
            while True:
                ids = (ctypes.c_uint32 * room)()
                count = check(lib.peers(handle, ids, room))
                if count <= room:
                    return ids[:count]
                room = count

    def list_peers(self) -> list[Peer]:
        """All who are present, also this program or machine, by slots or ids."""
        room = 16
        with self._resource as handle:
            while True:
                found = (_Peer * room)()
                count = check(lib.list_peers_sized(handle, found, ctypes.sizeof(_Peer), room))
                if count <= room:
                    return [_peer(one) for one in found[:count]]
                room = count

    def peer_gone(self, peer: int) -> None:
        """Report that a peer has disconnected, on a guest that has learned about it."""
        with self._resource as handle:
            check(lib.peer_gone(handle, *u32(peer)))


def _peer(found: _Peer) -> Peer:
    return Peer(
        found.id,
        None if found.slot == SLOT_NONE else found.slot,
        Kind(found.kind) if found.kind in list(Kind) else found.kind,
        bool(found.self),
        found.owner or None,
        found.generation,
        found.silent_ns / 1_000_000_000,
        found.name,
    )


def _wait_options(
    vector: int,
    vectors: typing.Iterable[int] | None,
    word: tuple[int, int] | None,
    spin: float,
) -> WaitOptions:
    flags = WAIT_ABSTIME
    if vectors is not None:
        flags |= WAIT_SET
    if word is not None:
        flags |= WAIT_WORD
    offset, expected = word or (0, 0)
    options = structure(
        WaitOptions,
        flags=flags,
        vector=vector,
        offset=offset,
        expected=expected,
        spin_ns=int(spin * 1_000_000_000),
    )
    for number in vectors or ():
        if not 0 <= number < MAX_VECTORS:
            raise OverflowError(f"no vector {number}")
        options.set[number // 64] |= 1 << number % 64
    return options
