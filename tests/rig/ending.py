# SPDX-License-Identifier: GPL-2.0-only
"""How a program of the rig ends by Ctrl-C, SIGTERM or SIGHUP, at any moment: all that it
has started ends, temporary files go, one line says so, and it dies of that signal.

Programs import this first and start by run().
"""

import signal

# The other imports take a while, and there is nothing to clean up yet.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import ctypes
import os
import pathlib
import sys
import time
import types
import typing

import scratch

SIGNALS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "hung up",
}
PATIENCE = 10  # seconds to end in an orderly way
PR_SET_CHILD_SUBREAPER = 36


def run(main: typing.Callable[[], int | None]) -> typing.NoReturn:
    """Run a program. What it shall not hear of, as under nohup, it does not.

    The children of those that end become children of this process. They must from the
    start: Ctrl-C reaches all, and a parent may be gone before this one gets to it.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)
    sys.exit(main())


def _end(number: int, _frame: types.FrameType | None) -> None:
    """Raises no exception, which would have to find its way through all that runs."""
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    try:
        line = f"{SIGNALS[signal.Signals(number)]}: cleaning up\n"
        os.write(2, ("\n" if os.isatty(2) else "").encode() + line.encode())
        # Threads will see their guests end, and need not tell.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        _kill_descendants()
        scratch.undo()
    except OSError:
        pass  # nobody reads what it says
    finally:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _kill_descendants() -> None:
    """Ask all to end, then make them."""
    deadline = time.monotonic() + PATIENCE
    asked: set[int] = set()
    while living := _descendants():
        late = time.monotonic() > deadline
        for process in living if late else living - asked:
            try:
                os.kill(process, signal.SIGKILL if late else signal.SIGTERM)
            except OSError:
                pass  # it has ended, or runs as somebody else
        if late and time.monotonic() > deadline + PATIENCE:
            break
        asked |= living
        time.sleep(0.02)


def _descendants() -> set[int]:
    """The processes that this one has started, and those that they have."""
    children: dict[int, list[int]] = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text(errors="replace").rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it has just ended
        if state != "Z":
            children.setdefault(int(parent), []).append(int(path.parent.name))
    found: set[int] = set()
    pending = [os.getpid()]
    while pending:
        born = set(children.get(pending.pop(), ())) - found
        found |= born
        pending += born
    return found
