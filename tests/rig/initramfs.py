# SPDX-License-Identifier: GPL-2.0-only
"""The guest's root file system: a cpio archive in the "newc" form."""

import pathlib
import stat

import arches
import guest_programs

INIT = pathlib.Path(__file__).with_name("init.sh")
DIRECTORIES = ("bin", "dev", "etc", "lib", "proc", "rig", "run", "sys", "tests", "tmp")


class Archive:
    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.inode = 0

    def add(
        self, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        self.inode += 1
        path = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(path), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + path
        for part in (header, content):
            self.parts.append(part + bytes(-len(part) % 4))

    def finish(self) -> bytes:
        self.add("TRAILER!!!", 0)
        return b"".join(self.parts)


def write(path: pathlib.Path, files: dict[str, pathlib.Path], arch: str = arches.HOST) -> None:
    """Write an initramfs with busybox, the rig's init and more files, given as
    {name in the guest: path on the host}; all of them can be executed."""
    archive = Archive()
    contents = {"init": INIT, "bin/busybox": guest_programs.busybox(arch), **files}
    parents = {str(parent) for name in contents for parent in pathlib.PurePath(name).parents} - {
        "."
    }
    for name in sorted(parents.union(DIRECTORIES)):
        archive.add(name, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    for name, source in contents.items():
        archive.add(name, stat.S_IFREG | 0o755, pathlib.Path(source).read_bytes())
    pathlib.Path(path).write_bytes(archive.finish())
