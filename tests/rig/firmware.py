# SPDX-License-Identifier: GPL-2.0-only
"""What a guest's firmware describes beside QEMU's own devices: the rig word
firmware=NAME, where tests/guest/NAME.dts is an overlay of the device tree, or
NAME.asl a table of ACPI."""

import pathlib
import subprocess

import arches
import topology as topo

TESTS = pathlib.Path(__file__).resolve().parents[1] / "guest"
PROGRAMS = {".dts": ["dtc", "fdtoverlay"], ".asl": ["iasl"]}


class FirmwareError(Exception):
    """It cannot be compiled."""


def programs(name: str) -> list[str]:
    """What compiles it."""
    return PROGRAMS[pathlib.Path(name).suffix] if name else []


def _run(*command: str | pathlib.Path) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        raise FirmwareError(f"{command[0]}: {done.stdout[-2000:]}")


def arguments(topology: topo.Topology, arch: str, qemu: str, directory: pathlib.Path) -> list[str]:
    """QEMU's arguments for what the topology says."""
    if not topology.firmware:
        return []
    source = TESTS / topology.firmware
    target = directory / source.stem
    if source.suffix == ".asl":
        _run("iasl", "-p", target, source)
        return ["-acpitable", f"file={target}.aml"]
    machine = arches.ALL[arch]
    own, overlay, merged = (target.with_suffix(suffix) for suffix in (".own", ".dtbo", ".dtb"))
    _run(
        qemu,
        "-machine",
        f"{machine.machine},dumpdtb={own}",
        "-cpu",
        machine.cpu["tcg"],
        "-smp",
        topology.smp,
        "-m",
        topology.mem,
        "-display",
        "none",
    )
    _run("dtc", "-q", "-O", "dtb", "-o", overlay, source)
    _run("fdtoverlay", "-i", own, "-o", merged, overlay)
    return ["-dtb", str(merged)]
