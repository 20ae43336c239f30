# SPDX-License-Identifier: GPL-2.0-only
"""The guest suite as one part of something larger: a run of its own of run.py."""

import subprocess
import sys

import build
import tap


class Counter(tap.Relay):
    """Remembers the points that pass by, and the kernel that they are of."""

    def __init__(self):
        super().__init__()
        self.points = []
        self.release = None

    def feed(self, line):
        if line.startswith("# kernel "):
            self.release = line.split()[2].rstrip(",")
        point = super().feed(line)
        if point:
            self.points.append(point)
        return point


def run(name, environment, writer):
    """Run the suite, as the environment says, and write its points under a name. Gives
    the Counter that saw them."""
    reader = Counter()
    command = ["nice", sys.executable, "-B", build.TOP / "tests/rig/run.py", "guests"]
    with subprocess.Popen(
        command,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        for line in process.stdout:
            writer.take(name, reader, line.rstrip("\n"))
    writer.judge(name, reader, process.returncode)
    return reader
