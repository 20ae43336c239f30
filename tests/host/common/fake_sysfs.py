# SPDX-License-Identifier: GPL-2.0-only
"""Devices that a program finds in sysfs though there are none."""

import pathlib
import subprocess


def fake_sysfs(directory: pathlib.Path) -> tuple[str, ...] | None:
    """What runs a program where /sys/class is @directory and there are no servers, or None
    where that can't be done."""
    prefix = (
        "unshare",
        "--mount",
        "--net",
        "sh",
        "-c",
        f'mount --bind {directory} /sys/class && exec "$@"',
        "sh",
    )
    if subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        return None
    return prefix


def fake_device(
    directory: pathlib.Path, name: str, interrupts: list[int], **attributes: object
) -> None:
    device = directory / "ivshmem" / name
    (device / "interrupts").mkdir(parents=True)
    for vector, count in enumerate(interrupts):
        (device / "interrupts" / str(vector)).write_text(f"{count}\n")
    attributes = {"vectors": len(interrupts), **attributes}
    for attribute, value in attributes.items():
        (device / attribute).write_text(f"{value}\n")
    (device / "device").symlink_to("../../../devices/pci0000:00/0000:00:05.0")
