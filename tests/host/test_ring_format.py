# SPDX-License-Identifier: GPL-2.0-only
"""docs/ring-format.md says the same as the sources of the rings."""

import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = (TOP / "docs/ring-format.md").read_text()
LAYOUT = (TOP / "src/rings/layout.h").read_text()


def section(title: str) -> str:
    """What follows a heading, up to the next one."""
    return re.split(r"^#+ ", DOCUMENT.split(f"# {title}\n", 1)[1], flags=re.M)[0]


def fields(text: str) -> dict[str, int]:
    """The fields of a table, and where they are."""
    rows = re.findall(r"^\| 0x([0-9a-f]+) \| \d+ \| (\w+) \|", text, re.M)
    return {name: int(offset, 16) for offset, name in rows}


def test_the_reasons() -> None:
    named = re.findall(r"^\| \d+ \| .* \| `([a-z-]+)`.* \|$", section("Header"), re.M)
    source = (TOP / "src/rings/layout.c").read_text()
    assert re.findall(r'\[IVSHMEM_RINGS_\w+\] = \{ "([a-z-]+)"', source) == ["valid", *named]


def test_the_header() -> None:
    enumerated = re.findall(r"IVSHMEM_RINGS_AT_(\w+)\s*= 0x([0-9a-f]+)", LAYOUT)
    expected = {name.lower(): int(offset, 16) for name, offset in enumerated}
    assert fields(section("Header")) == {"magic": 0, **expected}


def test_the_lines() -> None:
    """Each structure has the fields of its table, in the same places."""
    source = (TOP / "src/rings/ring.h").read_text()
    sizes = {"__le32": 4, "__le64": 8, "__u8": 1}
    for name, title in {
        "ivshmem_port_line": "Port line",
        "ivshmem_ring_line": "Line",
        "ivshmem_ring_descriptor": "Descriptor",
    }.items():
        body = re.search(rf"^struct {name} {{\n(.*?)^}};", source, re.M | re.S)
        assert body
        places, at = {}, 0
        for kind, member, count in re.findall(r"^\t(\w+) (\w+)(?:\[(\w+)\])?;", body[1], re.M):
            places[member] = at
            at += sizes[kind] * (24 if count == "IVSHMEM_FRAME_HEADER" else int(count or 1))
        assert at == {"Port line": 64, "Line": 128, "Descriptor": 32}[title]
        written = {key: place for key, place in places.items() if "reserved" not in key}
        assert fields(section(title)) == written
