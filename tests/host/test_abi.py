# SPDX-License-Identifier: GPL-2.0-only
"""Programs that were compiled years ago still work: no number, size or place has changed."""

import pathlib
import re
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
UAPI = TOP / "src/uapi"
TEXT = re.sub(r"/\*.*?\*/", " ", (UAPI / "linux/ivshmem.h").read_text(), flags=re.S)

# What is here may be added to. Nothing of it ever changes.
CONSTANTS = {
    "ID_UNKNOWN": 0xFFFFFFFF,
    "MAX_SPIN_NS": 1000000000,
    "FEATURE_DOORBELL": 0x1,
    "FEATURE_INTERRUPTS": 0x2,
    "FEATURE_REGISTERS": 0x4,
    "FEATURE_RESET": 0x8,
    "FEATURE_PAGES": 0x10,
    "FEATURE_DMABUF": 0x20,
    "FEATURE_POLLED": 0x40,
    "FEATURE_PEERS": 0x80,
    "REGION_MEMORY": 0,
    "REGION_REGISTERS": 1,
    "REGION_READ": 0x1,
    "REGION_WRITE": 0x2,
    "CACHE_WB": 0,
    "CACHE_WC": 1,
    "CACHE_UC": 2,
    "REG_DOORBELL": 12,
    "DOORBELL(0x1234, 0x15678)": 0x12345678,
    "WAIT_SET": 0x1,
    "WAIT_WORD": 0x2,
    "WAIT_ABSTIME": 0x4,
    "WAIT_RING": 0x8,
    "WAIT_NEWS": 0x10,
    "RESULT_SIGNALLED": 0x1,
    "RESULT_CHANGED": 0x2,
    "RESULT_NEWS": 0x4,
    "DMABUF_CLOEXEC": 0x1,
    "PEER_GUEST": 1,
    "PEER_HOST": 2,
    "PEER_SERVER": 3,
    "PEER_SELF": 0x1,
    "PEERS_WAIT": 0x1,
    "IOC_MAGIC": 0xE7,
    "IOC_INFO": 0xC020E700,
    "IOC_REGION": 0xC028E701,
    "IOC_RING": 0x4010E702,
    "IOC_WAIT": 0xC058E703,
    "IOC_EVENTFD": 0x4010E704,
    "IOC_DMABUF": 0x4018E705,
    "IOC_PEERS": 0xC028E706,
}

# Of each structure the size, and of each field the offset and the size.
STRUCTURES = {
    "info": (
        32,
        {
            "features": (0, 8),
            "id": (8, 4),
            "vectors": (12, 4),
            "regions": (16, 4),
            "max_peer": (20, 4),
            "max_vector": (24, 4),
            "reserved": (28, 4),
        },
    ),
    "region": (
        40,
        {
            "index": (0, 4),
            "flags": (4, 4),
            "offset": (8, 8),
            "size": (16, 8),
            "page_sizes": (24, 8),
            "cache": (32, 4),
            "reserved": (36, 4),
        },
    ),
    "ring": (
        16,
        {"peer": (0, 4), "vector": (4, 4), "flags": (8, 4), "reserved": (12, 4)},
    ),
    "wait": (
        88,
        {
            "flags": (0, 4),
            "vector": (4, 4),
            "timeout_ns": (8, 8),
            "count": (16, 8),
            "signalled_vector": (24, 4),
            "result": (28, 4),
            "offset": (32, 8),
            "expected": (40, 4),
            "nbits": (44, 4),
            "spin_ns": (48, 8),
            "set": (56, 8),
            "signalled_set": (64, 8),
            "counts": (72, 8),
            "ring_peer": (80, 4),
            "ring_vector": (84, 4),
        },
    ),
    "eventfd": (
        16,
        {"vector": (0, 4), "fd": (4, 4), "flags": (8, 4), "reserved": (12, 4)},
    ),
    "dmabuf": (
        24,
        {"offset": (0, 8), "size": (8, 8), "flags": (16, 4), "reserved": (20, 4)},
    ),
    "peer_info": (
        64,
        {
            "owner": (0, 8),
            "generation": (8, 8),
            "id": (16, 4),
            "slot": (20, 2),
            "kind": (22, 1),
            "flags": (23, 1),
            "silent_ms": (24, 4),
            "reserved": (28, 4),
            "name": (32, 32),
        },
    ),
    "peers": (
        40,
        {
            "generation": (0, 8),
            "peers": (8, 8),
            "room": (16, 4),
            "nr": (20, 4),
            "flags": (24, 4),
            "info_size": (28, 4),
            "timeout_ns": (32, 8),
        },
    ),
}


def values(tmp_path: pathlib.Path, expressions: list[str]) -> list[int]:
    """What a compiler makes of them."""
    lines = "".join(f'\tprintf("%llu\\n", (unsigned long long)({e}));\n' for e in expressions)
    subprocess.run(
        ["gcc", "-Wall", "-Werror", f"-I{UAPI}", "-xc", "-", "-o", tmp_path / "program"],
        input="#include <linux/ivshmem.h>\n#include <stddef.h>\n#include <stdio.h>\n"
        f"int main(void)\n{{\n{lines}\treturn 0;\n}}\n",
        text=True,
        check=True,
    )
    done = subprocess.run([tmp_path / "program"], stdout=subprocess.PIPE, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def test_constants(tmp_path: pathlib.Path) -> None:
    found = values(tmp_path, [f"IVSHMEM_{name}" for name in CONSTANTS])
    assert dict(zip(CONSTANTS, found)) == CONSTANTS


def test_structures(tmp_path: pathlib.Path) -> None:
    for name, (size, fields) in STRUCTURES.items():
        kind = f"struct ivshmem_{name}"
        places = [f"offsetof({kind}, {field})" for field in fields]
        sizes = [f"sizeof((({kind} *)0)->{field})" for field in fields]
        found = values(tmp_path, [f"sizeof({kind})", *places, *sizes])
        assert found[0] == size, name
        assert dict(zip(fields, zip(found[1:], found[1 + len(fields) :]))) == fields, name


def test_all_is_here() -> None:
    constants = re.findall(r"^#define IVSHMEM_(\w+)", TEXT, re.M)
    assert sorted(constants) == sorted(name.partition("(")[0] for name in CONSTANTS)
    structures = re.findall(r"struct ivshmem_(\w+) {(.*?)};", TEXT, re.S)
    assert {name: re.findall(r"(\w+)(?:\[\d+])?;", body) for name, body in structures} == {
        name: list(fields) for name, (_, fields) in STRUCTURES.items()
    }
