# SPDX-License-Identifier: GPL-2.0-only
"""make says in one line what is missing, removes what it has installed, and by sudo leaves
nothing of root's in the caller's tree."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import typing

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
NOBODY = 65534
# What scripts need that a test may not have in its PATH.
BASICS = ("apt-get", "awk", "dirname", "echo", "env", "make", "sed", "sh", "uname")
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def run(
    *command: str | pathlib.Path, **environment: str | pathlib.Path
) -> subprocess.CompletedProcess[str]:
    """Run a command in the tree with some variables changed, as if nobody ran make."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS", "SUDO_"))
    }
    return subprocess.run(
        [str(word) for word in command],
        cwd=TOP,
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=inherited | {name: str(value) for name, value in environment.items()},
    )


def files(directory: pathlib.Path) -> set[str]:
    """All that is there."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


def script(path: pathlib.Path, text: str) -> None:
    assert not path.is_symlink(), "that would be written to what it leads to"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory for PATH with hardly anything, in which this user is not root."""
    directory = tmp_path / "programs"
    directory.mkdir()
    for name in BASICS:
        (directory / name).symlink_to(str(shutil.which(name)))
    script(directory / "id", "echo 1000")
    return directory


@pytest.mark.parametrize(
    "variables",
    [
        ["DESTDIR={}"],
        ["DESTDIR={}", "PREFIX=/usr", "libdir=/usr/lib/x", "zshdir=/usr/share/zsh/x"],
        ["PREFIX={}", "ldconfig=:"],
        ["PREFIX={}/ivshmem", "ldconfig=:"],
    ],
)
def test_uninstall_leaves_what_was_there(tmp_path: pathlib.Path, variables: list[str]) -> None:
    words = [word.format(tmp_path) for word in variables]
    other = tmp_path / "usr/local/share/man/man1/other.1"
    other.parent.mkdir(parents=True)
    other.touch()
    before = files(tmp_path)
    assert run("make", "-s", "install", *words).returncode == 0
    assert len([path for path in tmp_path.rglob("ivshmem*") if path.is_file()]) > 20
    assert run("make", "-s", "uninstall", *words).returncode == 0
    assert files(tmp_path) == before


@pytest.mark.parametrize("what, count", [("python", 5), ("dkms", 30)])
def test_uninstall_of_parts(tmp_path: pathlib.Path, what: str, count: int) -> None:
    variables = [f"DESTDIR={tmp_path}", "pythondir=/usr/lib/python3"]
    assert run("make", "-s", f"install-{what}", *variables).returncode == 0
    assert len(files(tmp_path)) > count
    assert run("make", "-s", f"uninstall-{what}", *variables).returncode == 0
    assert not files(tmp_path)


def test_dkms_gets_the_sources_and_nothing_else(tmp_path: pathlib.Path) -> None:
    assert run("make", "-s", "install-dkms", f"DESTDIR={tmp_path}").returncode == 0
    (directory,) = (tmp_path / "usr/src").iterdir()
    tracked = run("git", "ls-files", "dkms.conf", "src").stdout.split()
    found = {name for name in files(directory) if (directory / name).is_file()}
    assert found == set(tracked)


def test_help_lists_them() -> None:
    output = run("make", "help").stdout
    for name in ("install", "uninstall", "install-dkms", "uninstall-dkms"):
        assert f"make {name} " in output


@pytest.mark.parametrize("name", ["a b", "a:b", "a%b", "a'b", "a$b", "a,b"])
@pytest.mark.parametrize("goal", ["demo", "module", "help"])
def test_a_path_that_cannot_be(tmp_path: pathlib.Path, name: str, goal: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    shutil.copy(TOP / "Makefile", directory)
    done = run("make", "-C", directory, "--no-print-directory", goal)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f'cannot work in "{directory}": move the tree' in done.stderr


def test_a_cache_that_cannot_be(tmp_path: pathlib.Path) -> None:
    done = run("python3", "-B", "tests/rig/kernels.py", IVSHMEM_CACHE=tmp_path / "a b")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "have IVSHMEM_CACHE= name a directory without blanks" in done.stderr


NO_COMPILER = "no-such-compiler"


@pytest.mark.parametrize(
    "compiler, pkg_config, missing, packages",
    [
        (NO_COMPILER, "pkg-config", NO_COMPILER, "gcc"),
        ("gcc", "no-pkg-config", "no-pkg-config", "pkgconf"),
        (NO_COMPILER, "no-pkg-config", f"{NO_COMPILER}, no-pkg-config", "gcc pkgconf"),
        (
            "gcc",
            "false",
            "jansson.h, curses.h, xxhash.h",
            "libjansson-dev libncurses-dev libxxhash-dev",
        ),
        (
            "gcc -nostdinc",
            "pkg-config",
            "stdio.h, jansson.h, curses.h, xxhash.h",
            "libc6-dev libjansson-dev libncurses-dev libxxhash-dev",
        ),
    ],
)
@pytest.mark.parametrize("jobs", ["-j1", "-j8"])
def test_tools_without(
    compiler: str, pkg_config: str, missing: str, packages: str, jobs: str
) -> None:
    done = run("make", jobs, "-s", "-B", "tools", f"CC={compiler}", f"PKG_CONFIG={pkg_config}")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        f"make tools: missing {missing}; to install it: sudo apt-get install {packages}"
    )
    assert [
        line for line in done.stderr.splitlines()[1:] if not line.startswith("make: ***")
    ] == []


def test_module_without_headers(tmp_path: pathlib.Path) -> None:
    done = run("make", "-s", "module", "KVER=6.1.0-0-none", f"KDIR={tmp_path}")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        f"make module: missing headers of kernel 6.1.0-0-none in {tmp_path}; "
        "to install it: sudo apt-get install linux-headers-6.1.0-0-none"
    )


def test_module_without_a_compiler(tmp_path: pathlib.Path, programs: pathlib.Path) -> None:
    (tmp_path / "Makefile").touch()
    done = run("make", "-s", "module", f"KDIR={tmp_path}", PATH=programs)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        "make module: missing a compiler; to install it: sudo apt-get install gcc"
    )


STATES = {"installed": "ii", "held": "hi", "triggers": "it", "awaits": "iW"}
LACKING = {"removed": "rc", "unpacked": "iU", "broken": "iF", "never": ""}


@pytest.mark.parametrize("names", [list(STATES), list(STATES | LACKING)])
def test_prerequisites_for_a_user(programs: pathlib.Path, names: list[str]) -> None:
    states = STATES | LACKING
    lines = "".join(f"echo '{name} {states[name]} '\n" for name in names if states[name])
    script(programs / "dpkg-query", lines)
    done = run("packaging/prerequisites.sh", *names, PATH=programs)
    lacking = " ".join(name for name in names if name in LACKING)
    assert done.returncode == (1 if lacking else 0)
    command = f"sudo apt-get install --no-install-recommends {lacking}"
    assert done.stderr == (
        f"packages are missing; to install them: {command}\n" if lacking else ""
    )


@pytest.mark.parametrize("target", ["check", "check-host"])
@pytest.mark.parametrize("jobs", ["-j1", "-j8"])
def test_tests_without_packages(programs: pathlib.Path, target: str, jobs: str) -> None:
    """Nothing is tried before they are there."""
    script(programs / "dpkg-query", "echo 'gcc ii '")
    done = run("make", jobs, "-s", target, PATH=programs)
    assert done.returncode == 2 and done.stdout == ""
    command = (
        "packages are missing; to install them: sudo apt-get install --no-install-recommends "
    )
    (said,) = [line for line in done.stderr.splitlines() if line.startswith(command)]
    assert {"python3-pytest", "valgrind", "qemu-system-x86"} <= {*said.split()}
    assert "gcc" not in said.split()
    # Beside that, side by side, the build of the programs.
    others = ("make tools: missing ", "make: ***") if jobs != "-j1" else ("make: ***",)
    for line in done.stderr.splitlines():
        assert line == said or line.startswith(others)


@pytest.fixture
def tree() -> typing.Iterator[pathlib.Path]:
    """A tree of nobody's, and a home of theirs beside it."""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        directory.chmod(0o711)
        for part in ("tree", "home"):
            (directory / part).mkdir()
            os.chown(directory / part, NOBODY, NOBODY)
        yield directory / "tree"


def by_sudo(tree: pathlib.Path, command: str, home: str = "") -> subprocess.Popen[str]:
    """Start a shell command as make is started by sudo of nobody."""
    return subprocess.Popen(
        [TOP / "packaging/by-sudo.sh", "sh", "-c", command],
        cwd=tree,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={
            **os.environ,
            "SUDO_UID": str(NOBODY),
            "SUDO_GID": str(NOBODY),
            "XDG_CACHE_HOME": str(home or tree.parent / "home/.cache"),
            "IVSHMEM_CACHE": "",
        },
        start_new_session=True,
    )


def owners(directory: pathlib.Path) -> set[int]:
    return {path.lstat().st_uid for path in [directory, *directory.rglob("*")]}


MAKES = "mkdir -p build/a && touch build/a/b && ln -s /etc/passwd link && "
KEEPS = "cd $IVSHMEM_CACHE && mkdir -p kernels roots/x toolchain-x && touch kernels/a roots/x/a"


@NEEDS_ROOT
def test_by_sudo_all_belongs_to_the_caller(tree: pathlib.Path) -> None:
    process = by_sudo(tree, f"{MAKES} {KEEPS}; read line; echo $line; exit 7")
    assert process.communicate("typed\n")[0] == "typed\n"
    assert process.returncode == 7
    cache = tree.parent / "home/.cache/ivshmem"
    assert owners(tree) == owners(cache / "kernels") == {NOBODY}
    assert owners(tree.parent / "home/.cache") == {NOBODY, 0}
    assert owners(cache / "roots") == owners(cache / "toolchain-x") == {0}
    assert pathlib.Path("/etc/passwd").stat().st_uid == 0


@NEEDS_ROOT
@pytest.mark.parametrize(
    "to_all, number",
    [  # a terminal sends to all, sudo to who it has started
        (True, signal.SIGINT),
        (True, signal.SIGHUP),
        (False, signal.SIGTERM),
        (False, signal.SIGHUP),
    ],
)
def test_by_sudo_also_if_it_is_interrupted(
    tree: pathlib.Path, to_all: bool, number: signal.Signals
) -> None:
    process = by_sudo(tree, f"{MAKES} echo here && exec sleep 1000")
    assert process.stdout and process.stdout.readline() == "here\n"
    if to_all:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    process.communicate()
    assert process.returncode == 128 + number
    assert owners(tree) == {NOBODY}


@NEEDS_ROOT
def test_by_sudo_without_a_home(tree: pathlib.Path) -> None:
    process = by_sudo(tree, "echo in $IVSHMEM_CACHE.; touch a", "/proc/no/home")
    assert process.communicate()[0] == "in .\n"
    assert process.returncode == 0
    assert owners(tree) == {NOBODY}


@NEEDS_ROOT
def test_by_sudo_a_tree_of_root_s_stays_so(tree: pathlib.Path) -> None:
    os.chown(tree, 0, 0)
    assert by_sudo(tree, MAKES + ":").wait() == 0
    assert owners(tree) == {0}


@NEEDS_ROOT
def test_make_runs_by_it(tree: pathlib.Path) -> None:
    parts = ("Makefile", "dkms.conf", "lib", "tools", "packaging", "tests")
    assert run("cp", "-r", *parts, tree).returncode == 0
    done = run(
        "make",
        "-C",
        tree,
        "-j2",
        "build/libivshmem.pc",
        "help",
        SUDO_UID=str(NOBODY),
        SUDO_GID=str(NOBODY),
        IVSHMEM_CACHE=tree.parent / "home/cache",
    )
    assert done.returncode == 0 and "make help" in done.stdout, done.stderr
    assert owners(tree / "build") == {NOBODY}
    assert "warning" not in done.stderr
