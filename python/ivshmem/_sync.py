# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mutexes, semaphores and events between machines."""

import contextlib
import ctypes
import errno
import os
import typing

from ._handle import Handle
from ._library import (
    EVENT_AUTO_RESET,
    EVENT_SET,
    ID_UNKNOWN,
    SYNC_CREATE,
    SYNC_EXCLUSIVE,
)
from ._library import SYNC_RESET, lib, u32, u64
from ._resource import Closable, Resource, check, wait_for


class OwnerDead(OSError):
    """The mutex is locked now, but its owner has died: repair what it protects, and call
    Mutex.consistent() before Mutex.unlock(), or the mutex becomes unusable."""


def _flags(create: bool, exclusive: bool, reset: bool) -> int:
    return create * SYNC_CREATE | exclusive * SYNC_EXCLUSIVE | reset * SYNC_RESET


class _Object(Closable):
    """An object in the region. Threads can share it.

    @create creates it if it does not exist, @exclusive fails if it does, @reset creates it
    in any case. @vector is the own one by which others wake this program.
    """

    _kind: typing.ClassVar[str]

    def _open(self, shm: Handle, offset: int, *rest: int) -> None:
        address = ctypes.c_void_p()
        with shm._resource as handle:
            open_it = getattr(lib, f"{self._kind}_open")
            check(open_it(handle, *u64(offset), *u32(*rest), ctypes.byref(address)))
        self._resource = Resource(address, getattr(lib, f"{self._kind}_close"))


class Mutex(_Object):
    """A lock between machines. The thread that locks it owns it.

    "with mutex:" locks it. If the owner has died, that raises OwnerDead, with the mutex
    locked; hold() repairs instead.

    An exception of a signal's handler, such as Ctrl-C, that ends the wait for the lock takes
    nothing. One that comes just as it is locked or unlocked, which is short, can leave it
    locked, after a with statement as well.
    """

    _kind = "mutex"

    def __init__(
        self,
        shm: Handle,
        offset: int,
        vector: int = 0,
        *,
        create: bool = False,
        exclusive: bool = False,
        reset: bool = False,
    ) -> None:
        self._open(shm, offset, vector, _flags(create, exclusive, reset))

    def lock(self, timeout: float | None = None) -> None:
        """Lock, within @timeout seconds. OwnerDead means that it is locked as well."""
        with self._resource as mutex:
            try:
                wait_for(lambda deadline: lib.mutex_lock(mutex, deadline), timeout)
            except OSError as error:
                if error.errno != errno.EOWNERDEAD:
                    raise
                raise OwnerDead(error.errno, os.strerror(error.errno)) from None

    def unlock(self) -> None:
        with self._resource as mutex:
            check(lib.mutex_unlock(mutex))

    def consistent(self) -> None:
        """After OwnerDead: what the mutex protects is repaired."""
        with self._resource as mutex:
            check(lib.mutex_consistent(mutex))

    def recover(self, peer: int | None) -> None:
        """Report that the mutex's owner has died. None: it has no id."""
        with self._resource as mutex:
            check(lib.mutex_recover(mutex, *u32(ID_UNKNOWN if peer is None else peer)))

    @contextlib.contextmanager
    def hold(
        self,
        timeout: float | None = None,
        repair: typing.Callable[[], object] | None = None,
    ) -> typing.Iterator[None]:
        """Lock for the length of a with statement. If the owner has died, call @repair and
        mark the mutex consistent; if that raises, the mutex stays locked."""
        try:
            self.lock(timeout)
        except OwnerDead:
            if not repair:
                raise
            repair()
            self.consistent()
        try:
            yield
        finally:
            self.unlock()

    def __enter__(self) -> None:
        self.lock()

    def __exit__(self, *_: object) -> None:
        self.unlock()


class Semaphore(_Object):
    """Permits without owners. "with semaphore:" takes one and returns it.

    An exception of a signal's handler that ends a wait takes none; one that comes just as a
    permit is taken or returned, which is short, can lose it, in a with statement as well.
    """

    _kind = "semaphore"

    def __init__(
        self,
        shm: Handle,
        offset: int,
        permits: int = 0,
        vector: int = 0,
        *,
        create: bool = False,
        exclusive: bool = False,
        reset: bool = False,
    ) -> None:
        self._open(shm, offset, vector, _flags(create, exclusive, reset), permits)

    def wait(self, timeout: float | None = None) -> None:
        """Take a permit; wait until there is one."""
        with self._resource as semaphore:
            wait_for(lambda deadline: lib.semaphore_wait(semaphore, deadline), timeout)

    def post(self) -> None:
        """Return a permit."""
        with self._resource as semaphore:
            check(lib.semaphore_post(semaphore))

    @property
    def value(self) -> int:
        """The number of permits; may already have changed."""
        with self._resource as semaphore:
            return int(lib.semaphore_value(semaphore))

    def __enter__(self) -> None:
        self.wait()

    def __exit__(self, *_: object) -> None:
        self.post()


class Event(_Object):
    """@auto_reset: a wait resets it; @is_set: a new event is set.

    An exception of a signal's handler that ends a wait resets nothing; one that comes just as
    the event is reset, which is short, loses that.
    """

    _kind = "event"

    def __init__(
        self,
        shm: Handle,
        offset: int,
        vector: int = 0,
        *,
        create: bool = False,
        exclusive: bool = False,
        reset: bool = False,
        auto_reset: bool = False,
        is_set: bool = False,
    ) -> None:
        flags = _flags(create, exclusive, reset)
        flags |= auto_reset * EVENT_AUTO_RESET | is_set * EVENT_SET
        self._open(shm, offset, vector, flags)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the event is set."""
        with self._resource as event:
            wait_for(lambda deadline: lib.event_wait(event, deadline), timeout)

    def set(self) -> None:
        with self._resource as event:
            check(lib.event_set(event))

    def reset(self) -> None:
        with self._resource as event:
            check(lib.event_reset(event))
