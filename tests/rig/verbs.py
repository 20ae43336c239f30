# SPDX-License-Identifier: GPL-2.0-only
"""What tests ask the host for by printing "@rig VERB ARGUMENTS".

Each verb is a method; its docstring is its documentation. What it returns goes
back to the guest as "ok RESULT", what it raises as "error REASON".
"""

import collections
import json
import pathlib
import signal
import subprocess
import threading
import time
import typing

import devices
import json_schema
import klog
import peer
import qemu
import qmp
import snapshot
import topology as topo
import vfio_user

FIRST_FAKE_SLOT = 4
DOCUMENTS = pathlib.Path(__file__).resolve().parents[2] / "docs"


class Plugged(typing.NamedTuple):
    kind: str
    port: str | None


class Verbs:
    """The requests of one test, from all its guests. Its two guests call from
    two threads."""

    def __init__(
        self,
        guests: list[qemu.Guest],
        devices: devices.Devices,
        marks: list[int],
        timeout: float,
        program: typing.Callable[[], pathlib.Path] | None = None,
    ) -> None:
        """The program is the test's own, built for this machine."""
        self.guests = guests
        self.devices = devices
        self.marks = marks
        self.timeout = timeout
        self.expected: list[list[str]] = [[] for _ in guests]
        self.arrivals: collections.Counter[str] = collections.Counter()  # at each barrier
        self.left = False
        self.powered_off: set[int] = set()
        self.killed: set[int] = set()
        self.changed = threading.Condition()
        self.plugged: dict[tuple[int, str], Plugged] = {}
        self.fakes: dict[str, vfio_user.Fake] = {}
        self.peer: peer.Peer | None = None
        self.program = program
        self.running: subprocess.Popen[bytes] | None = None
        self.snapshots: dict[int, snapshot.Snapshot] = {}
        self.kept = self.swapped = b""
        self.lock = threading.Lock()

    def answer(self, index: int, request: str) -> str:
        """Carry out one request of a guest and return the line to send back."""
        verb, *arguments = request.split() or [""]
        method = getattr(self, "do_" + verb.replace("-", "_"), None)
        try:
            if method is None:
                raise ValueError(f"no verb {verb}")
            result = method(index, *arguments)
        except Exception as error:  # the test shall hear of it, and fail
            reason = str(error) or type(error).__name__
            return "error " + reason.replace("\n", " ")
        return "ok" if result is None else f"ok {result}"

    def leave(self) -> None:
        """The test ended in a guest: it will come to no barrier any more."""
        with self.changed:
            self.left = True
            self.changed.notify_all()

    def close(self) -> None:
        """Put right what the test left: host peer, program, plugged devices."""
        if self.peer:
            self.peer.leave()
        if self.running:
            self.running.kill()
            self.running.wait()
        for fake in self.fakes.values():
            fake.close()
        for index, name in list(self.plugged):
            if index in self.killed:
                continue
            try:
                self.do_unplug(index, name)
            except qmp.QmpError as error:
                raise qmp.QmpError(f"unplug {name}: {error}") from error

    def do_barrier(self, _index: int, name: str) -> None:
        """barrier NAME: wait until every guest of the test is here."""
        everybody = len(self.guests)
        with self.changed:
            self.arrivals[name] += 1
            needed = -(-self.arrivals[name] // everybody) * everybody
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.left or self.arrivals[name] >= needed, self.timeout)
            if self.arrivals[name] < needed:
                raise ValueError(f"barrier {name}: the other guest is not coming")

    def do_plug(self, index: int, kind: str, name: str, size: str) -> None:
        """plug plain ID SIZE, plug doorbell ID VECTORS: hotplug a device. A plain
        one has memory of its own; a doorbell one joins the test's server."""
        guest = self.guests[index]
        if kind == "plain":
            path = self.devices.directory / f"plugged-{index}-{name}"
            guest.qmp.command(
                "object-add",
                {
                    "qom-type": "memory-backend-file",
                    "id": f"{name}-memory",
                    "share": True,
                    "mem-path": str(path),
                    "size": topo.parse_size(size),
                },
            )
            options: qmp.Message = {"driver": "ivshmem-plain", "memdev": f"{name}-memory"}
        elif kind == "doorbell":
            address = {"type": "unix", "data": {"path": str(self.devices.socket)}}
            guest.qmp.command(
                "chardev-add",
                {
                    "id": f"{name}-server",
                    "backend": {"type": "socket", "data": {"addr": address, "server": False}},
                },
            )
            options = {
                "driver": "ivshmem-doorbell",
                "chardev": f"{name}-server",
                "vectors": int(size),
            }
        else:
            raise ValueError(f"plug plain or doorbell, not {kind}")
        port = guest.ports.pop() if guest.ports else None
        guest.qmp.command("device_add", {**options, "id": name, **({"bus": port} if port else {})})
        self.plugged[index, name] = Plugged(kind, port)

    def do_unplug(self, index: int, name: str) -> None:
        """unplug ID: ask the guest to let go of a plugged device, and wait."""
        guest = self.guests[index]
        plugged = self.plugged.pop((index, name), None)
        if plugged is None:
            raise ValueError(f"no {name} was plugged")
        guest.qmp.command("device_del", {"id": name})
        # A native slot blinks for five seconds first.
        guest.qmp.wait_event("DEVICE_DELETED", qemu.patience(20), device=name)
        if plugged.port:
            guest.ports.append(plugged.port)
        if plugged.kind == "plain":
            guest.qmp.command("object-del", {"id": f"{name}-memory"})
            (self.devices.directory / f"plugged-{index}-{name}").unlink()
        else:
            guest.qmp.command("chardev-remove", {"id": f"{name}-server"})

    def do_fake(self, index: int, name: str, *facts: str) -> str:
        """fake NAME [with=OTHER] FACT=NUMBER...: plug a device of vfio_user.py into a guest
        with newqemu=yes; gives its PCI address. It has memory of its own, or the other one's.
        QEMU gives up waiting for an answer after patience= milliseconds. It can't be
        unplugged, as QEMU does not survive that."""
        words = {fact: value for fact, _, value in (fact.partition("=") for fact in facts)}
        other = words.pop("with", None)
        memory = self.fakes[other].memory if other else None
        numbers = {fact: int(value, 0) for fact, value in words.items()}
        patience = numbers.pop("patience", 60000)
        path = self.devices.directory / f"fake-{name}"
        slot = FIRST_FAKE_SLOT + len(self.fakes)
        self.fakes[name] = vfio_user.Fake(path, memory, **numbers)
        self.guests[index].qmp.command(
            "device_add",
            {
                "driver": "vfio-user-pci",
                "id": name,
                "x-msg-timeout": patience,
                "x-no-posted-writes": True,
                "addr": f"{slot:#x}",
                "socket": {"type": "unix", "path": str(path)},
            },
        )
        return f"0000:00:{slot:02x}.0"

    def do_fake_mode(self, _index: int, name: str, mode: str, after: str = "0") -> None:
        """fake-mode NAME MODE [N]: be good, slow, ones, silent or gone, now or when the
        guest has accessed its registers or configuration N more times. One that is
        slow is not back from its next reset until it is good."""
        self.fakes[name].set_mode(mode, int(after))

    def do_fake_id(self, _index: int, name: str, number: str) -> None:
        """fake-id NAME ID: change what the register with the own id says."""
        self.fakes[name].facts["id"] = int(number)

    def do_fake_fire(self, _index: int, name: str, vector: str) -> None:
        """fake-fire NAME VECTOR: raise an interrupt, as a peer's ring does."""
        self.fakes[name].fire(int(vector))

    def do_fake_rings(self, _index: int, name: str, peer: str, vector: str) -> int:
        """fake-rings NAME PEER VECTOR: how often the guest has rung another peer there."""
        return self.fakes[name].rings[int(peer), int(vector)]

    def do_fake_accesses(self, _index: int, name: str) -> int:
        """fake-accesses NAME: how often the guest has accessed registers and
        configuration since the last fake-mode."""
        return self.fakes[name].accesses

    def do_suspended_wakeup(self, index: int) -> None:
        """suspended-wakeup: print it before suspending, read the answer after; the
        host waits for the machine to sleep, then wakes it."""
        guest = self.guests[index]
        start = len(guest.console.read_bytes())
        guest.qmp.wait_event("SUSPEND", self.timeout)
        guest.qmp.command("system_wakeup")
        # Before this the port loses what we send.
        if klog.wait_match(guest.console, start, "PM: suspend exit", qemu.patience(30)) is None:
            raise ValueError("the machine did not resume")

    def do_power_off(self, index: int) -> None:
        """power-off: the last request of a test, after its plan; the guest then powers
        itself off."""
        self.powered_off.add(index)

    def do_kill(self, index: int) -> None:
        """kill: the last request of a test, after its plan; the host kills QEMU, and
        the guest is gone without a word."""
        self.killed.add(index)
        self.guests[index].kill()

    def do_freeze(self, index: int, seconds: str) -> None:
        """freeze SECONDS: the host stops the guest for so long."""
        guest = self.guests[index]
        guest.qmp.command("stop")
        time.sleep(float(seconds))
        guest.qmp.command("cont")

    def do_snapshot(self, index: int) -> str:
        """snapshot: keep the guest as it is in the midst of this request; gives "saved"."""
        self.snapshots[index] = snapshot.Snapshot(self.guests[index])
        return "saved"

    def do_restore(self, index: int, name: str) -> str:
        """restore NAME: stop the guest, wait for the others at the barrier NAME, and set the
        guest back to its snapshot. It gets the answer to its request of then: NAME."""
        self.guests[index].qmp.command("stop")
        self.do_barrier(index, name)
        self.snapshots[index].restore()
        self.guests[index].qmp.command("cont")
        return name

    def do_qmp(self, index: int, *words: str) -> str:
        """qmp JSON: any command of QEMU's machine protocol; gives its answer."""
        return json.dumps(self.guests[index].qmp.send(json.loads(" ".join(words))))

    def _host_peer(self) -> peer.Peer:
        if self.peer is None:
            self.peer = peer.Peer(self.devices.socket)
        return self.peer

    def do_peer_id(self, _index: int) -> int:
        """peer-id: the id of the host, which joins the server when first asked."""
        with self.lock:
            return self._host_peer().id

    def do_peer_ring(self, _index: int, target: str, vector: str, times: str = "1") -> None:
        """peer-ring ID VECTOR [TIMES]: the host rings a peer."""
        with self.lock:
            self._host_peer().ring(int(target), int(vector), int(times))

    def do_peer_wait(self, _index: int, vector: str, seconds: str) -> int:
        """peer-wait VECTOR SECONDS: wait until the host is rung; gives how often."""
        with self.lock:
            return self._host_peer().wait(int(vector), float(seconds))

    def do_peer_leave(self, _index: int) -> None:
        """peer-leave: the host leaves the server."""
        with self.lock:
            if self.peer:
                self.peer.leave()
            self.peer = None

    def do_program(self, _index: int, *words: str) -> None:
        """program WORD...: run the program that the test is on the host, too. Its arguments
        are the file of the first region, and the words. One at a time. It is killed when the
        test ends in the guest that has asked for it."""
        if self.running:
            raise ValueError("it is running")
        if not self.program:
            raise ValueError("there is no program of this test")
        command = [str(self.program()), str(self.devices.memory), *words]
        with self._program_log.open("wb") as log:
            self.running = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def _program_log(self) -> pathlib.Path:
        return self.devices.directory / "program.log"

    def do_program_end(self, _index: int) -> None:
        """program-end: wait for the end of the program on the host, which must succeed."""
        if not self.running:
            raise ValueError("it is not running")
        status = self.running.wait(self.timeout)
        self.running = None
        if status:
            said = self._program_log.read_text(errors="replace")
            raise ValueError(f"the program ended with {status}: {said}")

    def do_program_kill(self, _index: int) -> None:
        """program-kill: the program on the host dies without a word; it must be running."""
        if not self.running:
            raise ValueError("it is not running")
        self.running.kill()
        status = self.running.wait()
        self.running = None
        if status != -signal.SIGKILL:
            said = self._program_log.read_text(errors="replace")
            raise ValueError(f"the program had ended with {status} before: {said}")

    def do_memory_read(self, _index: int, offset: str, length: str) -> str:
        """memory-read OFFSET LENGTH: bytes of the shared region, in hex."""
        with self.devices.memory.open("rb") as file:
            file.seek(int(offset, 0))
            return file.read(int(length, 0)).hex()

    def do_memory_write(self, _index: int, offset: str, digits: str) -> None:
        """memory-write OFFSET HEX: change the shared region from the host."""
        with self.devices.memory.open("r+b") as file:
            file.seek(int(offset, 0))
            file.write(bytes.fromhex(digits))

    def do_memory_keep(self, _index: int) -> None:
        """memory-keep: keep a copy of the shared region, for memory-swap."""
        self.kept = self.devices.memory.read_bytes()

    def do_memory_swap(self, index: int, what: str, *changes: str) -> None:
        """memory-swap zero|kept [OFFSET HEX]...: while the guest is stopped, the shared region
        becomes zeros, or what was kept, with these changes."""
        contents = bytearray(self.kept if what == "kept" else len(self.kept))
        for offset, digits in zip(changes[::2], changes[1::2]):
            change = bytes.fromhex(digits)
            contents[int(offset, 0) : int(offset, 0) + len(change)] = change
        self.guests[index].qmp.command("stop")
        self.swapped = bytes(contents)
        with self.devices.memory.open("r+b") as file:
            file.write(self.swapped)
        self.guests[index].qmp.command("cont")

    def do_memory_same(self, _index: int, offset: str = "0", length: str = "") -> None:
        """memory-same [OFFSET LENGTH]: these bytes, or all, are as memory-swap left them."""
        start = int(offset, 0)
        end = start + int(length, 0) if length else len(self.swapped)
        pairs = zip(self.devices.memory.read_bytes()[start:end], self.swapped[start:end])
        for place, (now, then) in enumerate(pairs, start):
            if now != then:
                raise ValueError(f"the byte at {place:#x} is {now:#x}, not {then:#x}")

    def do_conforms(self, _index: int, name: str, *words: str) -> None:
        """conforms VERB JSON: this is what that verb of ivshmemctl may print."""
        json_schema.conforms(name, " ".join(words))

    def do_documented(self, _index: int, document: str, *words: str) -> None:
        """documented FILE TEXT: TEXT is a line of this file in docs/."""
        line = " ".join(words)
        if line not in (DOCUMENTS / document).read_text().splitlines():
            raise ValueError(f"not in docs/{document}: {line}")

    def do_console_mark(self, index: int) -> None:
        """console-mark: expect-log looks only at what comes after."""
        self.marks[index] = len(self.guests[index].console.read_bytes())

    def do_expect_log(self, index: int, *words: str) -> None:
        """expect-log REGEX: this must appear in the kernel log within 5 s (since the
        last console-mark, or the test's start), and is no failure."""
        pattern = " ".join(words)
        if klog.wait_match(self.guests[index].console, self.marks[index], pattern) is None:
            raise ValueError(f"not in the kernel log: {pattern}")
        self.expected[index].append(pattern)
