# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own tests of networks (tools/testing/selftests/net) that two machines can run.
Guests whose kernel was built here have them, as its source is there."""

import pathlib
import subprocess

import build
import cache

NAMES = ("gro", "lib/csum", "msg_zerocopy", "udpgso_bench_rx", "udpgso_bench_tx")


def programs(kernel: pathlib.Path) -> dict[str, pathlib.Path]:
    """They and their names in the guest, for the kernel that was built in a directory."""
    source = kernel / "source/tools/testing/selftests/net"
    directory = build.BUILD / "selftests"
    directory.mkdir(parents=True, exist_ok=True)
    files = {}
    with cache.locked(directory):
        for name in NAMES:
            path = directory / pathlib.Path(name).name
            if not path.exists():
                command = ["gcc", "-O2", "-w", "-static", "-I..", "-o", str(path), f"{name}.c"]
                subprocess.run(command, cwd=source, check=True)
            files[f"bin/{path.name}"] = path
    return files
