# SPDX-License-Identifier: GPL-2.0-only
"""The host's side of ivshmem devices: backing memory, server, QEMU arguments."""

import itertools
import os
import pathlib
import re
import subprocess
import time

import qemu
import scratch
import topology as topo

SHM = pathlib.Path("/dev/shm")
NUMBERS = itertools.count()
BRIDGE_CHASSIS = 100  # and on; root ports have the numbers from 1


class DeviceError(Exception):
    """The server did not start."""


class Devices:
    """The shared regions of one group of guests. All doorbell devices connect
    to one server, all plain ones of a size share one file, and so do polled ones."""

    def __init__(
        self,
        directory: pathlib.Path,
        topology: topo.Topology,
        server: pathlib.Path,
        ivshmemctl: pathlib.Path,
    ) -> None:
        self.directory = pathlib.Path(directory)
        self.topology = topology
        self.name = f"ivshmem-rig-{os.getpid()}-{next(NUMBERS)}"
        self.socket = self.directory / "server"
        self.server: subprocess.Popen[bytes] | None = None
        self.program = server
        self.ivshmemctl = ivshmemctl
        self.kinds = list(zip(topo.devices(topology), topo.bar_sizes(topology)))
        # In memory: on a disk a large file with many holes takes minutes.
        self.files = {
            (kind, size): os.memfd_create(self.name)
            for kind, size in self.kinds
            if kind in ("plain", "polled")
        }
        for (kind, size), file in self.files.items():
            os.truncate(file, size)
        for (kind, size), bytes_used in zip(self.kinds, topo.sizes(topology)):
            if kind == "polled":
                self._format(self._path(kind, size), bytes_used)
        scratch.at_end(self.name, self._remove)
        served = [size for kind, size in self.kinds if kind in ("doorbell", "mixed", "server")]
        if served:
            self._start_server(served[0])
        self.regions = {SHM / self.name: 0} if served else {}
        for kind, size in self.files:
            self.regions[self._path(kind, size)] = topo.LABEL_SPACE if kind == "polled" else 0

    @property
    def memory(self) -> pathlib.Path:
        """The first region, which the tests of the host's side use."""
        return next(iter(self.regions))

    def _path(self, kind: str, size: int) -> pathlib.Path:
        """Where QEMU finds the file of the devices of a kind and size."""
        return pathlib.Path(f"/proc/{os.getpid()}/fd/{self.files[kind, size]}")

    def _format(self, path: pathlib.Path, size: int) -> None:
        """Give a region a label, with polled doorbells and one partition."""
        vectors, offset = self.topology.vectors, str(topo.LABEL_SPACE)
        for command in (
            ["format", "--force", "--doorbells", vectors],
            ["partition", "add", "rig", str(size), "--offset", offset]
            + ["--first-vector", "0", "--vectors", vectors],
        ):
            done = subprocess.run(
                [self.ivshmemctl, *command, "--device", path],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise DeviceError(f"ivshmemctl {command[0]}: {done.stderr}")

    def _start_server(self, size: int) -> None:
        command = [
            self.program,
            "-F",
            "-S",
            self.socket,
            "-M",
            self.name,
            "-l",
            str(size),
            "-n",
            self.topology.vectors,
        ]
        with (self.directory / "server.log").open("wb") as log:
            server = self.server = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 10
        while not self._listening():
            if server.poll() is not None or time.monotonic() > deadline:
                said = (self.directory / "server.log").read_text()
                self.stop()
                raise DeviceError(f"ivshmem-server did not start: {said}")
            time.sleep(0.01)

    def _listening(self) -> bool:
        """Connecting would make us a peer, so ask the kernel instead: flag
        0x10000 marks a socket that accepts connections."""
        sockets = pathlib.Path("/proc/net/unix").read_text()
        return (
            re.search(rf" 00010000 .* {re.escape(str(self.socket))}$", sockets, re.M) is not None
        )

    def arguments(self, guest: int = 0) -> list[str]:
        """QEMU's arguments for the devices of one guest, in fixed slots."""
        result = []
        names = itertools.chain(self.topology.names.split(","), itertools.repeat(""))
        for index, ((kind, size), name) in enumerate(zip(self.kinds, names)):
            if kind == "server":
                continue
            place = f"addr={qemu.FIRST_SLOT + index:#x}"
            if self.topology.bridges:
                result += [
                    "-device",
                    f"pci-bridge,id=bridge{index}," f"chassis_nr={BRIDGE_CHASSIS + index},{place}",
                ]
                place = f"bus=bridge{index},addr=1"
            if name.isdigit():
                place += f",acpi-index={name}"
            elif name:
                place += f",id=named{index}"
                result += [
                    "-smbios",
                    f"type=41,designation={name},kind=other,instance={index},"
                    f"pcidev=named{index}",
                ]
            plain = kind == "mixed" and guest > 0
            if plain or (kind, size) in self.files:
                path = SHM / self.name if plain else self._path(kind, size)
                result += [
                    "-object",
                    f"memory-backend-file,id=region{index},share=on,"
                    f"mem-path={path},size={size}",
                    "-device",
                    # The master's device can be saved.
                    f"ivshmem-plain,memdev=region{index},master=on,{place}",
                ]
            else:
                result += [
                    "-chardev",
                    f"socket,id=server{index},path={self.socket}",
                    "-device",
                    f"ivshmem-doorbell,chardev=server{index},"
                    f"vectors={self.topology.vectors},{place}",
                ]
        return result

    def clear(self) -> None:
        """Every test starts with a region of zeros, but for a label and its peers."""
        for region, start in self.regions.items():
            with region.open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                file.truncate(start)
                file.truncate(size)

    def _remove(self) -> None:
        """The memory of a server that could not do so."""
        (SHM / self.name).unlink(missing_ok=True)

    def stop(self) -> None:
        if self.server:
            self.server.terminate()
            try:
                self.server.wait(5)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
            self._remove()
        scratch.done(self.name)
        for file in self.files.values():
            os.close(file)
        self.files = {}
