# SPDX-License-Identifier: GPL-2.0-only
"""Whatever happens to the first run, the next one has the right kernel: that of this
machine's release, whole, and no other in silence. The mirror is mirror.py."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import typing

import mirror
import pytest

RIG = pathlib.Path(__file__).resolve().parents[1] / "rig"
# kernels.py on a machine with bookworm, which fetches a kernel and says what it is.
PROGRAM = """
import pathlib, runpy, sys, archive
keyrings, url = sys.argv.pop(), sys.argv.pop()
archive.RELEASES = ("bookworm", "trixie")
archive.host_release = lambda: "bookworm"
archive.KEYRINGS = pathlib.Path(keyrings)
archive._mirrors = lambda: (url, url)
runpy.run_module("kernels", run_name="__main__")
"""
INDEX = "bookworm-backports/main"
HEADERS = "linux-headers-6.12.1-cloud-amd64.deb"
OURS = "6.12.1-cloud-amd64"
OTHERS = "6.12.2-cloud-amd64 of trixie, because bookworm serves no 6.12 kernel"


def name(process: subprocess.Popen[str]) -> str:
    """The kernel that it has found, in its words."""
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    found = re.match("# (.*): ", output)
    assert found, output
    return found[1]


class Machine:
    """One with a cache of its own, whose mirror is ours."""

    def __init__(self, directory: pathlib.Path, server: mirror.Mirror) -> None:
        self.server = server
        self.cache = directory / "cache"
        config = directory / "apt.conf"
        config.write_text(mirror.APT_CONFIG)
        self.environment = {
            "APT_CONFIG": str(config),
            "HOME": str(directory),
            "IVSHMEM_CACHE": str(self.cache),
            "PATH": "/usr/bin:/bin",  # as users have it
            "PYTHONPATH": str(RIG),
        }

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                sys.executable,
                "-B",
                "-c",
                PROGRAM,
                self.server.url,
                self.server.signer.keyring.parent,
            ],
            text=True,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def find(self) -> str:
        """What kernel there is."""
        return name(self.start())

    def fails(self) -> str:
        """What it says when there is none."""
        process = self.start()
        output, errors = process.communicate()
        assert process.returncode == 1 and "Traceback" not in errors, output + errors
        return errors

    def files(self) -> set[str]:
        """What is in the cache but for locks."""
        return {
            str(path.relative_to(self.cache))
            for path in self.cache.rglob("*")
            if path.is_file() and not path.name.endswith("lock")
        }


@pytest.fixture(scope="session")
def signer() -> typing.Iterator[mirror.Signer]:
    with mirror.signing() as one:
        yield one


@pytest.fixture
def machine(tmp_path: pathlib.Path, signer: mirror.Signer) -> typing.Iterator[Machine]:
    with mirror.running(tmp_path / "mirror", signer) as server:
        for release in ("bookworm", "trixie"):
            for pocket in ("", "-updates", "-backports", "-security"):
                server.suite(release + pocket)
        server.kernel("bookworm-backports", "6.12.1")
        server.kernel("trixie", "6.12.2")
        yield Machine(tmp_path, server)


def test_the_kernel_is_that_of_this_machine_s_release(machine: Machine) -> None:
    assert machine.find() == OURS


@pytest.mark.parametrize("fault", ["cut 100", "503", "403"])
@pytest.mark.parametrize(
    "file", [f"{INDEX}/binary-amd64/Packages", "bookworm-backports/InRelease"]
)
def test_an_index_that_does_not_come(machine: Machine, file: str, fault: str) -> None:
    machine.server.faults = {file: fault}
    assert "the package index of bookworm did not come" in machine.fails()
    machine.server.faults = {}
    assert machine.find() == OURS


@pytest.mark.parametrize("fault", ["cut 100", "503", "404"])
def test_a_package_that_does_not_come(machine: Machine, fault: str) -> None:
    machine.server.faults = {"linux-kbuild-6.12.1.deb": fault}
    assert "cannot download" in machine.fails()
    assert not [name for name in machine.files() if name.endswith((".deb", "Makefile"))]
    machine.server.faults = {}
    assert machine.find() == OURS


def test_offline(machine: Machine) -> None:
    url = machine.server.url
    machine.server.url = "http://127.0.0.1:9"
    assert "the package index of bookworm did not come" in machine.fails()
    machine.server.url = url
    assert machine.find() == OURS
    machine.server.url = "http://127.0.0.1:9"
    assert machine.find() == OURS


@pytest.mark.parametrize("file", [INDEX, HEADERS])
def test_killed_on_the_way(machine: Machine, file: str) -> None:
    machine.server.faults = {file: "hang"}
    process = machine.start()
    assert machine.server.hanging.wait(60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    machine.server.faults = {}
    assert machine.find() == OURS
    apt = machine.cache / "apt/bookworm-amd64"
    assert len(list(apt.glob("indexes-*"))) == 1
    assert not list(apt.glob("**/*.deb"))


def test_two_at_once(machine: Machine) -> None:
    processes = [machine.start() for _ in range(2)]
    for process in processes:
        assert name(process) == OURS
    assert machine.server.requests[f"GET /bookworm-backports/{HEADERS}"] == 1


def test_the_mirror_has_a_newer_kernel_than_the_index(machine: Machine) -> None:
    machine.server.suite("bookworm-backports")
    machine.server.suite("trixie")
    assert "no Debian release carries a 6.12 kernel" in machine.fails()
    machine.server.kernel("bookworm-backports", "6.12.3")
    assert machine.find() == "6.12.3-cloud-amd64"


def test_a_suite_that_the_mirror_does_not_have(machine: Machine) -> None:
    machine.server.faults = {"bookworm-updates": "404"}
    assert machine.find() == OURS


def test_another_release_is_never_taken_in_silence(machine: Machine) -> None:
    machine.server.suite("bookworm-backports")
    for _ in range(2):  # fetched, and from the cache
        assert machine.find() == OTHERS
