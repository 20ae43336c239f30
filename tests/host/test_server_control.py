# SPDX-License-Identifier: GPL-2.0-only
"""The control socket: what a server says about itself and its peers to those who have not
joined it (tools/server/control.c), and what ivshmemctl makes of that (tools/ctl/control.c)."""

import contextlib
import fcntl
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import typing

import ctl
import pytest
from manager import Manager, Peer

NOBODY = 65534
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
GOOD = "control=1 pid=9 size=4096 vectors=1 peers=1 descriptors=16 limit=64 socket=/x\n"
PEER = "peer=3 pid=10 uid=1000 joined=1700000000\n"


class Server:
    """One that can be killed, with its socket in a directory."""

    def __init__(
        self, path: pathlib.Path, *options: str, prefix: typing.Sequence[ctl.Place] = ()
    ) -> None:
        self.path = path
        self.control = path.with_name(path.name + ".control")
        self.process = subprocess.Popen(
            [*prefix, ctl.SERVER, "-F", "-S", path, "--memfd", *options],
            env=ctl.environment(),
            stderr=subprocess.PIPE,
            text=True,
        )

    def listens(self) -> bool:
        """Its first line says so; else it has ended."""
        assert self.process.stderr
        return "event=listen" in self.process.stderr.readline()

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.communicate(timeout=ctl.LIMIT)

    def refusal(self) -> str:
        _, said = self.process.communicate(timeout=ctl.LIMIT)
        assert self.process.returncode == 1
        return said


@contextlib.contextmanager
def running(
    path: pathlib.Path, *options: str, prefix: typing.Sequence[ctl.Place] = ()
) -> typing.Iterator[Server]:
    server = Server(path, *options, prefix=prefix)
    try:
        assert server.listens()
        yield server
    finally:
        server.end()


@pytest.fixture(name="path")
def fixture_path() -> typing.Iterator[pathlib.Path]:
    """Short enough for a socket."""
    with tempfile.TemporaryDirectory() as directory:
        yield pathlib.Path(directory) / "socket"


@pytest.fixture(name="manager")
def fixture_manager() -> typing.Iterator[Manager]:
    with tempfile.TemporaryDirectory() as directory:
        manager = Manager(pathlib.Path(directory))
        yield manager
        manager.close()


def ask(path: ctl.Place) -> dict[str, typing.Any]:
    program = ctl.run("peers", "--json", device=path)
    assert program.process.returncode == ctl.OK, program.report()
    return json.loads(program.out)


def listed(path: ctl.Place) -> dict[str, typing.Any] | None:
    """Its element; this machine may have other servers."""
    found = json.loads(ctl.run("list", "--json").out)
    (entry,) = [one for one in found if one["name"] == str(path)] or [None]
    return entry


@pytest.mark.parametrize("count", [0, 1, 3])
def test_peers(path: pathlib.Path, count: int) -> None:
    before = int(time.time())
    with running(path, "-l", "1M", "-n", "2") as server:
        peers = [Peer(path) for _ in range(count)]
        found = ask(path)
        fds = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        assert found == found | {
            "server": str(path),
            "pid": server.process.pid,
            "size": 1 << 20,
            "vectors": 2,
            "descriptors": fds,
            "limit": resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[0],
        }
        assert [peer["id"] for peer in found["peers"]] == [*range(count)]
        for peer in found["peers"]:
            assert (peer["pid"], peer["uid"]) == (os.getpid(), os.getuid())
            assert before <= peer["joined"] <= time.time()
        lines = ctl.run("peers", device=path).out.decode().splitlines()
        assert f"descriptors   {fds} of {found['limit']}" in lines
        assert f"peers         {count}" in lines
        rows = [line.split()[:3] for line in lines if line.split()[1:2] == [str(os.getpid())]]
        assert rows == [[str(id), str(os.getpid()), str(os.getuid())] for id in range(count)]
        for one in peers:
            one.close()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_list(path: pathlib.Path, count: int) -> None:
    with running(path, "-l", "1M", "-n", "2") as server:
        peers = [Peer(path) for _ in range(count)]
        assert listed(path) == {
            "name": str(path),
            "size": 1 << 20,
            "id": None,
            "vectors": 2,
            "cache": "wb",
            "pci": None,
            "label": None,
            "interrupts": 0,
            "transport": "server",
            "answer": "ok",
            "peers": count,
            "pid": server.process.pid,
        }
        lines = ctl.run("list").out.decode().splitlines()
        row = ["1", "MiB", "2", str(count), str(server.process.pid), str(path)]
        assert row in [line.split() for line in lines]
        for peer in peers:
            peer.close()
    assert listed(path) is None


def test_a_peer_that_leaves(path: pathlib.Path) -> None:
    """An answer is kept only until something changes."""
    with running(path):
        peers = [Peer(path) for _ in range(3)]
        assert [peer["id"] for peer in ask(path)["peers"]] == [0, 1, 2]
        peers.pop(1).close()
        assert ctl.wait_until(lambda: [one["id"] for one in ask(path)["peers"]] == [0, 2])
        peers.append(Peer(path))
        assert [peer["id"] for peer in ask(path)["peers"]] == [0, 2, 3]
        for peer in peers:
            peer.close()


def test_asking_takes_no_id(path: pathlib.Path) -> None:
    with running(path):
        first = Peer(path)
        for _ in range(3):
            ask(path)
            listed(path)
        second = Peer(path)
        assert (first.id, second.id) == (0, 1)
        first.close()
        second.close()


def connected(path: ctl.Place) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(ctl.LIMIT)
    client.connect(str(path))
    return client


def test_clients_that_never_read(path: pathlib.Path) -> None:
    """They cost the server nothing, and keep nobody from joining or asking."""
    with running(path) as server, contextlib.ExitStack() as stack:
        fds = pathlib.Path(f"/proc/{server.process.pid}/fd")
        peer = Peer(path)
        used = ask(path)["descriptors"]
        for _ in range(200):
            stack.enter_context(connected(server.control))
        assert [one["id"] for one in ask(path)["peers"]] == [0]
        # Connections are answered in their order.
        assert len(list(fds.iterdir())) == used
        peer.close()


def test_clients_that_send(path: pathlib.Path) -> None:
    with running(path) as server, contextlib.ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(connected(server.control))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(b"noise" * 100)
        assert ask(path)["peers"] == []


def test_the_answer_is_sealed(path: pathlib.Path) -> None:
    """Clients share it."""
    with running(path) as server, connected(server.control) as client:
        data, fds, _, _ = socket.recv_fds(client, 10, 2)
        assert data == b"\n" and client.recv(1) == b""
        (answer,) = fds
        text = os.pread(answer, 1000, 0).decode()
        assert text.startswith(f"control=1 pid={server.process.pid} ")
        assert text.endswith(f" socket={path}\n")
        for change in (
            lambda: os.pwrite(answer, b"x", 0),
            lambda: os.ftruncate(answer, 0),
            lambda: os.ftruncate(answer, 9999),
        ):
            with pytest.raises(PermissionError):
                change()
        os.close(answer)


def test_a_thousand_peers(path: pathlib.Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip(f"needs 4096 descriptors, not {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    with running(path), contextlib.ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(connected(path))
        assert ctl.wait_until(lambda: len(ask(path)["peers"]) == 1000)
        assert [peer["id"] for peer in ask(path)["peers"]] == [*range(1000)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_mode(path: pathlib.Path, mode: int) -> None:
    with running(path, "--mode", f"{mode:o}") as server:
        for one in (path, server.control):
            assert stat.S_IMODE(one.stat().st_mode) == mode


def test_removed_at_exit(path: pathlib.Path) -> None:
    with running(path) as server:
        assert stat.S_ISSOCK(server.control.stat().st_mode)
    assert not [*path.parent.iterdir()]


def test_stale(path: pathlib.Path) -> None:
    server = Server(path)
    assert server.listens()
    inode = server.control.stat().st_ino
    server.end(signal.SIGKILL)
    assert server.control.stat().st_ino == inode
    program = ctl.run("peers", device=path)
    assert program.process.returncode == ctl.NO_DEVICE and "no server listens" in program.err
    with running(path):
        assert ask(path)["peers"] == []


def test_taken(path: pathlib.Path) -> None:
    """Neither another's socket nor another's file is replaced, and nothing is left."""
    control = path.with_name("socket.control")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(control))
        listener.listen()
        assert f"process {os.getpid()} is listening on {control}" in Server(path).refusal()
    control.unlink()
    control.write_text("mine")
    assert "not a socket" in Server(path).refusal()
    assert [*path.parent.iterdir()] == [control] and control.read_text() == "mine"


def test_paths(path: pathlib.Path) -> None:
    """A server at a long one goes without."""
    long = path.with_name("x" * (107 - len(str(path.parent)) - 1))
    server = Server(long)
    assert server.process.stderr
    assert "too long" in server.process.stderr.readline() and server.listens()
    Peer(long).close()
    assert ctl.run("peers", device=long).process.returncode == ctl.NO_DEVICE
    server.end()
    assert not [*path.parent.iterdir()]


@pytest.mark.parametrize("name", ["sock et", "sock\\et", "sock\xe9t\x9b"])
def test_paths_are_printed_safely(path: pathlib.Path, name: str) -> None:
    path = path.with_name(name)
    with running(path) as server:
        assert ask(path)["server"] == str(path)
        entry = listed(path)
        assert entry and entry["answer"] == "ok"
        for verb in ("list", "peers"):
            text = ctl.run(verb, device=path).out.decode()
            assert name.replace("\x9b", "\\xc2\\x9b") in text
        with connected(server.control) as client:
            _, fds, _, _ = socket.recv_fds(client, 10, 1)
            (line,) = os.pread(fds[0], 1000, 0).splitlines()
            os.close(fds[0])
        escaped = line.decode("ascii").rsplit("socket=")[1]
        assert " " not in escaped and escaped.isprintable()
        assert escaped.encode().decode("unicode_escape").encode("latin-1") == os.fsencode(path)


# Sockets that a service manager passes


@contextlib.contextmanager
def listening(path: ctl.Place) -> typing.Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield listener


def test_passed(manager: Manager) -> None:
    path = pathlib.Path(f"{manager.path}.control")
    with listening(path) as control:
        manager.start("--memfd", also=[("socket", control.fileno())])
        assert not manager.has_ended(), manager.said()
        peer = Peer(manager.path)
        assert [one["id"] for one in ask(manager.path)["peers"]] == [0]
        peer.close()
        manager.end(signal.SIGTERM)
        assert path.exists()


def test_passed_without(manager: Manager) -> None:
    manager.start("--memfd")
    Peer(manager.path).close()
    program = ctl.run("peers", device=manager.path)
    assert program.process.returncode == ctl.NO_DEVICE
    assert f"lacks ListenStream={manager.path}.control" in program.err
    assert not pathlib.Path(f"{manager.path}.control").exists()


def test_passed_wrongly(manager: Manager) -> None:
    base = manager.directory
    with contextlib.ExitStack() as stack:
        names = ("passed.control", "other.control", "other")
        right, wrong, second = (
            ("any", stack.enter_context(listening(base / name)).fileno()) for name in names
        )
        for also, words in (
            ([wrong], "change ListenStream="),
            ([right, wrong], "more than one control socket"),
            ([second], "more than one socket"),
            ([right, second], "more than one socket"),
        ):
            manager.start("--memfd", also=also)
            assert manager.has_ended() and words in manager.said()
        manager.listener.close()
        manager.listener = socket.socket(fileno=os.dup(right[1]))
        manager.start("--memfd")
        assert manager.has_ended() and "only a control socket" in manager.said()


def test_out_of_descriptors(manager: Manager) -> None:
    """That is when an administrator asks."""
    with listening(f"{manager.path}.control") as control, contextlib.ExitStack() as stack:
        manager.start("--memfd", also=[("socket", control.fileno())], limit=64)
        # More than there is room for, and fewer than may wait to be accepted.
        for _ in range(40):
            stack.enter_context(connected(manager.path))
        assert ctl.wait_until(lambda: "event=refuse" in manager.said())
        for _ in range(3):
            found = ask(manager.path)
            assert found["limit"] == 64 and found["descriptors"] >= 63
            assert len(found["peers"]) > 20
        # The descriptors that asking takes are given back.
        assert manager.process
        used = len(os.listdir(f"/proc/{manager.process.pid}/fd"))
        assert used == found["descriptors"]


# Others that listen there


class Impostor:
    """Answers with a message and descriptors, or not at all."""

    def __init__(self, path: pathlib.Path, fds: list[int] | None, data: bytes = b"\n") -> None:
        self.main, self.control = (socket.socket(socket.AF_UNIX) for _ in range(2))
        for one, name in ((self.main, str(path)), (self.control, f"{path}.control")):
            one.bind(name)
            one.listen()
        if fds is not None:
            threading.Thread(target=self.serve, args=(fds, data), daemon=True).start()

    def serve(self, fds: list[int], data: bytes) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.control.accept()
                with client:
                    if data:
                        socket.send_fds(client, [data], fds)

    def close(self) -> None:
        self.control.shutdown(socket.SHUT_RDWR)
        self.main.close()
        self.control.close()


def sealed(text: bytes | str, size: int = 0, seals: int = SEALS) -> int:
    fd = os.memfd_create("answer", os.MFD_ALLOW_SEALING)
    os.write(fd, text.encode() if isinstance(text, str) else text)
    if size:
        os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def verdict(path: pathlib.Path, fds: list[int] | None, data: bytes = b"\n") -> ctl.Program:
    """What "peers" says of an impostor; "list" must get over it."""
    impostor = Impostor(path, fds, data)
    program = ctl.run("peers", "--json", device=path)
    entry = listed(path)
    impostor.close()
    for fd in fds or []:
        os.close(fd)
    states = {ctl.OK: "ok", ctl.CORRUPTED: "nonsense", ctl.FAILED: "unreachable"}
    assert entry and entry["answer"] == states[program.process.returncode], program.report()
    return program


def test_an_answer_of_another_program(path: pathlib.Path) -> None:
    """Keys can be added, and come in any order."""
    line = "control=1 new=word limit=64 descriptors=16 peers=1 vectors=1 size=4096 pid=9\n"
    program = verdict(path, [sealed(line + "joined=17 new= uid=1000 pid=10 peer=3\n")])
    assert json.loads(program.out) == {
        "server": str(path),
        "pid": 9,
        "size": 4096,
        "vectors": 1,
        "descriptors": 16,
        "limit": 64,
        "peers": [{"id": 3, "pid": 10, "uid": 1000, "joined": 17}],
    }


def test_more_descriptors_than_one(path: pathlib.Path) -> None:
    assert verdict(path, [sealed(GOOD + PEER), *os.pipe()]).process.returncode == ctl.OK


@pytest.mark.parametrize(
    "text,reason",
    [
        ("\n", "does not begin as an answer"),
        ("HTTP/1.1 400 Bad Request\n", "does not begin as an answer"),
        ("x" * 100000, "without lines"),
        (GOOD.strip(), "without lines"),
        (GOOD.replace("control=1", "control=2") + PEER, "update ivshmemctl"),
        (GOOD.replace("control=1", "control=x") + PEER, "does not begin as an answer"),
        (GOOD.replace(" pid=9", "") + PEER, "describe a server"),
        (GOOD.replace(" pid=9", "  pid=9") + PEER, "describe a server"),
        (GOOD.replace("pid=9", "pid=-9") + PEER, "describe a server"),
        (GOOD.replace("pid=9", "pid=") + PEER, "describe a server"),
        (GOOD.replace("pid=9", "pid=2147483648") + PEER, "describe a server"),
        (GOOD.replace("size=4096", f"size={1 << 63}") + PEER, "describe a server"),
        (GOOD.replace("size=4096", "size=" + "9" * 40) + PEER, "describe a server"),
        (GOOD.replace("vectors=1", "vectors=257") + PEER, "describe a server"),
        (GOOD.replace("peers=1", "peers=65537") + PEER, "describe a server"),
        (GOOD.replace("peers=1", "peers=2") + PEER, "describe a peer"),
        (GOOD + PEER.strip(), "describe a peer"),
        (GOOD + PEER.replace("peer=3", "peer=65536"), "describe a peer"),
        (GOOD + PEER.replace("uid=1000", "uid"), "describe a peer"),
        (GOOD + PEER.replace("uid=1000", "=1000"), "describe a peer"),
        (GOOD + PEER.replace("joined=17", "joined=99999"), "describe a peer"),
        (GOOD + PEER * 2, "more lines than peers"),
        (GOOD + PEER + "x", "more lines than peers"),
        (GOOD + "\0" + PEER, "not text"),
    ],
)
def test_nonsense(path: pathlib.Path, text: str, reason: str) -> None:
    program = verdict(path, [sealed(text)])
    assert program.process.returncode == ctl.CORRUPTED and program.out == b""
    assert f"{path}.control answered nonsense: " in program.err and reason in program.err


def test_nonsense_files(path: pathlib.Path) -> None:
    """Those whose reading could block, or whose contents could change, are not read."""

    def check(words: str, fds: list[int], data: bytes = b"\n") -> None:
        assert words in verdict(path, fds, data).err
        for one in path.parent.iterdir():
            one.unlink()

    reader, writer = os.pipe()
    check("no descriptor", [], b"HTTP/1.1 400 Bad Request\n")
    check("not a sealed file", [reader])
    os.close(writer)
    check("not a sealed file", [os.open("/dev/zero", os.O_RDONLY)])
    check("not a sealed file", [sealed(GOOD + PEER, seals=0)])
    check("not a sealed file", [sealed(GOOD + PEER, seals=fcntl.F_SEAL_WRITE)])
    check("empty, or larger", [sealed("")])
    check("empty, or larger", [sealed(GOOD + PEER, size=1 << 30)])
    check("without an answer", [], b"")


def test_silence(path: pathlib.Path) -> None:
    """A server that does not answer, or that has stopped accepting, is no error."""
    impostor = Impostor(path, None)
    entry = listed(path)
    assert entry and entry == entry | {"answer": "timeout", "size": 0, "vectors": 0}
    assert f" {path} (no answer)\n" in ctl.run("list").out.decode()
    impostor.close()
    assert listed(path) is None


def test_another_program_s_control_socket(path: pathlib.Path) -> None:
    """Without a socket beside it, it is none of a server."""
    with listening(f"{path}.control"):
        assert listed(path) is None


# Starts a program that has a file system of its own at the first argument.
ELSEWHERE = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs "$0" && exec "$@"')


def try_elsewhere(directory: pathlib.Path) -> None:
    if subprocess.run([*ELSEWHERE, directory, "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("needs the right to mount")


@pytest.mark.parametrize("kind", ["nothing", "a directory", "a file"])
def test_a_server_of_another_mount_namespace(path: pathlib.Path, kind: str) -> None:
    """The kernel lists its sockets, but the path leads to something else here."""
    try_elsewhere(path.parent)
    with running(path, prefix=[*ELSEWHERE, path.parent]):
        assert f" {path}.control\n" in pathlib.Path("/proc/net/unix").read_text()
        if kind == "a directory":
            path.with_name(f"{path.name}.control").mkdir()
        elif kind == "a file":
            path.with_name(f"{path.name}.control").touch()
        assert listed(path) is None
        assert str(path) not in ctl.run("list").out.decode()


def test_a_server_of_ours_at_the_same_path(path: pathlib.Path) -> None:
    try_elsewhere(path.parent)
    with running(path, prefix=[*ELSEWHERE, path.parent]), running(path) as ours:
        entry = listed(path)
        assert entry and entry["pid"] == ours.process.pid


def test_denied(path: pathlib.Path) -> None:
    if os.geteuid():
        pytest.skip("needs root, to become somebody else")
    path.parent.chmod(0o755)
    program = pathlib.Path(shutil.copy(ctl.CTL, path.with_name("ivshmemctl")))
    words: list[ctl.Place] = [
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        program,
    ]

    def run(*arguments: ctl.Place) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*words, *arguments],
            text=True,
            capture_output=True,
            env=ctl.environment(),
            timeout=ctl.LIMIT,
        )

    with running(path, "--mode", "0600"):
        peers = run("peers", "-d", path)
        assert peers.returncode == ctl.DENIED and "no permission to ask" in peers.stderr
        found = run("list", "--json")
        assert found.returncode == ctl.OK and found.stderr == ""
        (entry,) = [one for one in json.loads(found.stdout) if one["name"] == str(path)]
        assert entry["answer"] == "denied" and "pid" not in entry
        assert f" {path} (no permission)\n" in run("list").stdout


def test_no_server_named() -> None:
    program = ctl.run("peers")
    assert program.process.returncode == ctl.NO_DEVICE and "--device" in program.err
