# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel that watches has to say at the end of a boot: memory that nobody
refers to any more, and which lines of the driver were run.

The first is a failure. The second is put below build/coverage, one file for each boot:
see coverage.py.
"""

import base64
import binascii
import itertools
import json
import pathlib
import subprocess

import build
import qemu
import scratch
import tap

DIRECTORY = build.BUILD / "coverage"
SCRIPT = pathlib.Path(__file__).with_name("kernel_reports.sh")

Counts = dict[str, dict[str, int]]  # {source: {line: times}}


def take(guest: qemu.Guest, name: str, writer: tap.Sink, seconds: float) -> None:
    """Ask a guest after its last test, which is named."""
    found: dict[str, list[list[str]]] = {
        "leak": [],
        "file": [],
    }  # what lines begin with: paragraphs
    paragraph: list[str] = []

    def on_line(line: str) -> None:
        nonlocal paragraph
        kind = {"unreferenced object": "leak", "file /": "file"}
        for start, where in kind.items():
            if line.startswith(start):
                paragraph = []
                found[where].append(paragraph)
        paragraph.append(line)

    if guest.run("kernel_reports", seconds, on_line):
        writer.fail(name, "\n".join(["kernel_reports.sh failed", *paragraph[-20:]]))
    for lines in found["leak"]:
        if any("ivshmem" in line for line in lines):
            writer.fail(name, "\n".join(["memory was lost", *lines]))
    counts: Counts = {}
    for first, *text in found["file"]:
        try:
            data = base64.b64decode("".join(text), validate=True)
        except binascii.Error:
            continue  # a line was lost on the way
        _count(pathlib.Path(first.split()[1]), data, counts)
    if counts:
        _keep(counts)


def _count(path: pathlib.Path, data: bytes, counts: Counts) -> None:
    """Add what gcov says of one object to {source: {line: times}}. What the compiler
    left about the object is beside it."""
    directory = scratch.directory("ivshmem-gcov-")
    target = directory / path.name
    target.write_bytes(data)
    target.with_suffix(".gcno").symlink_to(path.with_suffix(".gcno"))
    done = subprocess.run(
        ["gcov", "--json-format", "--stdout", target.name],
        cwd=directory,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    scratch.remove(directory)
    for text in done.stdout.splitlines():
        for file in json.loads(text)["files"]:
            name = "/".join(pathlib.Path(file["file"]).parts[-2:])
            # The events of trace.h are unrolled by the kernel's headers.
            if name == "core/trace.h" or not (build.SOURCE / name).is_file():
                continue
            lines = counts.setdefault(name, {})
            for line in file["lines"]:
                number = str(line["line_number"])
                lines[number] = lines.get(number, 0) + line["count"]


def _keep(counts: Counts) -> None:
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for number in itertools.count():
        try:
            with (DIRECTORY / f"{number}.json").open("x") as file:
                json.dump(counts, file)
            return
        except FileExistsError:
            continue
