# SPDX-License-Identifier: GPL-2.0-only
"""ivshmemctl format, label, partition and wipe, on a file and on a server's socket. What they
write is read by the reader that was written from docs/label-format.md."""

import contextlib
import json
import os
import pathlib
import random
import struct
import typing

import ctl
import fake_sysfs
import label_reader
import pytest
from ctl import CORRUPTED, FAILED, NO_DEVICE, OK, USAGE
from json_schema import conforms

SIZE = 16 << 20
SEED = int(os.environ.get("SEED", "1"))


class Region(typing.NamedTuple):
    device: pathlib.Path
    file: pathlib.Path

    def read(self) -> label_reader.Label:
        data = self.file.read_bytes()
        return label_reader.read(data[:16384], len(data))

    def run(self, *words: ctl.Word, code: int = OK, says: str = "") -> str:
        program = ctl.run(*words, device=self.device)
        assert program.process.returncode == code, program.report()
        assert says in program.err
        assert not code or program.out == b""
        return program.out.decode()

    def json(self, *words: ctl.Word) -> typing.Any:
        text = self.run(*words, "--json")
        conforms(str(words[0]), text)
        return json.loads(text)

    def poke(self, at: int, data: bytes) -> None:
        with self.file.open("r+b") as file:
            file.seek(at)
            file.write(data)


@pytest.fixture(name="region", params=["file", "server"])
def fixture_region(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> typing.Iterator[Region]:
    if request.param == "file":
        file = tmp_path / "memory"
        with file.open("wb") as made:
            made.truncate(SIZE)
        yield Region(file, file)
    else:
        with ctl.server(size="16M") as (device, file):
            yield Region(device, file)


def names(region: Region) -> list[str]:
    return [one["name"] for one in region.json("partition", "list")]


def test_a_region_without_a_label(region: Region) -> None:
    for words in (["label"], ["partition", "list"], ["partition", "add", "a"]):
        region.run(*words, code=FAILED, says="has no label: 'ivshmemctl format' makes one")
    region.run("wipe", "--force", code=FAILED, says="has no label")
    assert not any(region.file.read_bytes())


def test_format_writes_what_the_document_says(region: Region) -> None:
    made = region.json("format")
    header = region.read().header
    assert made == region.json("label")
    assert made["uuid"].replace("-", "") == header.uuid.hex()
    assert header.uuid[6] >> 4 == 4 and header.uuid[8] >> 6 == 2
    assert (header.generation, header.region_size, header.entries) == (1, SIZE, 64)
    assert (header.peers, header.bell_vectors) == (16, 4)
    assert not region.read().partitions and made["partitions"] == []
    assert header.data_offset % 65536 == 0
    assert f"label         {made['uuid']}\n" in region.run("label")


def test_format_takes_the_peer_area_from_options(region: Region) -> None:
    made = region.json("format", "--peers", 128, "--doorbells", 20)
    assert made["peers"] == {"offset": 12288, "section": 12288, "slots": 128, "doorbells": 20}
    made = region.json("format", "--peers", 0, "--force")
    assert made["peers"] is None and region.read().header.peers == 0


@pytest.mark.parametrize("at", [0, 8447, 12288, 131071])
def test_format_overwrites_nothing(region: Region, at: int) -> None:
    region.poke(at, b"x")
    before = region.file.read_bytes()
    region.run("format", code=FAILED, says="--force overwrites them")
    assert region.file.read_bytes() == before
    region.run("format", "--force")
    assert not any(region.file.read_bytes()[8448:131072])
    region.poke(131072, b"data")
    region.run("format", code=FAILED, says="has a label already")
    assert region.file.read_bytes()[131072:131076] == b"data"


def test_partitions_get_places_and_vectors(region: Region) -> None:
    region.run("format")
    assert region.run("partition", "add", "frames", "4M", "-t", "frames-v1", "-v", 2) == (
        "partition 1, frames: 4 MiB at 0x200000, vectors: 0 to 1\n"
    )
    small = region.json("partition", "add", "small", "1")
    assert (small["offset"], small["size"], small["first_vector"]) == (0x20000, 0x10000, None)
    rest = region.json("partition", "add", "rest", "-v", 1)
    assert (rest["offset"], rest["size"], rest["first_vector"]) == (0x600000, 10 << 20, 2)
    place = region.json("partition", "add", "here", "4096", "-o", 0x31000, "-v", 3, "-i", 200)
    assert (place["offset"], place["size"], place["first_vector"]) == (0x31000, 0x10000, 200)
    label = region.read()
    assert [p.generation for p in label.partitions.values()] == [2, 3, 4, 5]
    assert label.header.generation == 5
    assert region.run("partition", "list").splitlines()[1].split() == [
        *("1", "frames", "frames-v1", "0x200000", "4", "MiB", "0", "to", "1")
    ]
    assert region.json("label")["partitions"] == region.json("partition", "list")


def test_numbers_stay_and_are_used_again(region: Region) -> None:
    region.run("format")
    for name in ("a", "b", "c"):
        region.run("partition", "add", name, "64K")
    before = region.read()
    region.run("partition", "remove", "b", code=FAILED, says="repeat it with --force")
    region.run("partition", "remove", "9", "--force", code=FAILED, says="no partition '9'")
    assert region.read() == before
    assert region.run("partition", "remove", "b", "-f") == "partition 2, b: removed\n"
    assert list(region.read().partitions) == [1, 3]
    region.run("partition", "remove", "", "-f", code=FAILED, says="no partition ''")
    again = region.json("partition", "add", "d", "64K")
    assert (again["number"], again["offset"]) == (2, before.partitions[2].offset)
    assert region.json("partition", "remove", "1", "-f")["name"] == "a"
    assert names(region) == ["d", "c"]
    region.run("partition", "add", "d", code=FAILED, says="another one has its name")


def test_a_partition_is_resized_where_it_is(region: Region) -> None:
    region.run("format")
    region.run("partition", "add", "a", "64K")
    region.run("partition", "add", "b", "64K", "-o", "1M")
    region.run("partition", "resize", "a", "128K", code=FAILED, says="would have 128 KiB")
    grown = region.json("partition", "resize", "a", "200K", "-f")
    assert (grown["offset"], grown["size"], grown["generation"]) == (0x20000, 0x40000, 4)
    region.run(
        "partition", "resize", "a", "1M", "-f", code=FAILED, says="larger than 917504 bytes"
    )
    assert region.json("partition", "resize", "1", "1", "-f")["size"] == 0x10000


def test_a_label_can_be_full(region: Region) -> None:
    region.run("format")
    for number in range(64):
        region.run("partition", "add", f"p{number}", "64K")
    region.run("partition", "add", "more", "64K", code=FAILED, says="no more than 64 partitions")
    for name in ("p7", "p8", "p9"):
        region.run("partition", "remove", name, "-f")
    region.run("partition", "add", "most")
    region.run("partition", "add", "gap")
    says = "the largest free range is 196608 bytes (192 KiB), at 0x90000"
    region.run("partition", "add", "more", "193K", code=FAILED, says=says)
    region.run("partition", "add", "more")
    region.run("partition", "add", "none", code=FAILED, says="no more than 64 partitions")
    region.run("partition", "remove", "p3", "-f")
    region.run("partition", "add", "p3", "64K", "-v", 256)
    region.run("partition", "remove", "p4", "-f")
    region.run("partition", "add", "p4", "-v", 1, code=FAILED, says="has no 1 vector left")
    region.run("partition", "add", "p4")
    region.run("partition", "remove", "p63", "-f")
    region.run("partition", "add", "p63", "1")


def test_a_bad_label_is_named_and_left_alone(region: Region) -> None:
    region.run("format")
    region.run("partition", "add", "a", "64K")
    data = bytearray(region.file.read_bytes()[:8448])
    struct.pack_into("<Q", data, 256 + 0x38, SIZE)  # the size of the partition
    struct.pack_into("<I", data, 8, label_reader.label_crc(bytes(data)))
    region.poke(0, data)
    reason = "partition 1: it is outside of the data of the region (range)"
    region.run("label", code=CORRUPTED, says=reason)
    region.run("partition", "add", "b", code=CORRUPTED, says=reason)
    region.run("wipe", code=FAILED, says="first 16384 bytes")
    assert region.file.read_bytes()[:8448] == data
    region.run("wipe", "--force")
    assert not any(region.file.read_bytes()[:16384])


def rings(region: Region, offset: int) -> dict[str, int]:
    """The header of a partition of rings, as docs/ring-format.md has it."""
    data = region.file.read_bytes()[offset : offset + 64]
    magic, crc, version, ports, features, start, section, *sizes = struct.unpack(
        "<8sIHHQQQ4I8x", data
    )
    assert (magic, version, features, start) == (b"IVSHMRNG", 1, 0, 4096)
    assert crc == label_reader.label_crc(data)
    keys = ("entries", "bytes", "broadcast_entries", "broadcast_bytes")
    return {"ports": ports, "section": section, **dict(zip(keys, sizes))}


def divided(entry: dict[str, typing.Any], wanted: int) -> dict[str, int]:
    """What is printed of a segment, whose rings fill the partition, and not more."""
    found = dict(entry["rings"])
    assert found.pop("largest_frame") == min(found["bytes"], 65535 + 64)
    ports, ring = found["ports"], 32 * found["entries"] + found["bytes"]
    to_all = entry["type"] == "net"
    assert ports == wanted and found["broadcast_bytes"] == to_all * found["bytes"]
    used = 64 + 128 * ports + (ports - 1 + to_all) * ring
    assert found["section"] - 4096 < used <= found["section"]
    left = entry["size"] - 4096 - ports * found["section"]
    assert 0 <= left < ports * (4096 + 64 * ports) or found["bytes"] == 16 << 20
    return found


def test_format_divides_a_segment(region: Region) -> None:
    made = region.json("format", "--net")
    assert made == region.json("label")
    (entry,) = made["partitions"]
    assert (entry["name"], entry["type"], entry["generation"]) == ("net", "net", 1)
    assert (entry["vectors"], entry["first_vector"]) == (2, 0)
    assert divided(entry, 16) == rings(region, entry["offset"])
    assert "240 rings from one port to another: " in region.run("label")
    again = region.run("format", "--net=4M", "--ports", 3, "--force")
    assert "3 ports, the largest frame has 65599 bytes\n" in again
    (entry,) = region.json("partition", "list")
    assert entry["size"] == 4 << 20 and divided(entry, 3) == rings(region, entry["offset"])


def test_format_divides_more_than_one(region: Region) -> None:
    """The one without a size gets what is left, wherever it is named."""
    for words in (["--vsock", "--net", "2M"], ["--net=2M", "--vsock"]):
        made = region.json("format", *words, "-P", 3, "--force")
        assert [one["type"] for one in made["partitions"]] == ["net", "vsock"]
        assert [one["first_vector"] for one in made["partitions"]] == [0, 2]
        for entry in made["partitions"]:
            assert entry["name"] == entry["type"]
            assert divided(entry, 3) == rings(region, entry["offset"])
    assert " to all" not in region.run("format", "--vsock", "-P", 3, "--force")


@pytest.mark.parametrize("ports", [5, 16, 40])
@pytest.mark.parametrize("kind", ["net", "vsock"])
def test_the_least_segment(region: Region, kind: str, ports: int) -> None:
    """What a refusal says is needed is enough, and 64 KiB less, the next size, are not."""
    region.run("format", "--peers", 40)
    add: list[ctl.Word] = ["partition", "add", "a", "-t", kind, "-P", ports, "-n"]
    program = ctl.run(*add, "1", device=region.device)
    assert program.process.returncode == USAGE, program.report()
    needed = int(program.err.partition(f" {ports} ports need ")[2].split(":")[0])
    assert divided(region.json(*add, needed), ports)["bytes"] >= 4096
    region.run(*add, needed - 65536, code=USAGE, says=f"{ports} ports need {needed}: ")


def test_polled_vectors_are_shown(tmp_path: pathlib.Path) -> None:
    """To look at a file takes no slot, but who takes one can be rung."""
    file = tmp_path / "memory"
    file.write_bytes(bytes(SIZE))
    region = Region(file, file)
    assert "vectors       0 (peers cannot ring)\n" in region.run("info")
    region.run("format", "--doorbells", 3)
    said = region.run("info")
    assert "vectors       3\n" in said and "cannot" not in said and "not possible" not in said
    assert region.json("info")["vectors"] == 3
    assert f"{file}: 16 MiB, 3 vectors\n" in region.run("top", "--once")
    assert ctl.run("wait", "2", "-t", "0.1", device=file).process.returncode == ctl.TIMEOUT


def test_a_name_that_dev_has_for_something_else(tmp_path: pathlib.Path) -> None:
    """Only a device of /dev hides a file that has its name."""
    file = tmp_path / "shm"
    file.write_bytes(bytes(SIZE))
    assert pathlib.Path("/dev/shm").is_dir()
    program = ctl.run("format", "-d", "shm", prefix=("env", "-C", tmp_path))
    assert program.process.returncode == OK, program.report()
    assert b"16777216 (16 MiB)" in ctl.run("info", "-d", file).out


@pytest.mark.parametrize("first", ["ping", "answer"])
def test_ping_over_a_file(tmp_path: pathlib.Path, first: str) -> None:
    """In any order, as both print the ids that they have."""
    file = tmp_path / "memory"
    file.write_bytes(bytes(SIZE))
    Region(file, file).run("format")
    sides = {"ping": ["ping", "-c5"], "answer": ["ping", "-c5", "-t30", "--answer"]}
    second = sides.pop("answer" if first == "ping" else "ping")
    with contextlib.ExitStack() as stack:
        early = ctl.Program(*sides[first], 65281, device=file)
        stack.callback(early.process.kill)
        assert ctl.wait_until(
            lambda: b"65280" in ctl.run("peers", "--json", device=file).out, ctl.LIMIT
        )
        late = ctl.run(*second, 65280, device=file)
        assert early.end() == OK and late.process.returncode == OK, early.report() + late.report()
    told = [f"this side is peer {id}: " for id in (65280, 65281)]
    assert told[0] in early.err and told[1] in late.err


def test_vectors_without_a_polled_doorbell(region: Region) -> None:
    region.run("format", "--doorbells", 4)
    add = ["partition", "add"]
    for name, words, noted in (
        ("a", "-v 4", False),
        ("b", "-v 1", True),
        ("c", "-v 2 -i 8", True),
        ("d", "-v 0", False),
    ):
        program = ctl.run(*add, name, "64K", *words.split(), device=region.device)
        assert program.process.returncode == OK, program.report()
        note = f"note: partition {name} has vectors up to "
        assert (note in program.err) == noted and ("4 polled doorbells" in program.err) == noted
    region.run("format", "--doorbells", 0, "--force")
    assert "note" not in ctl.run(*add, "a", "64K", "-v", 3, device=region.device).err


def test_a_dry_run_writes_nothing(region: Region) -> None:
    region.poke(0, b"x")
    before = region.file.read_bytes()
    region.run("format", "--net", "-n", code=FAILED, says="--force overwrites them")
    assert "16 ports" in region.run("format", "--net", "-n", "--force")
    assert region.file.read_bytes() == before
    region.run("format", "--force")
    region.run("partition", "add", "a", "64K")
    before = region.file.read_bytes()
    assert region.json("partition", "add", "b", "-t", "net", "-n")["rings"]["ports"] == 16
    region.run("partition", "remove", "a", "-f", "-n")
    assert region.json("partition", "resize", "a", "1M", "-f", "-n")["size"] == 1 << 20
    assert region.file.read_bytes() == before


def test_the_rings_of_a_segment_stay(region: Region) -> None:
    """Its size can change only as far as they allow; a bad header is named."""
    region.run("format", "--peers", 4)
    made = region.json("partition", "add", "a", "4M", "-t", "net", "-v", 3, "-o", "2M")
    assert (made["vectors"], made["rings"]["ports"]) == (3, 4)
    region.run("partition", "resize", "a", "3M", "-f", code=FAILED, says="its rings are there")
    grown = region.json("partition", "resize", "a", "5M", "-f")
    assert grown["rings"] == made["rings"]
    region.poke((2 << 20) + 0x0E, b"\x05")
    assert "no rings: its checksum is wrong (crc)" in region.run("partition", "list")
    assert region.json("label")["partitions"][0]["rings"] is None


def test_a_segment_that_is_refused_changes_nothing(region: Region) -> None:
    region.run("format")
    region.run("partition", "add", "a", "64K")
    before = region.read(), region.file.read_bytes()[131072:]
    region.run("format", "--net=1M", "-f", code=USAGE, says="at most --ports 14 fits")
    region.run("format", "--net=1M", "-p", 0, "-f", code=USAGE, says="room for 0 peers")
    region.run("partition", "add", "a", "-t", "net", code=FAILED, says="has its name")
    assert (region.read(), region.file.read_bytes()[131072:]) == before


def test_wipe_leaves_the_data(region: Region) -> None:
    region.run("format")
    region.poke(131072, b"data")
    region.run("wipe", code=FAILED, says="first 131072 bytes")
    assert region.run("wipe", "--force") == ""
    region.run("label", code=FAILED, says="has no label")
    assert region.file.read_bytes()[131070:131076] == b"\0\0data"


def test_what_is_unknown_is_kept(region: Region) -> None:
    """A label of a later version, with larger parts and what is reserved now."""
    region.run("format", "--peers", 0)
    fields = (1088, 1, 320, 192, 4, 0, 1 << 9, b"u" * 16, 7, SIZE, 65536, 0, 0, 0, 0)
    header = label_reader.HEADER.pack(b"IVSHMLBL", 0, *fields).ljust(320, b"h")
    entry = label_reader.ENTRY.pack(b"raw", b"old", 65536, 65536, 3, 1 << 31, 5, 1)
    data = header + bytes(192) + entry.ljust(192, b"e") + bytes(2 * 192)
    data = data[:8] + struct.pack("<I", label_reader.label_crc(data)) + data[12:]
    region.poke(0, data.ljust(16384, b"\0"))
    region.run("partition", "add", "new", "64K", "-v", 1)
    after = region.file.read_bytes()
    assert names(region) == ["new", "old"] and region.read().header.compatible == 1 << 9
    assert after[0x60:320] == b"h" * (320 - 0x60)
    assert after[512 + 0x50 : 704] == b"e" * (192 - 0x50)
    region.run("partition", "remove", "old", "-f")
    assert not any(region.file.read_bytes()[512:704])


def test_others_on_the_server_are_mentioned() -> None:
    with ctl.server() as (device, _):
        mentioned(device)


def test_others_on_a_file_are_mentioned(region: Region) -> None:
    """format clears the table of peers, so it has to look there first."""
    region.run("format")
    mentioned(region.file, "--force")


def mentioned(device: pathlib.Path, *words: str) -> None:
    waiter = ctl.join("wait", device=device)
    program = ctl.run("format", *words, device=device)
    waiter.signal(15)
    waiter.end()
    assert "note: " in program.err and "1 other peer" in program.err
    assert program.process.returncode == OK


def test_a_region_can_be_too_small(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "small"
    file.write_bytes(bytes(65536))
    region = Region(file, file)
    region.run("format", code=USAGE, says="131072 bytes are needed")
    region.run("format", "--peers", 0, code=USAGE, says="65536 bytes are needed")


def test_random_changes_leave_good_labels(tmp_path: pathlib.Path) -> None:
    """The other reader checks everything after each step."""
    dice = random.Random(SEED)
    file = tmp_path / "memory"
    file.write_bytes(bytes(SIZE))
    region = Region(file, file)
    region.run("format")
    done = 0
    for step in range(60):
        before = region.read()
        used = [*before.partitions]
        words: list[ctl.Word]
        if used and dice.random() < 0.4:
            words = [dice.choice(used), "--force"]
            words = dice.choice(
                (["remove", *words], ["resize", *words, dice.randrange(1, 1 << 22)])
            )
        else:
            words = ["add", f"p{step}", dice.choice(("1", "64K", "1M", "2M", "3M"))]
            words += ["-v", dice.choice((0, 1, 9))]
        program = ctl.run("partition", *words, device=region.device)
        after = region.read()
        failed = program.process.returncode == FAILED
        assert after.header.generation == before.header.generation + (not failed)
        errors = [line for line in program.err.splitlines() if "note: " not in line]
        assert bool(errors) == failed
        done += not failed
    assert done > 20


def test_rescan_is_for_devices(region: Region) -> None:
    region.run("rescan", code=USAGE, says="run 'ivshmemctl rescan' in the guests that have it")


def test_rescan_of_no_device(tmp_path: pathlib.Path) -> None:
    prefix = fake_sysfs.fake_sysfs(tmp_path)
    if prefix is None:
        pytest.skip("needs the right to mount over /sys/class")
    program = ctl.run("rescan", prefix=prefix)
    assert program.process.returncode == NO_DEVICE and "ivshmemctl doctor" in program.err
