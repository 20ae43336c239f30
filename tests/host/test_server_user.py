# SPDX-License-Identifier: GPL-2.0-only
"""The server goes to the background for a user who may not write to /var/run
(tools/server/daemon.c)."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import typing

import ctl
import pytest
from manager import Peer

NOBODY = 65534


class Home:
    """A directory of an ordinary user, with the program in it."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.server = directory / "ivshmem-server"
        shutil.copy(ctl.SERVER, self.server)
        self.prefix: list[str] = []
        if os.geteuid() == 0:
            os.chown(directory, NOBODY, NOBODY)
            self.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

    def run(self, *options: ctl.Place, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the server until it is in the background, or has failed."""
        everything = {**ctl.environment(), **env}
        if "XDG_RUNTIME_DIR" not in env:
            everything.pop("XDG_RUNTIME_DIR", None)
        return subprocess.run(
            [*self.prefix, self.server, "-S", self.directory / "socket", "--memfd", *options],
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=everything,
            timeout=ctl.LIMIT,
        )

    def check_serves(self, pid_file: pathlib.Path) -> None:
        Peer(self.directory / "socket").close()
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
        assert ctl.wait_until(lambda: not pid_file.exists())
        assert ctl.wait_until(lambda: not (self.directory / "socket").exists())


@pytest.fixture(name="home")
def fixture_home() -> typing.Iterator[Home]:
    if os.geteuid() and os.access("/var/run", os.W_OK):
        pytest.skip("this user may write to /var/run")
    with tempfile.TemporaryDirectory() as directory:
        yield Home(pathlib.Path(directory))


def test_runtime_directory(home: Home) -> None:
    run = home.run(XDG_RUNTIME_DIR=str(home.directory))
    assert (run.returncode, run.stderr) == (0, "")
    home.check_serves(home.directory / "ivshmem-server.pid")


def test_named(home: Home) -> None:
    run = home.run("-p", home.directory / "pid")
    assert (run.returncode, run.stderr) == (0, "")
    home.check_serves(home.directory / "pid")


@pytest.mark.parametrize("directory", [None, ""])
def test_no_place(home: Home, directory: str | None) -> None:
    run = home.run(**({} if directory is None else {"XDG_RUNTIME_DIR": directory}))
    assert run.returncode == 1 and "name a file (-p) or stay in the foreground (-F)" in run.stderr
    assert not (home.directory / "socket").exists()
