# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all objects of the library share: errors, deadlines, and when they are freed."""

import ctypes
import errno
import os
import threading
import time
import typing

from ._library import FOREVER, lib

Self = typing.TypeVar("Self", bound="Scoped")

_SECOND = 1_000_000_000
_LATEST = 2**63 - 1


def check(result: int, path: str | None = None) -> int:
    """The result of a function, which is an error if it is negative."""
    if result < 0:
        details = (path,) if path else ()
        raise OSError(-result, lib.error(result).decode(), *details)
    return result


def deadline_after(timeout: float | None) -> int:
    """The deadline for a function of the library: the clock is that of Python."""
    if timeout is None:
        return FOREVER
    if not timeout >= 0:
        raise ValueError("timeout must not be negative")
    if timeout == 0:
        return 0
    end = time.monotonic_ns() + timeout * _SECOND
    return int(end) if end < _LATEST else FOREVER


def wait_for(
    call: typing.Callable[[int], int],
    timeout: float | None,
    late: int = errno.ETIMEDOUT,
) -> int:
    """The result of a function with a deadline. It goes on after a signal whose handler
    in Python did not raise; @late is the error when the deadline has passed.

    Handlers run in the main thread, between calls. A signal that comes just before the
    library goes to sleep would not interrupt it, so there no call is longer than a second.
    """
    deadline = until = deadline_after(timeout)
    main = deadline and threading.get_ident() == threading.main_thread().ident
    while True:
        if main:
            soon = time.monotonic_ns() + _SECOND
            until = soon if deadline < 0 else min(soon, deadline)
        result = call(until)
        if result == -errno.EINTR or result == -late and until != deadline:
            continue
        return check(result)


class Resource:
    """An object of the library. It is freed once it is closed and no call uses it.

    A child of fork() may neither use nor free what its parent has opened.
    """

    def __init__(
        self,
        address: ctypes.c_void_p,
        free: typing.Callable[..., None],
        error: int = errno.EBADF,
    ) -> None:
        self.address = address
        self.error = error  # of a use after close
        self.closed = False
        self._free = free
        self._users = 0
        # A handler of a signal may close what the call that it interrupts uses.
        self._lock = threading.RLock()
        self._process = os.getpid()

    def _is_inherited(self) -> bool:
        """After fork(); then a thread that is not here may have held the lock."""
        return self._process != os.getpid()

    def __enter__(self) -> ctypes.c_void_p:
        if self._is_inherited():
            raise PermissionError(errno.EPERM, "opened by the parent process")
        with self._lock:
            if self.closed:
                raise OSError(self.error, "closed")
            self._users += 1
        return self.address

    def __exit__(self, *_: object) -> None:
        if self._is_inherited():
            return
        with self._lock:
            self._users -= 1
            last = self.closed and not self._users
        if last:
            self._free(self.address)

    def close(self, interrupt: typing.Callable[[ctypes.c_void_p], None] | None = None) -> None:
        """Refuse further calls. If some use it now, @interrupt them, and the last one frees."""
        if self._is_inherited():
            self.closed = True
            return
        with self._lock:
            if self.closed:
                return
            self._users += 1
            self.closed = True
            used = self._users > 1
        if used and interrupt:
            interrupt(self.address)
        self.__exit__()


class Use:
    """Keeps a resource from being freed as long as this lives."""

    def __init__(self, resource: Resource) -> None:
        resource.__enter__()
        self._resource = resource

    def __del__(self) -> None:
        if hasattr(self, "_resource"):
            self._resource.__exit__()


def view(address: int, size: int, owner: object) -> memoryview:
    """Memory as a buffer; the owner lives as long as anything refers to the memory."""
    array = (ctypes.c_ubyte * size).from_address(address)
    setattr(array, "owner", owner)
    return memoryview(array).cast("B")


_borrow = ctypes.pythonapi.PyMemoryView_FromMemory
_borrow.restype = ctypes.py_object
_borrow.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int]
_WRITABLE = 0x200  # PyBUF_WRITE


def borrow(address: int, size: int) -> memoryview:
    """As view(), but faster, for somebody who holds the owner."""
    return _borrow(address, size, _WRITABLE)


class Closable:
    """An object that is closed with its last reference, or before."""

    _resource: Resource

    def close(self) -> None:
        """Free the object, once calls of other threads have ended. Can be called twice."""
        self._resource.close()

    @property
    def closed(self) -> bool:
        return self._resource.closed

    def __del__(self) -> None:
        if hasattr(self, "_resource"):
            self.close()


class Scoped(Closable):
    """One that a with statement closes."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
