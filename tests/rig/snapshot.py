# SPDX-License-Identifier: GPL-2.0-only
"""A snapshot of a running guest, as QEMU keeps it in an image.

The regions are not in it: they belong to all machines, and go on meanwhile.
"""

import pathlib

import qemu
import qmp

NODE = "snapshot"
FILE = "snapshot-file"
SECONDS = 60


class Snapshot:
    """One snapshot of a guest, whose devices have master=on: others QEMU does not save."""

    def __init__(self, guest: qemu.Guest) -> None:
        self.guest = guest
        self._make_image(guest.directory / f"{guest.name}.snapshot")
        guest.qmp.command(
            "migrate-set-capabilities",
            {"capabilities": [{"capability": "x-ignore-shared", "state": True}]},
        )
        self._of_image("snapshot-save")

    def _make_image(self, path: pathlib.Path) -> None:
        """Of qcow2, which can have snapshots. The disk in it has nothing to keep."""
        for node, options in (
            (FILE, {"driver": "file", "filename": str(path), "size": 0}),
            (NODE, {"driver": "qcow2", "file": FILE, "size": 1 << 20}),
        ):
            self._job("blockdev-create", {"options": options})
            options.pop("size")
            self.guest.qmp.command("blockdev-add", {**options, "node-name": node})

    def restore(self) -> None:
        """Set the guest back, stopped as it must be."""
        self._of_image("snapshot-load")

    def _of_image(self, command: str) -> None:
        self._job(command, {"tag": "only", "vmstate": NODE, "devices": [NODE]})

    def _job(self, command: str, arguments: qmp.Message) -> None:
        monitor = self.guest.qmp
        monitor.command(command, {**arguments, "job-id": command})
        monitor.wait_event(
            "JOB_STATUS_CHANGE", qemu.patience(SECONDS), id=command, status="concluded"
        )
        errors = [
            job.get("error") for job in monitor.command("query-jobs") if job["id"] == command
        ]
        monitor.command("job-dismiss", {"id": command})
        if any(errors):
            raise qmp.QmpError(f"{command}: {errors[0]}")
