# SPDX-License-Identifier: GPL-2.0-only
"""A PCI device made up by this program: ivshmem as it should be, or broken at will.

QEMU's vfio-user-pci shows a guest a device that another process serves over a socket,
by the vfio-user protocol (docs/interop/vfio-user.rst in QEMU's sources). QEMU sends
commands, each with a header of 16 bytes: id, command, size of all, flags, error; we
send back the same id with the flag "reply". What follows are the structures of Linux's
<linux/vfio.h>: the device has regions (BAR n is region n, number 7 the configuration
space) that QEMU reads and writes for the guest, and interrupts, for which QEMU hands
us eventfds. BAR2 comes as a descriptor that QEMU maps, unless it is to be broken too.
QEMU shows the guest a MSI-X table and BAR registers of its own.
"""

import collections
import contextlib
import os
import pathlib
import socket
import struct
import threading

HEADER = struct.Struct("<HHIII")
REPLY, NO_REPLY, ERROR = 0x1, 0x10, 0x20
ENOTSUP = 95

VERSION, DMA_MAP, DMA_UNMAP, DEVICE_INFO, REGION_INFO = 1, 2, 3, 4, 5
IRQ_INFO, SET_IRQS, READ, WRITE, RESET = 7, 8, 9, 10, 13

REGIONS, CONFIG = 9, 7
REGION_READ, REGION_WRITE, REGION_MAP = 1, 2, 4
IRQS, MSIX = 5, 2
IRQ_EVENTFD, IRQ_NORESIZE = 1, 8
DATA_EVENTFD = 4
ACCESS = struct.Struct("<QII")  # offset, region, length

IVPOSITION, DOORBELL = 8, 12
CAP_MSIX, CAP_FEATURES = 0x40, 0x50  # where the capabilities are
RESET_CONTROL = CAP_FEATURES + 4  # bit 0: reset the function
COMMAND_WRITABLE = 0x0407  # memory, I/O, bus master, no INTx

MODES = ("good", "slow", "ones", "silent", "gone")
FACTS = {
    "revision": 1,
    "bar0": 256,
    "bar2": 1 << 20,
    "vectors": 4,
    "id": 0,
    "mapped": 1,
    "subsystem": 0x11001AF4,
    "capabilities": 1,
}


class FakeError(Exception):
    """Something that the device has not."""


def _receive(connection: socket.socket, size: int) -> tuple[bytes, list[int]]:
    data = b""
    fds: list[int] = []
    while len(data) < size:
        part, more, _, _ = socket.recv_fds(connection, size - len(data), 32)
        if not part:
            raise FakeError("QEMU closed the connection")
        data += part
        fds += more
    return data, fds


class Fake:
    """One device; path is the socket for QEMU. The facts are numbers: the BARs'
    sizes (0: there is none), mapped=0 to have BAR2 read and written by messages, the
    subsystem's vendor in the lower half, capabilities=0 (and vectors=0) for a device that
    has none. Another device's memory can be this one's as well."""

    def __init__(self, path: pathlib.Path, memory: int | None = None, **facts: int) -> None:
        if facts.keys() - FACTS.keys():
            raise FakeError(f"{', '.join(facts)}: there are {', '.join(FACTS)}")
        self.facts = {**FACTS, **facts}
        self.mode = "good"
        self.later: tuple[int, str] | None = None  # (accesses left, mode)
        self.accesses = 0  # of the guest, since the last change of mode
        # Vectors of others than this device.
        self.rings: collections.Counter[tuple[int, int]] = collections.Counter()
        self.eventfds: dict[int, int] = {}
        self.lock = threading.Lock()  # protects all of these
        self.sizes = {
            0: self.facts["bar0"],
            1: 4096 if self.facts["vectors"] else 0,
            2: self.facts["bar2"],
            CONFIG: 256,
        }
        self.config = bytearray(256)
        self._write_config()
        self.memory = os.memfd_create("fake") if memory is None else os.dup(memory)
        os.ftruncate(self.memory, self.facts["bar2"])
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.connection: socket.socket | None = None
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _put(self, form: str, offset: int, *values: int) -> None:
        struct.pack_into("<" + form, self.config, offset, *values)

    def _write_config(self) -> None:
        put = self._put
        put("HHH", 0, 0x1AF4, 0x1110, 0)
        put("BBBB", 8, self.facts["revision"], 0, 0, 5)  # class: RAM
        put("III", 0x10, 0, 0, 0xC)  # BAR2: 64 bits, prefetchable
        put("I", 0x2C, self.facts["subsystem"])
        if self.facts["capabilities"]:
            self._write_capabilities()

    def _write_capabilities(self) -> None:
        put = self._put
        put("H", 6, 0x10)  # there are some
        put("B", 0x34, CAP_MSIX if self.facts["vectors"] else CAP_FEATURES)
        if self.facts["vectors"]:  # table and bits are in BAR1
            put("BBHII", CAP_MSIX, 0x11, CAP_FEATURES, self.facts["vectors"] - 1, 1, 0x800 | 1)
        put("BBBB", CAP_FEATURES, 0x13, 0, 6, 3)  # can be reset by itself

    def set_mode(self, mode: str, after: int = 0) -> None:
        """Be good, be good until the next reset and then answer with ones (it takes as
        long as the test wants), answer all reads with ones, fall silent (what is written
        arrives all the same), or be gone, for good: now, or when the guest has accessed
        registers or configuration so many times."""
        if mode not in MODES:
            raise FakeError(f"{mode!r}: the modes are {', '.join(MODES)}")
        with self.lock:
            self.accesses = 0
            self.later = (after, mode) if after else None
            if not after:
                self._enter(mode)

    def _enter(self, mode: str) -> None:
        self.mode = mode
        if mode == "gone" and self.connection:
            # What has been asked is answered, as QEMU would wait for it in vain.
            with contextlib.suppress(OSError):  # it is closed already
                self.connection.shutdown(socket.SHUT_RD)

    def fire(self, vector: int) -> None:
        """Raise an interrupt, as a peer's ring does."""
        with self.lock:
            if vector not in self.eventfds:
                raise FakeError(f"vector {vector} is not enabled")
            os.write(self.eventfds[vector], struct.pack("=Q", 1))

    def close(self) -> None:
        self.set_mode("gone")
        self.listener.close()
        self.thread.join(10)
        os.close(self.memory)

    def _serve(self) -> None:
        """Answer commands until the connection ends. Then QEMU lets the guest read
        all-ones and passes over what it writes."""
        with contextlib.suppress(OSError, FakeError):
            connection, _ = self.listener.accept()
            self.connection = connection
            while True:
                head, fds = _receive(connection, HEADER.size)
                number, command, size, flags, _ = HEADER.unpack(head)
                body, more = _receive(connection, size - HEADER.size)
                with self.lock:
                    answer, own = self._answer(command, body, fds + more)
                    if self.mode == "silent" or flags & NO_REPLY:
                        continue
                status = (REPLY, 0) if answer is not None else (REPLY | ERROR, ENOTSUP)
                answer = answer or b""
                head = HEADER.pack(number, command, HEADER.size + len(answer), *status)
                socket.send_fds(connection, [head + answer], own)
        if self.connection:
            self.connection.close()
        with self.lock:
            self._drop_eventfds()

    def _answer(self, command: int, body: bytes, fds: list[int]) -> tuple[bytes | None, list[int]]:
        """What to send back, None for "cannot do that", and descriptors with it."""
        if command == VERSION:
            return body[:4] + b'{"capabilities":{"max_msg_fds":16}}\0', []
        if command == DEVICE_INFO:
            return struct.pack("<IIII", 16, 3, REGIONS, IRQS), []  # PCI, can be reset
        if command == REGION_INFO:
            return self._region_info(struct.unpack_from("<III", body)[2])
        if command == IRQ_INFO:
            (index,) = struct.unpack_from("<8xI", body)
            count = self.facts["vectors"] if index == MSIX else 0
            return struct.pack("<IIII", 16, IRQ_EVENTFD | IRQ_NORESIZE, index, count), []
        if command == SET_IRQS:
            return self._set_irqs(body, fds), []
        if command in (READ, WRITE):
            return self._access(command, body), []
        for fd in fds:  # the guest's memory, which we leave alone
            os.close(fd)
        return body[:24] if command in (DMA_MAP, DMA_UNMAP, RESET) else None, []

    def _region_info(self, index: int) -> tuple[bytes, list[int]]:
        size, flags, fds = self.sizes.get(index, 0), 0, []
        if size:
            flags = REGION_READ | REGION_WRITE
        if index == 2 and size and self.facts["mapped"]:
            flags |= REGION_MAP
            fds = [self.memory]
        return struct.pack("<IIIIQQ", 32, flags, index, 0, size, 0), fds

    def _set_irqs(self, body: bytes, fds: list[int]) -> bytes:
        """Each message has the eventfds of some vectors, or none: those are off."""
        _, flags, index, start, count = struct.unpack_from("<IIIII", body)
        if index == MSIX and not count:
            self._drop_eventfds()
        for vector in range(start, start + count) if index == MSIX else ():
            old = self.eventfds.pop(vector, None)
            if old is not None:
                os.close(old)
            if flags & DATA_EVENTFD and fds:
                self.eventfds[vector] = fds.pop(0)
        return b""

    def _drop_eventfds(self) -> None:
        for fd in self.eventfds.values():
            os.close(fd)
        self.eventfds.clear()

    def _access(self, command: int, body: bytes) -> bytes:
        """The guest reads or writes."""
        offset, region, length = ACCESS.unpack_from(body)
        if region in (0, CONFIG):
            self.accesses += 1
            if self.later and self.accesses >= self.later[0]:
                mode, self.later = self.later[1], None
                self._enter(mode)
        if command == WRITE:
            self._write(region, offset, body[ACCESS.size :])
            return body[: ACCESS.size]
        data = (
            self._read(region, offset, length)
            if self.mode in ("good", "slow")
            else b"\xff" * length
        )
        return body[: ACCESS.size] + data

    def _read(self, region: int, offset: int, length: int) -> bytes:
        if region == CONFIG:
            return bytes(self.config[offset : offset + length])
        if region == 2:
            return os.pread(self.memory, length, offset)
        if region == 0 and offset == IVPOSITION:
            return struct.pack("<i", self.facts["id"])[:length]
        return bytes(length)

    def _write(self, region: int, offset: int, data: bytes) -> None:
        if region == CONFIG and offset == 4:
            (command,) = struct.unpack("<H", data[:2])
            struct.pack_into("<H", self.config, 4, command & COMMAND_WRITABLE)
        elif region == CONFIG and offset == RESET_CONTROL and self.mode == "slow":
            self._enter("ones")
        elif region == 2:
            os.pwrite(self.memory, data, offset)
        elif region == 0 and offset == DOORBELL:
            peer, vector = divmod(struct.unpack("<I", data)[0], 1 << 16)
            if peer != self.facts["id"]:
                self.rings[peer, vector] += 1
            elif vector in self.eventfds:
                os.write(self.eventfds[vector], struct.pack("=Q", 1))
