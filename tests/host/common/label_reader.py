# SPDX-License-Identifier: GPL-2.0-only
"""Reads the label of a region, from docs/label-format.md alone."""

import pathlib
import re
import struct
import typing

HEADER = struct.Struct("<8sIIHHHHQQ16sQQQQIHH")
ENTRY = struct.Struct("<16s32sQQQIHH")
TYPE = re.compile(rb"[a-z][a-z0-9-]{0,14}\0+")
NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,30}\0+")


class Refused(Exception):
    """A reason of the table, and the number of a partition, or 0."""

    def __init__(self, reason: str, partition: int = 0) -> None:
        super().__init__(reason, partition)
        self.reason, self.partition = reason, partition


class Header(typing.NamedTuple):
    magic: bytes
    crc: int
    fixed_size: int
    version: int
    header_size: int
    entry_size: int
    entries: int
    incompatible: int
    compatible: int
    uuid: bytes
    generation: int
    region_size: int
    data_offset: int
    peers_offset: int
    peer_size: int
    peers: int
    bell_vectors: int


class Partition(typing.NamedTuple):
    type: bytes
    name: bytes
    offset: int
    size: int
    generation: int
    flags: int
    first_vector: int
    vectors: int

    @property
    def bytes(self) -> range:
        return range(self.offset, self.offset + self.size)

    @property
    def numbers(self) -> range:
        return range(self.first_vector, self.first_vector + self.vectors)


class Label(typing.NamedTuple):
    header: Header
    partitions: dict[int, Partition]


def _crc_of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


CRC_TABLE = [_crc_of_byte(value) for value in range(256)]


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def label_crc(fixed: bytes) -> int:
    return crc32c(fixed[:8] + bytes(4) + fixed[12:])


def _first(checks: typing.Iterable[tuple[bool, str]], partition: int = 0) -> None:
    """Refuse for the first check that is true."""
    for refused, reason in checks:
        if refused:
            raise Refused(reason, partition)


def _read_header(copy: bytes, memory: int) -> Header:
    if len(copy) < 256 or not copy.startswith(b"IVSHMLBL"):
        raise Refused("none")
    h = Header._make(HEADER.unpack_from(copy))
    size = h.header_size + h.entries * h.entry_size
    _first(
        (
            (h.version != 1, "version"),
            (h.incompatible != 0, "feature"),
            (h.header_size < 256, "header-size"),
            (h.entry_size < 128, "entry-size"),
            (h.entries > 64, "entries"),
            (h.fixed_size != size or size > 16384, "fixed-size"),
            (h.fixed_size > len(copy), "cut-off"),
        )
    )
    _first(
        (
            (h.crc != label_crc(copy[: h.fixed_size]), "crc"),
            (h.generation == 0, "generation"),
            (h.region_size > memory, "region-size"),
            (
                h.data_offset % 4096 != 0 or not h.fixed_size <= h.data_offset <= h.region_size,
                "data-offset",
            ),
        )
    )
    if not h.peers:
        return h._replace(peers_offset=0, peer_size=0, bell_vectors=0)
    end = h.peers_offset + h.peers * h.peer_size
    _first(
        (
            (h.peers > 128 or h.bell_vectors > 256, "peers"),
            (
                h.peer_size % 4096 != 0 or h.peer_size < 256 + 4 * h.peers * (1 + h.bell_vectors),
                "peer-size",
            ),
            (
                h.peers_offset % 4096 != 0 or h.peers_offset < h.fixed_size or end > h.data_offset,
                "peers-offset",
            ),
        )
    )
    return h


def _in_common(one: range, other: range) -> bool:
    return len(range(max(one.start, other.start), min(one.stop, other.stop))) > 0


def _read_entry(raw: bytes, number: int, label: Label) -> Partition:
    p = Partition._make(ENTRY.unpack_from(raw))
    h = label.header
    _first(
        (
            (not TYPE.fullmatch(p.type), "type"),
            (not NAME.fullmatch(p.name), "name"),
            (p.offset % 4096 != 0 or p.size % 4096 != 0 or p.size == 0, "alignment"),
            (p.offset < h.data_offset or p.offset + p.size > h.region_size, "range"),
            (p.vectors > 0 and p.first_vector + p.vectors > 256, "vectors"),
        ),
        number,
    )
    for other in label.partitions.values():
        _first(
            (
                (other.name == p.name, "same-name"),
                (_in_common(other.bytes, p.bytes), "same-bytes"),
                (_in_common(other.numbers, p.numbers), "same-vectors"),
            ),
            number,
        )
    return p


def read(copy: bytes, memory: int) -> Label:
    """The label in a copy of up to 16384 bytes; or Refused."""
    label = Label(_read_header(copy, memory), {})
    for index in range(label.header.entries):
        start = label.header.header_size + index * label.header.entry_size
        raw = copy[start : start + 128]
        if any(raw):
            label.partitions[index + 1] = _read_entry(raw, index + 1, label)
    return label


def take_vectors(file: pathlib.Path) -> None:
    """Of the first partition, as by another program."""
    with file.open("r+b") as made:
        copy = bytearray(made.read(16384))
        fixed = HEADER.unpack_from(copy)[2]
        at = HEADER.unpack_from(copy)[4] + ENTRY.size - 2
        copy[at : at + 2] = bytes(2)
        copy[8:12] = label_crc(bytes(copy[:fixed])).to_bytes(4, "little")
        made.seek(0)
        made.write(copy)
