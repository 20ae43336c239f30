# SPDX-License-Identifier: LGPL-2.1-or-later
import ctypes
import sys

lib = ctypes.CDLL("libivshmem.so.0")
lib.ivshmem_channel_recv.restype = ctypes.c_int64


class Options(ctypes.Structure):
    _fields_ = [("offset", ctypes.c_uint64), ("size", ctypes.c_uint64),
                ("send_size", ctypes.c_uint64), ("vector", ctypes.c_uint32),
                ("reserved", ctypes.c_uint32), ("spin_ns", ctypes.c_int64),
                ("reserved_too", ctypes.c_uint64 * 3)]


shm, channel = ctypes.c_void_p(), ctypes.c_void_p()
forever = ctypes.c_int64(-1)
text = ctypes.create_string_buffer(256)
if lib.ivshmem_open(ctypes.byref(shm), sys.argv[1].encode(), 0):
    sys.exit("cannot open")
if lib.ivshmem_channel_create(shm, ctypes.byref(Options(size=1 << 20)), ctypes.byref(channel)):
    sys.exit("cannot create")
while (size := lib.ivshmem_channel_recv(channel, text, ctypes.c_size_t(256), forever)) >= 0:
    print(text.raw[:size].decode())
lib.ivshmem_channel_close(channel)
lib.ivshmem_close(shm)
