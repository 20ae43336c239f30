# SPDX-License-Identifier: GPL-2.0-only
"""The host as a peer of an ivshmem server: joins, rings, waits for rings.

The server says 64-bit little-endian numbers, some with a file descriptor:
version 0, the own id, -1 with the memory, then an id with an eventfd for each
vector of each peer, or an id alone when that peer has left.
"""

import os
import pathlib
import select
import socket
import struct
import time

MESSAGE = struct.Struct("<q")


class PeerError(Exception):
    """The server or the peer asked for is not there."""


class Peer:
    def __init__(self, path: pathlib.Path, seconds: float = 10) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.socket.connect(str(path))
        version, _ = self._message()
        if version != 0:
            raise PeerError(f"the server speaks version {version}")
        self.id, _ = self._message()
        marker, memory = self._message()
        if marker != -1 or memory is None:
            raise PeerError("the server sent no memory")
        self.memory = memory
        self.vectors: dict[int, list[int]] = {self.id: []}
        self._update()

    def _message(self) -> tuple[int, int | None]:
        data, descriptors, _, _ = socket.recv_fds(self.socket, MESSAGE.size, 1)
        while data and len(data) < MESSAGE.size:
            data += self.socket.recv(MESSAGE.size - len(data))
        if not data:
            raise PeerError("the server closed the connection")
        return MESSAGE.unpack(data)[0], descriptors[0] if descriptors else None

    def _update(self, seconds: float = 0.1) -> None:
        """Take in who came and who left."""
        while select.select([self.socket], [], [], seconds)[0]:
            peer, descriptor = self._message()
            if descriptor is None:
                self._forget(peer)
            else:
                self.vectors.setdefault(peer, []).append(descriptor)

    def _forget(self, peer: int) -> None:
        for descriptor in self.vectors.pop(peer, ()):
            os.close(descriptor)

    def ring(self, peer: int, vector: int, times: int = 1) -> None:
        self._update(0)
        try:
            descriptor = self.vectors[peer][vector]
        except (KeyError, IndexError):
            raise PeerError(
                f"no peer {peer} with a vector {vector}; there are "
                f"{ {p: len(v) for p, v in self.vectors.items()} }"
            ) from None
        for _ in range(times):
            os.write(descriptor, struct.pack("=Q", 1))

    def wait(self, vector: int, seconds: float) -> int:
        """How often the own vector was rung since the last call."""
        deadline = time.monotonic() + 1
        while len(self.vectors[self.id]) <= vector:
            if time.monotonic() > deadline:
                raise PeerError(f"the host peer has no vector {vector}")
            self._update()
        descriptor = self.vectors[self.id][vector]
        if not select.select([descriptor], [], [], seconds)[0]:
            raise PeerError(f"vector {vector} was not rung in {seconds:g} s")
        return struct.unpack("=Q", os.read(descriptor, 8))[0]

    def leave(self) -> None:
        for peer in list(self.vectors):
            self._forget(peer)
        os.close(self.memory)
        self.socket.close()
