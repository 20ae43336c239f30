# SPDX-License-Identifier: GPL-2.0-only
"""A reader that was written from docs/label-format.md alone, and the driver's: both say the
same of random labels, good ones and those with wrong fields. SEED= repeats a run."""

import collections
import os
import pathlib
import random
import re
import struct
import subprocess
import typing

import pytest

import label_reader

TOP = pathlib.Path(__file__).resolve().parents[2]
LABELS = 10_000
SEED = int(os.environ.get("SEED", "1"))
FLAGS = ["-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
# Prints what the driver's reader says of each label: its size, that of the memory, the bytes.
PRINTER = r"""
#include <stdio.h>
#include <stdlib.h>
#include "src/core/label.h"
static void print_entry(unsigned int number, const struct ivshmem_label_entry *e)
{
	printf(" %u %s %s %llu %llu %llu %u %u %u", number, e->type, e->name, e->offset, e->size,
	       e->generation, e->flags, e->first_vector, e->vectors);
}
static void print(const struct ivshmem_label *l)
{
	for (int i = 0; i < 16; i++)
		printf("%s%02x", i ? "" : " ", l->uuid[i]);
	printf(" %llu %llu %llu %llu %llu %u %u %u", l->compatible, l->generation, l->region_size,
	       l->data_offset, l->peers_offset, l->peer_size, l->peers, l->bell_vectors);
	for (unsigned int i = 0; i < 64; i++)
		if (!ivshmem_label_free(&l->entries[i]))
			print_entry(i + 1, &l->entries[i]);
}
int main(void)
{
	static struct ivshmem_label label;
	__u64 sizes[2];

	while (fread(sizes, 16, 1, stdin) == 1) {
		void *copy = malloc(sizes[0]);
		int reason;

		if (sizes[0] && fread(copy, sizes[0], 1, stdin) != 1)
			return 1;
		reason = ivshmem_label_parse(copy, sizes[0], sizes[1], &label);
		printf("%s %u", ivshmem_label_reason_name(reason), label.refused);
		if (!reason)
			print(&label);
		putchar('\n');
		free(copy);
	}
	return 0;
}
"""
# What a field is made, besides its neighbours.
NUMBERS = (0, 1, 2, 64, 65, 128, 129, 255, 256, 257, 4095, 4096, 4097, 8192, 1 << 16, 1 << 20)
FIELDS = {"B": 1, "H": 2, "I": 4, "Q": 8}


class Sample(typing.NamedTuple):
    copy: bytes
    memory: int


@pytest.fixture(name="printer", scope="module")
def fixture_printer(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    directory = tmp_path_factory.mktemp("printer")
    source, program = directory / "printer.c", directory / "printer"
    source.write_text(PRINTER)
    words: list[str | pathlib.Path] = ["gcc", "-std=gnu11", *FLAGS, "-I.", "-o", program]
    subprocess.run([*words, source, "src/core/label.c"], cwd=TOP, check=True)
    return program


def by_driver(printer: pathlib.Path, samples: typing.Sequence[Sample]) -> list[str]:
    frames = (struct.pack("<QQ", len(s.copy), s.memory) + s.copy for s in samples)
    done = subprocess.run([printer], input=b"".join(frames), stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().splitlines()


def by_document(sample: Sample) -> str:
    try:
        label = label_reader.read(sample.copy, sample.memory)
    except label_reader.Refused as refused:
        return f"{refused.reason} {refused.partition}"
    h = label.header
    words: list[str | int] = ["valid", 0, h.uuid.hex(), h.compatible, h.generation]
    words += [h.region_size, h.data_offset, h.peers_offset, h.peer_size, h.peers, h.bell_vectors]
    for number, p in label.partitions.items():
        words += [number, *(text.rstrip(b"\0").decode() for text in p[:2]), *p[2:]]
    return " ".join(map(str, words))


def text(dice: random.Random, first: str, more: str, most: int) -> bytes:
    return "".join([dice.choice(first), *dice.choices(more, k=dice.randrange(most))]).encode()


def good_entries(dice: random.Random, start: int, end: int, count: int) -> list[bytes]:
    """Entries of partitions in some order, and free ones among them."""
    lower, digits = "abcdefghijklmnopqrstuvwxyz", "0123456789"
    edges = sorted(dice.sample(range(start // 4096, end // 4096 + 1), 2 * count))
    vectors = sorted(dice.sample(range(257), 2 * count))
    found = []
    for i in range(count):
        offset, stop = (edge * 4096 for edge in edges[2 * i : 2 * i + 2])
        first, last = vectors[2 * i : 2 * i + 2]
        alone = text(dice, digits + lower.upper(), lower + digits + "._-", 28)
        found.append(
            label_reader.ENTRY.pack(
                text(dice, lower, lower + digits + "-", 15),
                b"%x" % i + alone,
                offset,
                stop - offset,
                dice.randrange(1 << 64),
                dice.choice((0, 1, 1 << 16)),
                first,
                dice.choice((0, last - first)),
            )
        )
    dice.shuffle(found)
    return found


def good_label(dice: random.Random) -> tuple[bytearray, int]:
    """A label that is good but for its crc, and the size of the memory."""
    count = dice.choice((0, 1, 2, 3, 5, 8))
    entries = count + dice.choice((0, 1, 3))
    header_size = 256 + dice.choice((0, 0, 0, 1, 128))
    entry_size = 128 + dice.choice((0, 0, 0, 7, 128))
    fixed_size = header_size + entries * entry_size
    peers, bell_vectors = dice.choice((0, 1, 4, 16)), dice.choice((0, 1, 4, 256))
    peer_size = -(-(256 + 4 * peers * (1 + bell_vectors)) // 4096) * 4096
    peers_offset = (-(-fixed_size // 4096) + dice.randrange(2)) * 4096
    data_offset = peers_offset + peers * peer_size + dice.choice((0, 4096))
    region_size = data_offset + 4096 * dice.randrange(2 * count, 99) + dice.choice((0, 1))
    fields: list[int | bytes] = [
        b"IVSHMLBL",
        0,
        fixed_size,
        1,
        header_size,
        entry_size,
        entries,
        0,
    ]
    fields += [dice.randrange(1 << 64), dice.randbytes(16), dice.randrange(1, 1 << 64)]
    fields += [region_size, data_offset, peers_offset, peer_size, peers, bell_vectors]
    label = bytearray(label_reader.HEADER.pack(*fields).ljust(header_size, b"\0"))
    used = good_entries(dice, data_offset, region_size, count)
    used += [bytes(128)] * (entries - count)
    dice.shuffle(used)
    label += b"".join(one.ljust(entry_size, b"\0") for one in used)
    return label, region_size + dice.choice((0, 0, 1, 4096))


def places(layout: struct.Struct, start: int) -> list[tuple[int, int]]:
    """Where the fields of a part are, and how long they are; of texts, any byte."""
    found, at = [], start
    for count, kind in re.findall(r"(\d*)([BHIQs])", layout.format):
        if kind == "s":
            found += [(at + i, 1) for i in range(int(count))]
            at += int(count)
        else:
            for _ in range(int(count or 1)):
                found.append((at, FIELDS[kind]))
                at += FIELDS[kind]
    return found


HEADER_PLACES = [place for place in places(label_reader.HEADER, 0) if place[1] > 1]


def spoil(dice: random.Random, label: bytearray) -> None:
    """Change one field a little, or much, or give it the value of another one's."""
    header_size, entry_size, entries = struct.unpack_from("<HHH", label, 0x12)
    around = HEADER_PLACES
    if entries and dice.random() < 0.7 and header_size + entries * entry_size <= len(label):
        start = header_size + dice.randrange(entries) * entry_size
        around = places(label_reader.ENTRY, start)
        if dice.random() < 0.7:
            around = around[48:]  # the numbers
        if dice.random() < 0.1 and any(label[start : start + 128]):
            label[start + 0x10 : start + 0x30] = label[256 + 0x10 : 256 + 0x30]
    at, size = dice.choice(around)
    old = int.from_bytes(label[at : at + size], "little")
    values = [old + 1, old - 1, old ^ 1 << dice.randrange(8 * size), *NUMBERS, -4096, -1]
    values += [old + 4096, old - 4096, old + 4096, old * 2]
    new = dice.choice(values) % (1 << 8 * size)
    label[at : at + size] = new.to_bytes(size, "little")


def random_sample(dice: random.Random) -> Sample:
    label, memory = good_label(dice)
    for _ in range(dice.choice((0, 1, 1, 1, 2, 3))):
        spoil(dice, label)
    if dice.random() < 0.97:
        struct.pack_into("<I", label, 8, label_reader.label_crc(bytes(label)))
    length = len(label)
    if dice.random() < 0.03:
        length = dice.choice((0, 255, 256, length - 1, dice.randrange(length)))
    elif dice.random() < 0.5:
        label += bytes(dice.choice((1, 500)))
        length = len(label)
    return Sample(bytes(label[:length]), memory)


def test_they_agree_on_random_labels(printer: pathlib.Path) -> None:
    dice = random.Random(SEED)
    samples = [random_sample(dice) for _ in range(LABELS)]
    lines = by_driver(printer, samples)
    assert len(lines) == LABELS
    counts: collections.Counter[str] = collections.Counter()
    for number, (sample, line) in enumerate(zip(samples, lines)):
        assert line == by_document(sample), f"label {number} of SEED={SEED}"
        counts[line.split()[0]] += 1
    print(", ".join(f"{count} {reason}" for reason, count in counts.most_common()))
    assert set(counts) == {"valid", *reasons()}
    assert counts["valid"] > LABELS / 5


def document() -> str:
    return (TOP / "docs/label-format.md").read_text()


def reasons() -> list[str]:
    """Those in the table of the document."""
    return re.findall(r"^\| \d+ \| .* \| `([a-z-]+)`.* \|$", document(), re.M)


def test_the_document_has_all_reasons() -> None:
    source = (TOP / "src/core/label.c").read_text()
    names = re.findall(r'^\t\[IVSHMEM_LABEL_\w+\] = \{ "([a-z-]+)"', source, re.M)
    assert names == ["valid", *reasons()] and len(names) == 24


def example() -> bytes:
    """The bytes that the document shows."""
    shown = bytearray()
    for at, row in re.findall(
        r"^    ([0-9a-f]{8})((?:  | )(?:[0-9a-f]{2} ?){16})?$", document(), re.M
    ):
        shown += shown[-16:] * ((int(at, 16) - len(shown)) // 16)
        shown += bytes.fromhex(row)
    return bytes(shown)


def test_the_example_of_the_document(printer: pathlib.Path) -> None:
    sample = Sample(example(), 16 << 20)
    (line,) = by_driver(printer, [sample])
    assert line == by_document(sample)
    assert line.split()[:2] == ["valid", "0"]
    numbers = "2 frames-v1 frames 2097152 4194304 2 0 1 1 3 raw log.0 131072 65536 4 0 0 0"
    assert line.endswith(f" 4 16777216 131072 12288 4096 16 4 {numbers}")


def test_the_crc_of_the_document() -> None:
    assert label_reader.crc32c(b"123456789") == 0xE3069283
