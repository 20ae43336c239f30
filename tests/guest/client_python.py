#!/bin/python3 -IS
# SPDX-License-Identifier: GPL-2.0-only
# rig: devices=doorbell size=1M programs=python3 arches=amd64
"""Python's mmap module takes the file "region" as any other file, and the node by its
size. The library's own module (python/) is not here."""

import errno
import io
import mmap
import os
import sys

NODE = "/dev/ivshmem0"
REGION = "/sys/class/ivshmem/ivshmem0/region"
SIZE = 1 << 20
PAGE = mmap.PAGESIZE

points: list[bool] = []


def ok(passed: bool, what: str) -> None:
    """A point of TAP."""
    points.append(passed)
    print(f"{'' if passed else 'not '}ok {len(points)} - {what}", flush=True)


def fails(
    what: str, number: int | None, fd: int, length: int, access: int = mmap.ACCESS_DEFAULT
) -> None:
    """Mapping must raise OSError with this number, or ValueError (None)."""
    try:
        mmap.mmap(fd, length, access=access)
    except OSError as error:
        ok(error.errno == number, f"{what}: {error}")
    except ValueError as error:
        ok(number is None, f"{what}: {error}")
    else:
        ok(False, f"{what}: nothing is raised")


def test_region(file: io.FileIO, node: int) -> None:
    """Length 0 means all of a file, which mmap takes from fstat."""
    with mmap.mmap(file.fileno(), 0) as memory:
        ok(len(memory) == memory.size() == SIZE, "length 0 maps all of the region")
        memory[:5] = b"hello"
        memory[-1] = 42
        ok(os.pread(node, 5, 0) == b"hello", "a slice is written")
        ok(os.pread(node, 1, SIZE - 1) == b"*", "and the last byte")
        os.pwrite(node, b"world", PAGE)
        ok(memory.find(b"world") == PAGE, "find finds what another wrote")
        memory.seek(PAGE)
        ok(memory.read(5) == b"world", "and read reads it")
        memory.flush()
        memory.flush(PAGE, PAGE)
        ok(True, "flush is no error")
        words = memoryview(memory).cast("I")
        words[1024] = 0xC0FFEE
        words.release()
        ok(os.pread(node, 4, 4096) == 0xC0FFEE.to_bytes(4, sys.byteorder), "a word is written")
        ok(file.read() == memory[:], "the file reads what is mapped, to its end")
    fails("a byte more", None, file.fileno(), SIZE + 1)


def test_node(node: int) -> None:
    """The node has no size, so a program says how much."""
    fails("length 0 of the node", errno.EINVAL, node, 0)
    fails("a byte more of the node", errno.EINVAL, node, SIZE + 1)
    size = os.lseek(node, 0, os.SEEK_END)
    ok(size == SIZE, "SEEK_END gives the size of the node")
    with mmap.mmap(node, size) as memory, mmap.mmap(node, PAGE, offset=SIZE - PAGE) as last:
        memory[SIZE - 2] = 7
        ok(last[PAGE - 2] == 7, "an offset maps the last page")
    with mmap.mmap(node, size - 1) as memory:
        ok(len(memory) == size - 1, "a length that is no multiple of a page")


def test_access(fd: int, name: str) -> None:
    with mmap.mmap(fd, SIZE, access=mmap.ACCESS_READ) as memory:
        ok(memory[0] == os.pread(fd, 1, 0)[0], f"{name}: ACCESS_READ reads")
        try:
            memory[0] = 1
            ok(False, f"{name}: ACCESS_READ does not write")
        except TypeError:
            ok(True, f"{name}: ACCESS_READ does not write")
    fails(f"{name}: ACCESS_COPY", errno.EINVAL, fd, SIZE, mmap.ACCESS_COPY)


def test_fork(fd: int) -> None:
    """A child writes into the mapping that it has from its parent."""
    with mmap.mmap(fd, SIZE) as memory:
        child = os.fork()
        if not child:
            memory[123] = 99
            os._exit(0)
        os.waitpid(child, 0)
        ok(memory[123] == 99, "a child writes into the same memory")


def test_buffered() -> None:
    with open(NODE, "r+b") as node:
        node.seek(SIZE - 3)
        ok(node.write(b"end") == 3, "a buffered file of the node writes")
        node.flush()
        node.seek(-3, os.SEEK_END)
        ok(node.read() == b"end", "and reads")


def main() -> int:
    node = os.open(NODE, os.O_RDWR)
    with open(REGION, "r+b", buffering=0) as region:
        test_region(region, node)
        test_access(region.fileno(), "region")
        test_fork(region.fileno())
    test_node(node)
    test_access(node, "node")
    test_buffered()
    print(f"1..{len(points)}", flush=True)
    return not all(points)


sys.exit(main())
