# SPDX-License-Identifier: GPL-2.0-only
"""Root file systems of Debian, made once and kept in the cache directory.

A Tree is a writable view of one: what happens in it goes to a layer of its
own. Commands run in it as in a chroot, and it can become a disk for a guest.
"""

import hashlib
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import typing

import archive
import build
import cache

# What a machine has that runs a distribution's kernel and can build modules.
SYSTEM = [
    "dbus",
    "debian-archive-keyring",
    "dkms",
    "gcc",
    "initramfs-tools",
    "kmod",
    "lz4",
    "make",
    "openssl",
    "passwd",
    "systemd",
    "systemd-sysv",
    "udev",
]
DISK_SIZE = "6G"
AGENT = pathlib.Path(__file__).with_name("agent.sh")
UNIT = """[Unit]
After=multi-user.target
[Service]
Type=simple
ExecStart=/usr/sbin/rig-agent
Environment=DEBIAN_FRONTEND=noninteractive
[Install]
WantedBy=default.target
"""
FILES = {
    "etc/systemd/system/rig-agent.service": UNIT,
    "etc/fstab": "/dev/vda / ext4 defaults 0 0\nLABEL=media /media ext4 ro,nofail 0 0\n",
    "etc/hostname": "guest\n",
    # Emulated disks and processors are slow, and these only cost time.
    "etc/dpkg/dpkg.cfg.d/rig": "force-unsafe-io\n",
    "etc/initramfs-tools/conf.d/rig": "COMPRESS=lz4\nMODULES=list\n",
    "etc/initramfs-tools/modules": "ext4\ncrc32c\nvirtio_blk\nvirtio_pci\n",
}
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "man-db.timer",
    "e2scrub_all.timer",
    "dpkg-db-backup.timer",
    "fstrim.timer",
    "serial-getty@ttyS0.service",
    "getty@tty1.service",
)


class RootError(Exception):
    """What could not be set up, with what the tool said."""


def check_user(program: str) -> None:
    if os.geteuid():
        sys.exit(f"{program} makes whole systems: run it as root")


def outcome(
    command: typing.Sequence[str | pathlib.Path],
    directory: pathlib.Path | None = None,
    **changes: typing.Any,
) -> tuple[int, str]:
    """Run a command, perhaps elsewhere or otherwise: (exit status, output)."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        **changes,
    )
    return done.returncode, done.stdout


def run(
    command: typing.Sequence[str | pathlib.Path],
    error: str,
    directory: pathlib.Path | None = None,
    **changes: typing.Any,
) -> str:
    """The same; its output, or RootError with it."""
    status, output = outcome(command, directory, **changes)
    if status:
        raise RootError(f"{error}:\n{output[-3000:]}")
    return output


def copy_sources(directory: pathlib.Path) -> None:
    """Copy what git knows, as it is in the tree now, which is all that make deb looks at."""
    run(
        [
            "sh",
            "-c",
            f"cd {build.TOP} && git ls-files -z | "
            f"tar -c --null --files-from=- --ignore-failed-read | tar -xC {directory}",
        ],
        "cannot copy the sources",
    )


def kept(name: str, *what: object) -> pathlib.Path:
    """Where the cache keeps a thing of this name that is made of these."""
    digest = hashlib.sha256(repr(what).encode()).hexdigest()[:8]
    return cache.directory() / "roots" / f"{name}-{digest}"


def base(release: str, packages: typing.Iterable[str]) -> pathlib.Path:
    """The directory of a root of a release with packages, made if need be."""
    packages = sorted({*SYSTEM, *packages})
    root = kept(release, packages, FILES, MASKED, AGENT.read_text())

    def make(work: pathlib.Path) -> None:
        archive.Archive(release, "amd64").bootstrap(
            packages,
            work,
            "--mode=root",
            "--variant=apt",
            "--format=directory",
            "--dpkgopt=force-unsafe-io",
        )
        _furnish(work)

    return cache.made(root, make)


def _furnish(root: pathlib.Path) -> None:
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    shutil.copy(AGENT, root / "usr/sbin/rig-agent")
    units = root / "etc/systemd/system"
    (units / "default.target.wants").mkdir(exist_ok=True)
    (units / "default.target.wants/rig-agent.service").symlink_to("../rig-agent.service")
    for name in MASKED:
        (units / name).symlink_to("/dev/null")
    run(
        [
            "unshare",
            "--mount",
            "sh",
            "-c",
            f"mount --bind /proc {root}/proc && " f"chroot {root} update-initramfs -u -k all",
        ],
        "no initramfs",
    )


class Tree:
    """A writable view of a root. What is written stays in directory."""

    def __init__(self, lower: pathlib.Path, directory: pathlib.Path) -> None:
        self.lower = lower
        self.upper = directory / "upper"
        self.merged = directory / "merged"
        self.mount = (
            f"mount -t overlay tree -o lowerdir={lower},upperdir={self.upper},"
            f"workdir={directory / 'work'} {self.merged}"
        )
        self.binds = [
            f"mount --rbind /{name} {self.merged}/{name}" for name in ("proc", "sys", "dev")
        ]
        for path in (self.upper, directory / "work", self.merged):
            path.mkdir(parents=True)

    def around(self, *commands: str) -> tuple[int, str]:
        """Run shell commands beside the tree, which is mounted at merged where
        nobody else sees it: (exit status, output)."""
        script = " && ".join([self.mount, *commands])
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script],
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return done.returncode, done.stdout

    def run(self, command: str) -> tuple[int, str]:
        """Run a shell command in the tree: (exit status, output)."""
        inner = f"export LC_ALL=C DEBIAN_FRONTEND=noninteractive; {command}"
        return self.around(*self.binds, f"chroot {self.merged} sh -c {shlex.quote(inner)}")

    def must(self, command: str) -> str:
        """Run a command that only fails when the test itself can't go on."""
        status, output = self.run(command)
        if status:
            raise RootError(f"{command}:\n{output[-3000:]}")
        return output

    def copy_in(self, files: typing.Iterable[pathlib.Path], place: str) -> None:
        """Copy files of the host to a directory of the tree."""
        target = self.upper / place
        target.mkdir(parents=True, exist_ok=True)
        for path in files:
            shutil.copy(path, target)

    def disk(self, path: pathlib.Path) -> None:
        """Make a disk image of the tree."""
        status, output = self.around(
            f"mke2fs -q -t ext4 -d {self.merged} {shlex.quote(str(path))} {DISK_SIZE}"
        )
        if status:
            raise RootError(f"no disk:\n{output}")


def media(path: pathlib.Path, directory: pathlib.Path) -> None:
    """Make a disk image labelled media of a directory."""
    run(
        ["mke2fs", "-q", "-t", "ext4", "-L", "media", "-d", directory, path, "1G"],
        "no disk of packages",
    )


def file_of(disk: pathlib.Path, name: str) -> str:
    """Where a symbolic link of a disk points to, as a path on that disk."""
    output = run(["debugfs", "-R", f"stat {name}", disk], f"cannot read {disk}")
    for line in output.splitlines():
        if line.startswith("Fast link dest:"):
            return "/" + line.split('"')[1].lstrip("/")
    return name


def extract(disk: pathlib.Path, name: str, target: pathlib.Path) -> None:
    """Copy a file out of a disk that no guest uses."""
    run(["debugfs", "-R", f"dump {file_of(disk, name)} {target}", disk], f"cannot read {disk}")
    if not pathlib.Path(target).stat().st_size:
        raise RootError(f"{disk} has no {name}")
