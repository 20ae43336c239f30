# SPDX-License-Identifier: GPL-2.0-only
"""ivshmem-server@.service and its variables: what the server makes of them, and that the
manual page has all. Under systemd itself check-packages starts it (tests/packages/debian.py)."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import typing

import ctl
import pytest
from manager import Manager
from wrong_input import check_message

UNIT = ctl.ROOT / "conf/systemd/system/ivshmem-server@.service"
VARIABLES = ctl.ROOT / "tools/server/ivshmem-server.conf"
PAGE = ctl.ROOT / "tools/server/ivshmem-server.1"
DEFAULTS = dict(re.findall(r"^(\w+)=(.*)$", VARIABLES.read_text(), re.M))
SETTINGS = dict(re.findall(r"^(\w+)=((?:.*\\\n)*.*)$", UNIT.read_text(), re.M))
WORDS = SETTINGS["ExecStart"].replace("\\\n", " ").split()
SOCKET = "--socket=/run/ivshmem-server/%i/socket"


def arguments(**changes: str) -> typing.Iterator[str]:
    """What systemd makes of the words of ExecStart= and the variables: systemd.service(5)."""
    values = DEFAULTS | changes
    for word in WORDS:
        if word.startswith("$") and word[1:] in values:
            yield from values[word[1:]].split()
        else:
            yield re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], word)


@pytest.fixture(name="manager")
def fixture_manager() -> typing.Iterator[Manager]:
    with tempfile.TemporaryDirectory() as directory:
        manager = Manager(pathlib.Path(directory))
        try:
            yield manager
        finally:
            manager.close()


def start(manager: Manager, **changes: str) -> None:
    program, *words = arguments(**changes)
    assert program == "/usr/bin/ivshmem-server"
    words[words.index(SOCKET)] = f"--socket={manager.path}"
    manager.start(*words)


def test_each_variable_and_default_is_documented() -> None:
    assert {*DEFAULTS} == {*re.findall(r"\$\{?(\w+)", SETTINGS["ExecStart"])}
    section = PAGE.read_text().partition(".Ss As a service\n")[2].partition(".Ss ")[0]
    documented = re.findall(r"^\.It Ev (\w+) Ns = Ns Li (.*)\n", section, re.M)
    assert DEFAULTS == {name: value.strip('"') for name, value in documented}


def test_defaults(manager: Manager) -> None:
    start(manager)
    assert manager.ready
    assert f"size={4 << 20} vectors=1 " in manager.said()
    assert "memory" in manager.stored


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"SIZE": "1M", "VECTORS": "256"}, "size=1048576 vectors=256 "),
        ({"SIZE": "65536"}, "size=65536 vectors=1 "),
        ({"MEMORY": "--directory={scratch}/a b"}, "event=listen"),
        ({"OPTIONS": "--verbose --reuse-ids"}, "event=listen"),
    ],
)
def test_values(manager: Manager, changes: dict[str, str], says: str) -> None:
    (manager.directory / "a b").mkdir()
    start(
        manager,
        **{key: text.format(scratch=manager.directory) for key, text in changes.items()},
    )
    assert manager.ready and says in manager.said()


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"SIZE": ""}, "the value of --size is empty"),
        ({"SIZE": "3M"}, "is not a power of two of at least one page"),
        ({"SIZE": "1K"}, "is not a power of two of at least one page"),
        ({"SIZE": "64 M"}, 'invalid size "64 M": use a number'),
        ({"SIZE": "64M # much"}, 'invalid size "64M # much": use a number'),
        ({"VECTORS": ""}, "the value of --vectors is empty"),
        ({"VECTORS": "0"}, "vectors must be 1 to 256, not 0"),
        ({"VECTORS": "257"}, "vectors must be 1 to 256, not 257"),
        ({"VECTORS": "four"}, "vectors must be 1 to 256, not four"),
        ({"MEMORY": ""}, '"" is no option'),
        ({"MEMORY": "memfd"}, '"memfd" is no option'),
        ({"MEMORY": "--memfd --verbose"}, "unrecognized option '--memfd --verbose'"),
        ({"MEMORY": "--directory="}, "the value of --directory is empty"),
        ({"OPTIONS": "verbose"}, '"verbose" is no option'),
        ({"OPTIONS": "--fresh-ids"}, "unrecognized option '--fresh-ids'"),
        ({"OPTIONS": "--memfd"}, "are mutually exclusive"),
    ],
)
def test_unsuitable_values(manager: Manager, changes: dict[str, str], says: str) -> None:
    """They end it for good, with a message that systemctl status shows."""
    start(manager, **changes)
    assert manager.process and manager.process.returncode == 2
    assert SETTINGS["RestartPreventExitStatus"] == "2"
    assert says in manager.said()
    check_message(manager.said(), "ivshmem-server")


@pytest.fixture(name="root", scope="module")
def fixture_root() -> typing.Iterator[pathlib.Path]:
    """What is installed, and the targets that systemd adds to each unit."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        words = ["make", "-s", "install", f"DESTDIR={root}", "PREFIX=/usr"]
        subprocess.run(words, cwd=ctl.ROOT, check=True)
        for path in pathlib.Path("/usr/lib/systemd/system").glob("*.target"):
            shutil.copy(path, root / "usr/lib/systemd/system")
        yield root


def verify(root: pathlib.Path, unit: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"--root={root}", unit],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


NEEDS_SYSTEMD = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"
)


@NEEDS_SYSTEMD
@pytest.mark.parametrize("kind", ["service", "socket"])
def test_systemd_verifies_the_units(root: pathlib.Path, kind: str) -> None:
    done = verify(root, f"ivshmem-server@a.{kind}")
    assert (done.returncode, done.stdout) == (0, "")


@NEEDS_SYSTEMD
def test_systemd_would_refuse_a_slip(root: pathlib.Path) -> None:
    slip = UNIT.read_text().replace("ExecStart=", "ExecStrat=")
    (root / "usr/lib/systemd/system/slip@.service").write_text(slip)
    assert "ExecStrat" in verify(root, "slip@a.service").stdout


def test_the_unit_reads_what_is_installed(root: pathlib.Path) -> None:
    defaults, own = re.findall("^EnvironmentFile=(.*)", UNIT.read_text(), re.M)
    assert (root / defaults[1:]).read_text() == VARIABLES.read_text()
    assert own == "-/etc/ivshmem-server/%i.conf"
