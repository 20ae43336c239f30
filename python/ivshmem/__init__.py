# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory and doorbells shared by virtual machines: libivshmem for Python.

    with ivshmem.open("/dev/ivshmem0") as shm:
        memory = shm.map()

The calls are those of the C library, and its headers say the rest. Errors are OSError with
an errno, which Python makes a TimeoutError, a BrokenPipeError and so on. Timeouts are in
seconds; None waits for ever, and 0 raises BlockingIOError (Handle.wait(): TimeoutError)
instead of waiting. A number that the C type does not hold is an OverflowError, and a name with
a null byte a ValueError.
"""

from ._channel import Channel, ChannelProperties
from ._handle import Cache, Handle, Kind, Peer, Properties, Transport, Wakeup
from ._library import SYNC_SIZE, lib as _lib
from ._sync import Event, Mutex, OwnerDead, Semaphore

__all__ = [
    "Cache",
    "Channel",
    "ChannelProperties",
    "Event",
    "Handle",
    "Kind",
    "Mutex",
    "OwnerDead",
    "Peer",
    "Properties",
    "SYNC_SIZE",
    "Semaphore",
    "Transport",
    "Wakeup",
    "library_version",
    "open",
]

open = Handle


def library_version() -> tuple[int, int, int]:
    """The version of the C library in use."""
    number = _lib.version()
    return number >> 16, number >> 8 & 0xFF, number & 0xFF
