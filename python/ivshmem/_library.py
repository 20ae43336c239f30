# SPDX-License-Identifier: LGPL-2.1-or-later
"""The C library: its structures, constants and functions, as the headers declare them.

tests/host/test_python_header.py compares all of this with the headers.
"""

import ctypes
import os
import typing
from ctypes import (
    POINTER,
    c_char,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_uint,
    c_uint32,
    c_uint64,
)
from ctypes import c_void_p

ID_UNKNOWN = 0xFFFFFFFF
FOREVER = -1
READ_ONLY = 1 << 0
WAIT_SET = 0x1
WAIT_WORD = 0x2
WAIT_ABSTIME = 0x4
MORE = 1 << 0
SYNC_CREATE = 1 << 0
SYNC_EXCLUSIVE = 1 << 1
SYNC_RESET = 1 << 2
SYNC_SIZE = 1024
EVENT_AUTO_RESET = 1 << 8
EVENT_SET = 1 << 9
MAX_PEER = 65535
MAX_VECTORS = 256
SLOT_NONE = 0xFFFFFFFF


class Properties(ctypes.Structure):
    _fields_ = [
        ("size", c_uint64),
        ("id", c_uint32),
        ("vectors", c_uint32),
        ("vectors_guessed", c_int),
        ("transport", c_uint),  # an enum
        ("cache", c_uint32),
        ("can_ring", c_int),
        ("mapped_registers", c_int),
        ("page_size", c_size_t),
    ]


class WaitOptions(ctypes.Structure):
    _fields_ = [
        ("flags", c_uint32),
        ("vector", c_uint32),
        ("set", c_uint64 * 4),
        ("offset", c_uint64),
        ("expected", c_uint32),
        ("timeout_ns", c_int64),
        ("spin_ns", c_uint64),
    ]


class WaitResult(ctypes.Structure):
    _fields_ = [
        ("changed", c_int),
        ("vector", c_uint32),
        ("count", c_uint64),
        ("set", c_uint64 * 4),
    ]


class Peer(ctypes.Structure):
    _fields_ = [
        ("id", c_uint32),
        ("slot", c_uint32),
        ("kind", c_uint32),
        ("self", c_int),
        ("owner", c_uint64),
        ("generation", c_uint64),
        ("silent_ns", c_uint64),
        ("name", c_char * 40),
    ]


class ChannelOptions(ctypes.Structure):
    _fields_ = [
        ("offset", c_uint64),
        ("size", c_uint64),
        ("send_size", c_uint64),
        ("vector", c_uint32),
        ("reserved", c_uint32),
        ("spin_ns", c_int64),
        ("set", c_void_p),
    ]


class ChannelProperties(ctypes.Structure):
    _fields_ = [
        ("size", c_uint64),
        ("send_max", c_uint64),
        ("receive_max", c_uint64),
        ("rings", c_uint64),
        ("sleeps", c_uint64),
    ]


_Structure = typing.TypeVar("_Structure", bound=ctypes.Structure)


def structure(kind: type[_Structure], **fields: int) -> _Structure:
    """A structure with these fields; ctypes would truncate what does not fit."""
    made = kind(**fields)
    for name, value in fields.items():
        if getattr(made, name) != value:
            raise OverflowError(f"{name}={value} does not fit")
    return made


def _check_bits(bits: int, values: tuple[int, ...]) -> tuple[int, ...]:
    for value in values:
        if not 0 <= value < 1 << bits:
            raise OverflowError(f"{value} does not fit")
    return values


def u32(*values: int) -> tuple[int, ...]:
    """Arguments; ctypes would truncate what does not fit."""
    return _check_bits(32, values)


def u64(*values: int) -> tuple[int, ...]:
    """As u32(), for offsets."""
    return _check_bits(64, values)


def sizes(*values: int) -> tuple[int, ...]:
    """As u32(), for size_t."""
    return _check_bits(8 * ctypes.sizeof(c_size_t), values)


def text(value: str | bytes) -> bytes:
    """An argument that is text, which ctypes would cut at a NUL."""
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded


_OUT = POINTER(c_void_p)  # where a function puts a pointer

# The result and the arguments of each function, without "ivshmem_" in its name.
SIGNATURES: dict[str, tuple[typing.Any, ...]] = {
    "version": (c_uint32,),
    "error": (c_char_p, c_int),
    "set_log": (None, c_int, c_void_p, c_void_p),
    "after": (c_int64, c_int64),
    "open": (c_int, _OUT, c_char_p, c_uint),
    "open_partition": (c_int, _OUT, c_char_p, c_char_p, c_uint),
    "close": (None, c_void_p),
    "get_properties_sized": (c_int, c_void_p, POINTER(Properties), c_size_t),
    "map": (c_int, c_void_p, c_uint64, c_size_t, _OUT),
    "unmap": (c_int, c_void_p, c_void_p, c_size_t),
    "ring": (c_int, c_void_p, c_uint32, c_uint32),
    "wait_sized": (
        c_int,
        c_void_p,
        POINTER(WaitOptions),
        c_size_t,
        POINTER(WaitResult),
        c_size_t,
    ),
    "ring_wait_sized": (
        c_int,
        c_void_p,
        c_uint32,
        c_uint32,
        POINTER(WaitOptions),
        c_size_t,
        POINTER(WaitResult),
        c_size_t,
    ),
    "eventfd": (c_int, c_void_p, c_uint32),
    "fd": (c_int, c_void_p),
    "peers": (c_int, c_void_p, POINTER(c_uint32), c_size_t),
    "list_peers_sized": (c_int, c_void_p, POINTER(Peer), c_size_t, c_size_t),
    "peer_gone": (c_int, c_void_p, c_uint32),
    "channel_create_sized": (c_int, c_void_p, POINTER(ChannelOptions), c_size_t, _OUT),
    "channel_attach_sized": (
        c_int,
        c_void_p,
        POINTER(ChannelOptions),
        c_size_t,
        c_int64,
        _OUT,
    ),
    "channel_close": (None, c_void_p),
    "channel_shutdown": (None, c_void_p),
    "channel_get_properties_sized": (
        None,
        c_void_p,
        POINTER(ChannelProperties),
        c_size_t,
    ),
    "channel_reserve": (c_int, c_void_p, c_size_t, _OUT, c_int64),
    "channel_commit": (c_int, c_void_p, c_size_t, c_uint),
    "channel_flush": (None, c_void_p),
    "channel_peek": (c_int, c_void_p, _OUT, POINTER(c_size_t), c_int64),
    "channel_release": (c_int, c_void_p),
    "channel_send": (c_int, c_void_p, c_void_p, c_size_t, c_uint, c_int64),
    "channel_recv": (c_int64, c_void_p, c_void_p, c_size_t, c_int64),
    "channel_fd": (c_int, c_void_p),
    "channel_set_open": (c_int, c_void_p, c_uint64, c_uint64, c_uint32, _OUT),
    "channel_set_close": (None, c_void_p),
    "channel_set_fd": (c_int, c_void_p),
    "channel_set_next": (c_int, c_void_p, _OUT),
    "mutex_open": (c_int, c_void_p, c_uint64, c_uint32, c_uint, _OUT),
    "mutex_close": (None, c_void_p),
    "mutex_lock": (c_int, c_void_p, c_int64),
    "mutex_unlock": (c_int, c_void_p),
    "mutex_consistent": (c_int, c_void_p),
    "mutex_recover": (c_int, c_void_p, c_uint32),
    "semaphore_open": (c_int, c_void_p, c_uint64, c_uint32, c_uint, c_uint32, _OUT),
    "semaphore_close": (None, c_void_p),
    "semaphore_wait": (c_int, c_void_p, c_int64),
    "semaphore_post": (c_int, c_void_p),
    "semaphore_value": (c_uint32, c_void_p),
    "event_open": (c_int, c_void_p, c_uint64, c_uint32, c_uint, _OUT),
    "event_close": (None, c_void_p),
    "event_wait": (c_int, c_void_p, c_int64),
    "event_set": (c_int, c_void_p),
    "event_reset": (c_int, c_void_p),
}

# Calls through a CDLL release the interpreter's lock.
_file = ctypes.CDLL("libivshmem.so.0")
_libc = ctypes.CDLL(None)


class _Functions:
    """A function is looked up when it is first called, so older libraries will do."""

    def __getattr__(self, name: str) -> typing.Any:
        if name not in SIGNATURES:
            raise AttributeError(name)
        function = getattr(_file, f"ivshmem_{name}")
        function.restype, *function.argtypes = SIGNATURES[name]
        setattr(self, name, function)
        return function


lib = _Functions()

munmap = _libc.munmap
munmap.argtypes = [c_void_p, c_size_t]
