# SPDX-License-Identifier: GPL-2.0-only
"""The guest suite as one part of something larger: a run of its own of run.py."""

import subprocess
import sys

import build
import tap


class Counter(tap.Relay):
    """Remembers the points that pass by, and the kernel that they are of."""

    def __init__(self) -> None:
        super().__init__()
        self.points: list[tap.Point] = []
        self.release: str | None = None

    def feed(self, line: str) -> tap.Point | None:
        if line.startswith("# kernel "):
            self.release = line.split()[2].rstrip(",")
        point = super().feed(line)
        if point:
            self.points.append(point)
        return point


def run(name: str, environment: dict[str, str], writer: tap.Sink) -> Counter:
    """Run the suite, as the environment says, and write its points under a name. Gives
    the Counter that saw them."""
    reader = Counter()
    command = ["nice", sys.executable, "-B", str(build.TOP / "tests/rig/run.py"), "guests"]
    with subprocess.Popen(
        command,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        writer.follow(name, reader, process)
    return reader
