# SPDX-License-Identifier: GPL-2.0-only
"""Temporary directories, and what else must not outlive this process: however it ends, but
by SIGKILL, it is undone. See ending.py."""

import atexit
import pathlib
import shutil
import tempfile
import typing
import uuid

_pending: dict[str, typing.Callable[[], object]] = {}


def at_end(name: str, undo: typing.Callable[[], object]) -> None:
    """Have something undone at the end, unless done() says before that it is."""
    _pending[name] = undo


def done(name: str) -> None:
    _pending.pop(name, None)


def directory(prefix: str, parent: str | None = None) -> pathlib.Path:
    """Make a temporary directory. Its name is known before it exists, so there is no
    moment at which it could be left behind."""
    path = pathlib.Path(parent or tempfile.gettempdir(), prefix + uuid.uuid4().hex[:8])
    at_end(str(path), lambda: shutil.rmtree(path, ignore_errors=True))
    path.mkdir(mode=0o700)
    return path


def remove(path: pathlib.Path) -> None:
    """Remove a temporary directory before the end."""
    shutil.rmtree(path, ignore_errors=True)
    done(str(path))


def undo() -> None:
    """Undo all, what came last first."""
    while _pending:
        _, last = _pending.popitem()
        try:
            last()
        except Exception:  # whatever it is, the others are still to be undone
            pass


atexit.register(undo)
