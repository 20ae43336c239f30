# SPDX-License-Identifier: GPL-2.0-only
"""A peer that takes a slot in the label of a file, from docs/label-format.md alone, and says of
itself what a test likes."""

import mmap
import pathlib
import struct
import threading
import types

import label_reader

SECTION = struct.Struct("<QQQIHH32s")
BEAT = 0.05  # seconds


class Stranger:
    def __init__(
        self, file: pathlib.Path, slot: int, name: bytes, kind: int = 1, number: int = 7
    ) -> None:
        with file.open("r+b") as opened:
            self.memory = mmap.mmap(opened.fileno(), 0)
        header = label_reader.read(self.memory[:16384], len(self.memory)).header
        assert slot < header.peers
        self.at = header.peers_offset + slot * header.peer_size
        SECTION.pack_into(self.memory, self.at, 1 + slot, 1, 1, number, kind, 1, name)
        self.beats = 1
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._live)
        self.thread.start()

    def _live(self) -> None:
        while not self.end.wait(BEAT):
            self.beats += 1
            struct.pack_into("<Q", self.memory, self.at + 16, self.beats)

    def die(self) -> None:
        """Without a word."""
        self.end.set()
        self.thread.join()

    def leave(self) -> None:
        self.die()
        SECTION.pack_into(self.memory, self.at, 0, 1, self.beats, 0, 0, 0, b"")

    def __enter__(self) -> "Stranger":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.leave()
