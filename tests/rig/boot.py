# SPDX-License-Identifier: GPL-2.0-only
"""One boot: the guests of a topology, up and ready, and tests run in them."""

import pathlib
import shlex
import shutil
import tempfile
import threading
import typing

import build
import devices
import emulator
import firmware
import initramfs
import kernel_reports
import kernels
import klog
import network
import qemu
import qmp
import scratch
import selection
import selftests
import settings
import tap
import topology as topo
import guest_programs
import verbs

MODULE_SECONDS = 60
REPORT_SECONDS = 120
BOOTS_AGAIN = 2
POWERED_OFF = "reboot: Power down"
REPLACED = ("window", "memory")  # transports that replace_devices.sh brings
HAS_SLOT = """for i in /sys/class/ivshmem/*/id; do
    until [ "$(cat "${i%/id}/vectors")" = 0 ] || ! grep -q unknown "$i"; do sleep 0.1; done
done"""

T = typing.TypeVar("T")


class Setup:
    """What all guests of one architecture have in common in a run."""

    def __init__(
        self,
        kernel: kernels.Kernel,
        modules: list[pathlib.Path],
        programs: dict[str, pathlib.Path],
        others: typing.Sequence["Setup"] = (),
    ) -> None:
        self.kernel = kernel
        self.modules = modules  # of the driver
        self.programs = programs  # {name in the guest: path}
        self.others = others  # setups of other architectures
        self.directory = scratch.directory("ivshmem-rig-")
        plain = self.directory / "plain.cpio"
        initramfs.write(plain, {}, kernel.arch)
        self.accel = qemu.accelerator(kernel, plain)

    def of(self, arch: str) -> "Setup":
        """The setup of an architecture."""
        return next(setup for setup in (self, *self.others) if setup.kernel.arch == arch)

    def arches(self, topology: topo.Topology) -> list[str]:
        """The architecture of each guest of a topology."""
        return (
            topology.arches.split(",")
            if topology.arches
            else [self.kernel.arch] * int(topology.guests)
        )

    def image(
        self, topology: topo.Topology, tests: typing.Sequence[selection.Test], path: pathlib.Path
    ) -> list[str]:
        """Write the initramfs of a topology's guests with some tests in it. Return
        the names of the kernel's modules to load, in order."""
        arch = self.kernel.arch
        modules = [*topology.modules.split(","), "configfs" if topology.over in REPLACED else ""]
        if int(topology.nets):
            modules += network.modules()
        extra = build.kernel_modules(
            self.kernel, filter(None, modules), path.with_suffix(".modules")
        )
        files = dict(self.programs)
        for name in filter(None, topology.programs.split(",")):
            files.update(guest_programs.program(name, arch))
        if int(topology.nets):
            files.update(guest_programs.of_packages(network.PROGRAMS, arch))
            if self.kernel.instruments:
                files.update(selftests.programs(self.kernel.modules))
        files.update({f"lib/{file.name}": file for file in [*self.modules, *extra]})
        files.update({f"tests/{test.name}": test.program(arch) for test in tests})
        initramfs.write(path, files, arch)
        return [file.name for file in extra]

    def close(self) -> None:
        for setup in (self, *self.others):
            scratch.remove(setup.directory)


class NoBoot(qemu.GuestError):
    """A guest did not come up; nothing of ours has run in it yet."""


def again(boots: typing.Callable[[], T]) -> T:
    """Do what boots guests. An emulated one crashes now and then while its kernel
    patches itself at boot, long before the driver is there: then again, twice at
    most."""
    for _ in range(BOOTS_AGAIN):
        try:
            return boots()
        except NoBoot as error:
            tap.say(f"# booting again: {str(error).splitlines()[0]}")
    return boots()


def start(setup: Setup, topology: topo.Topology, tests: typing.Sequence[selection.Test]) -> "Boot":
    """A Boot."""
    return again(lambda: Boot(setup, topology, tests))


class Boot:
    """The guests of one topology with the files of some tests in them."""

    def __init__(
        self, setup: Setup, topology: topo.Topology, tests: typing.Sequence[selection.Test]
    ) -> None:
        self.topology = topology
        self.count = 0
        self.guests: list[qemu.Guest] = []
        self.modules: list[list[str]] = []  # of the kernel, in each guest
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=setup.directory))
        self.devices = devices.Devices(
            self.directory,
            topology,
            build.BUILD / "ivshmem-server",
            build.BUILD / "static/ivshmemctl",
        )
        try:
            self._start(setup, tests)
        except BaseException:
            self.stop()
            raise

    def _start(self, setup: Setup, tests: typing.Sequence[selection.Test]) -> None:
        topology = self.topology
        arches = setup.arches(topology)
        mapped = sum(topo.bar_sizes(topology))
        images = {arch: self.directory / f"{arch}.cpio" for arch in arches}
        modules = {
            arch: setup.of(arch).image(topology, tests, path) for arch, path in images.items()
        }
        for index, arch in enumerate(arches):
            own = setup.of(arch)
            mem = own.kernel.memory(topology.mem, mapped)
            hardware = [
                *self.devices.arguments(index),
                *self._hardware(index, mem),
                *firmware.arguments(topology, arch, qemu.binary(own.kernel.arch), self.directory),
            ]
            program = emulator.command(arch) if topology.newqemu else None
            guest = qemu.Guest(
                self.directory,
                f"guest{index}",
                own.kernel,
                images[arch],
                own.accel,
                hardware,
                " ".join([topology.append, own.kernel.append, settings.get("APPEND")]),
                topology.machine,
                mem,
                topology.smp,
                topology.turns,
                program,
            )
            self.guests.append(guest)
            guest.start()
        for guest, arch in zip(self.guests, arches):
            self.modules.append(modules[arch])
            self._prepare(guest, modules[arch])

    def _prepare(self, guest: qemu.Guest, modules: list[str]) -> None:
        """Wait until a guest is up, and load what it shall have."""
        topology = self.topology
        commands = [f"insmod /lib/{name}" for name in modules]
        if topology.insmod == "yes":
            commands.append(f"insmod /lib/ivshmem.ko {topology.modargs}")
        if topology.over in REPLACED:
            sizes = [
                str(size)
                for kind, size in zip(topo.devices(topology), topo.sizes(topology))
                if kind != "server"
            ]
            commands.append(" ".join(["replace_devices", topology.over, topology.vectors, *sizes]))
        if "polled" in topo.devices(topology) and topology.insmod == "yes":
            commands.append(HAS_SLOT.replace("\n", " "))
        failure: type[qemu.GuestError] = NoBoot
        try:
            guest.wait_ready()
            failure = qemu.GuestError
            self._commands(guest, commands)
        except qemu.GuestError as error:
            log = guest.console.read_text(errors="replace")[-3000:]
            raise failure(f"{guest.name} did not come up: {error}\n{log}") from error

    def restart(self, index: int) -> None:
        """Kill one guest as a loss of power would, and boot it again."""
        self.guests[index].kill()
        self.guests[index].start()
        self._prepare(self.guests[index], self.modules[index])

    def _hardware(self, index: int, mem: str) -> list[str]:
        """What the topology wants of QEMU for one guest: {guest} and {other} are the
        numbers of the two; guest 0 listens to the other, with {server} for netdevs
        and {listen} for chardevs. {half} is half of the guest's MiB."""
        return network.hardware(int(self.topology.nets), index) + shlex.split(
            self.topology.qemu.format(
                half=int(mem) // 2,
                guest=index,
                other=1 - index,
                directory=self.directory,
                server="off" if index else "on",
                listen="server=off" if index else "server=on,wait=off",
            )
        )

    @staticmethod
    def _commands(guest: qemu.Guest, commands: list[str]) -> None:
        for command in commands:
            output: list[str] = []
            if guest.run(command, qemu.patience(MODULE_SECONDS), output.append):
                raise qemu.GuestError("\n".join([f"{command} failed", *output]))

    def run(self, test: selection.Test, writer: tap.Sink) -> bool:
        """Run one test in all guests at once and write its points. Return
        whether the guests are fit for another test."""
        self.count += 1
        if self.count > 1:
            self.devices.clear()
        starts = [self._mark(guest, "begin") for guest in self.guests]
        requests = verbs.Verbs(
            self.guests,
            self.devices,
            [start or 0 for start in starts],
            test.timeout,
            test.host_program,
        )
        alive = [False] * len(self.guests)

        def work(index: int) -> None:
            try:
                alive[index] = self._run_in(index, test, requests, writer)
            except Exception as error:  # whatever it is, it is no pass
                writer.fail(self._name(index, test), repr(error))

        threads = [
            threading.Thread(target=work, args=(index,)) for index in range(len(self.guests))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        healthy = all(alive)
        for index, start in enumerate(starts):
            healthy = (
                self._judge_log(index, test, start, requests, alive[index], writer) and healthy
            )
        try:
            requests.close()
        except qmp.QmpError as error:
            writer.fail(test.name, str(error))
            return False
        return healthy

    def _name(self, index: int, test: selection.Test) -> str:
        return test.name if len(self.guests) == 1 else f"{test.name}[{index}]"

    @staticmethod
    def _settings() -> str:
        """What was said to the rig that tests want to know, as RIG_NAME."""
        return "".join(
            f"export RIG_{name}={shlex.quote(settings.get(name))}; "
            for name in ("QUICK", "CYCLES", "OPERATIONS", "SEED", "NET")
        )

    def _mark(self, guest: qemu.Guest, word: str) -> int | None:
        """Put a mark into the kernel log; the place right after it."""
        mark = f"rig: {word} {self.count}"
        try:
            guest.run(f"echo '<6>{mark}' >/dev/kmsg", 10)
        except qemu.GuestError:
            return None
        return klog.wait_match(guest.console, 0, rf"{mark}\b")

    def _run_in(
        self, index: int, test: selection.Test, requests: verbs.Verbs, writer: tap.Sink
    ) -> bool:
        """Run a test in one guest; whether the guest is still there."""
        name = self._name(index, test)
        reader = tap.Reader()

        def on_line(line: str) -> str | None:
            if line.startswith("@rig "):
                return requests.answer(index, line[len("@rig ") :])
            writer.take(name, reader, line)
            return None

        command = (
            f"cd /tmp; export RIG_GUEST={index} RIG_GUESTS={len(self.guests)} "
            f"RIG_OVER={self.topology.over} RIG_VARIANT={self.topology.variants} "
            f"RIG_DEVICE=/dev/ivshmem0{'p1' if self.topology.over == 'polled' else ''}; "
            f"{self._settings()}"
            f"exec /tests/{test.name}"
        )
        try:
            status = self.guests[index].run(command, test.timeout, on_line)
        except qemu.GuestError as error:
            console = self.guests[index].console
            if index in requests.killed or (
                index in requests.powered_off and klog.wait_match(console, 0, POWERED_OFF)
            ):
                writer.judge(name, reader, 0)
                return False
            log = klog.between(console, 0, None)[-15:]
            writer.fail(name, "\n".join([str(error).strip(), *reader.notes[-20:], *log]))
            return False
        finally:
            requests.leave()
        writer.judge(name, reader, status)
        return True

    def _judge_log(
        self,
        index: int,
        test: selection.Test,
        start: int | None,
        requests: verbs.Verbs,
        alive: bool,
        writer: tap.Sink,
    ) -> bool:
        """Write a failure if the kernel complained; whether it did not."""
        guest = self.guests[index]
        end = self._mark(guest, "end") if alive else None
        lines = klog.between(guest.console, start or 0, end)
        found = klog.reports(lines, requests.expected[index])
        if found:
            writer.fail(self._name(index, test), "\n".join(["the kernel complained", *found]))
        return not found

    def log(self) -> list[str]:
        """What the guests' kernels have said."""
        return [
            line
            for guest in self.guests
            for line in [f"{guest.name}:", *klog.between(guest.console, 0, None)]
        ]

    def finish(self, name: str, writer: tap.Sink) -> None:
        """After the last test of healthy guests: what a kernel that watches has to
        say about all of them."""
        for guest in self.guests:
            if guest.watches:
                try:
                    kernel_reports.take(guest, name, writer, qemu.patience(REPORT_SECONDS))
                except qemu.GuestError as error:
                    writer.fail(name, f"at the end: {error}")

    def stop(self) -> None:
        for guest in self.guests:
            guest.kill()
        self.devices.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
