# SPDX-License-Identifier: GPL-2.0-only
"""A Debian machine: a guest with systemd that boots what is on its own disk."""

import pathlib
import typing

import debian_roots
import devices
import initramfs
import klog
import qemu

BOOT_SECONDS = 600
COMMAND_SECONDS = 2400
MEMORY = "1024"


class Kernel(typing.NamedTuple):
    image: pathlib.Path
    arch: str
    instruments: tuple[str, ...] = ()


class Machine:
    """disk is booted by the kernel that its /vmlinuz names, as a boot loader
    would; packages is a second disk, seen below /media."""

    def __init__(
        self,
        directory: pathlib.Path,
        disk: pathlib.Path,
        packages: pathlib.Path | None,
        devices: devices.Devices,
        append: str = "",
    ) -> None:
        self.directory = pathlib.Path(directory)
        self.disk = disk
        self.count = 0
        self.guest: qemu.Guest | None = None
        self.devices = devices
        self.append = f"root=/dev/vda rw {append}"
        self.drives = []
        for path in filter(None, (disk, packages)):
            self.drives += ["-drive", f"file={path},format=raw,if=virtio,cache=unsafe"]

    def boot(self) -> None:
        """Start the machine and wait until systemd has started everything."""
        self.count += 1
        directory = self.directory / f"boot{self.count}"
        directory.mkdir()
        image, initrd = directory / "vmlinuz", directory / "initrd"
        debian_roots.extract(self.disk, "/vmlinuz", image)
        debian_roots.extract(self.disk, "/initrd.img", initrd)
        plain = directory / "plain.cpio"
        initramfs.write(plain, {})
        kernel = Kernel(image, "amd64")
        guest = self.guest = qemu.Guest(
            directory,
            "guest",
            kernel,
            initrd,
            qemu.accelerator(kernel, plain),
            [*self.devices.arguments(), *self.drives],
            self.append,
            mem=MEMORY,
            smp="1",
        )
        try:
            guest.start()
            guest.wait_ready(BOOT_SECONDS)
        except qemu.GuestError as error:
            log = guest.console.read_text(errors="replace")[-3000:]
            raise qemu.GuestError(f"no boot: {error}\n{log}") from error
        self.run("mountpoint -q /media || mount /media")

    def _running(self) -> qemu.Guest:
        assert self.guest, "the machine is not up"
        return self.guest

    def run(self, command: str) -> tuple[int, str]:
        """Run a shell command: (exit status, output)."""
        lines: list[str] = []
        status = self._running().run(command, qemu.patience(COMMAND_SECONDS), lines.append)
        return status, "\n".join(line for line in lines if line)

    def must(self, command: str) -> str:
        """Run a command without which the test can't go on; its output."""
        status, output = self.run(command)
        if status:
            raise qemu.GuestError(f"{command}:\n{output[-3000:]}")
        return output

    def complaints(self) -> list[str]:
        """What the kernel complained about in this boot."""
        return klog.reports(klog.between(self._running().console, 0, None))

    def down(self) -> None:
        """Shut down in an orderly way, so that the disk is whole."""
        guest = self._running()
        guest.write_line("systemctl reboot")
        try:
            guest.wait(BOOT_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        if self.guest:
            self.guest.kill()
            self.guest = None
