# SPDX-License-Identifier: GPL-2.0-only
"""The Python package of this tree, with the library built here: import this first."""

import ctypes
import os
import subprocess
import sys
import threading

from ctl import LIMIT, ROOT

# The loader finds it again by its name.
ctypes.CDLL(str(ROOT / "build" / "libivshmem.so.0"))
sys.path.insert(0, str(ROOT / "python"))
ENVIRONMENT = {
    **os.environ,
    "LD_LIBRARY_PATH": str(ROOT / "build"),
    "PYTHONPATH": str(ROOT / "python"),
}
# What each program starts with.
PROLOGUE = """
import asyncio, contextlib, os, signal, sys, threading, time
import ivshmem
# A shell starts programs in the background with SIGINT ignored, and they pass that on.
signal.signal(signal.SIGINT, signal.default_int_handler)
shm = ivshmem.open(sys.argv[1])
def say(*words): print(*words, flush=True)
"""


class Other:
    """Another process, which has opened the same memory as shm. It is killed in the end."""

    def __init__(self, path: str, text: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROLOGUE + text, path],
            text=True,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        # So that nobody waits for ever for what it says.
        self.timer = threading.Timer(LIMIT, self.process.kill)
        self.timer.start()

    def __enter__(self) -> "Other":
        return self

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
        self.kill()
        assert self.process.stdout
        self.process.stdout.close()

    def line(self) -> str:
        """What it says next."""
        assert self.process.stdout
        return self.process.stdout.readline().rstrip()

    def end(self) -> int:
        """Its exit status, once it has ended by itself."""
        return self.process.wait(LIMIT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(LIMIT)
