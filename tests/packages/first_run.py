# SPDX-License-Identifier: GPL-2.0-only
"""make demo on a Debian with nothing but git, make and sudo: what README promises those
who see the project for the first time."""

import pathlib
import re
import shlex
import time

import archive
import build
import cache
import debian_roots
import devices
from checked_system import CheckedSystem, Checks, Test

PACKAGES = ["git", "make", "passwd", "sudo"]
TREE = "/home/user/ivshmem"
OFFLINE = "unshare --net"
MISSING = re.compile(r"packages are missing; to install them: (sudo apt-get install .*)")


def bare(release: str) -> pathlib.Path:
    """The root of a system that has been used for nothing."""

    def make(root: pathlib.Path) -> None:
        archive.Archive(release, "amd64").bootstrap(
            PACKAGES, root, "--mode=root", "--variant=apt", "--format=directory"
        )

    return cache.made(debian_roots.kept(f"bare-{release}", PACKAGES), make)


def promised() -> list[str]:
    """What README shows of the demo."""
    text = (build.TOP / "README.md").read_text()
    found = re.search(r"From the demo:\n\n((?:    .*\n)+)", text)
    assert found, "README shows no demo"
    return [line[4:] for line in found[1].splitlines() if line.strip() != "..."]


def unlike(output: str) -> list[str]:
    """Those lines of README that a demo has not printed, in this order and with whatever
    numbers."""

    def plain(line: str) -> str:
        return re.sub(r"\d+(\.\d+)?", "0", line)

    lines = iter([plain(line) for line in output.splitlines()])
    return [line for line in promised() if plain(line) not in lines]


class FirstRun(CheckedSystem):
    """A machine, its user, who may use sudo, and our sources."""

    def __init__(self, directory: pathlib.Path, checks: Checks, release: str) -> None:
        self.tree = debian_roots.Tree(bare(release), directory / "tree")
        super().__init__(checks, self.tree.run)
        self.tree.must(
            "useradd --create-home --shell /bin/sh user && "
            "echo 'user ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/user && apt-get -q update"
        )
        copy = self.tree.upper / TREE.lstrip("/")
        copy.mkdir()
        debian_roots.copy_sources(copy)
        self.tree.must(f"chown -R user: {TREE}")

    def user(self, command: str, around: str = "") -> tuple[int, str]:
        """Run a command in the tree as the user does who has just logged in."""
        inner = shlex.quote(f"cd {TREE} && {command}")
        return self.run(f"{around} runuser --login user -c {inner}")

    def works(self, name: str, command: str, around: str = "") -> None:
        """Check that a demo shows what README does, and leaves nothing of root's."""
        begin = time.monotonic()
        status, output = self.user(command, around)
        print(f"# {name}: {time.monotonic() - begin:.0f} s", flush=True)
        self.checks.ok(f"{name}: exit status", status == 0, output)
        self.checks.ok(f"{name}: as in README", not unlike(output), "\n".join(unlike(output)))
        self.equal(f"{name}: the user's files", "find /home/user -xdev ! -user user")
        self.equal(f"{name}: no temporary files", "find /tmp /dev/shm -user user")


def by_sudo(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    machine = FirstRun(directory, checks, "bookworm")
    machine.works("sudo make demo", "sudo make demo")
    machine.works("make demo, offline", "make demo", OFFLINE)
    checks.ok("make clean", machine.user("make clean")[0] == 0)


def by_user(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    machine = FirstRun(directory, checks, "trixie")
    for goal in ("demo", "check", "lint", "deb", "rpm"):
        status, output = machine.user(f"make {goal}")
        told = MISSING.search(output)
        checks.ok(
            f"make {goal} says what is missing",
            status == 2 and told is not None and len(output.splitlines()) == 2,
            output,
        )
        if goal == "demo" and told:
            status, output = machine.user(f"{told[1]} --yes")
            checks.ok("the command that was said installs it", status == 0, output)
            machine.works("make demo", "make demo")
    status, output = machine.user("make tools")
    checks.ok("make tools", status == 0, output)


TESTS: dict[str, Test] = {"first-run-sudo": by_sudo, "first-run-user": by_user}
