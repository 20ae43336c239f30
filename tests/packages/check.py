# SPDX-License-Identifier: GPL-2.0-only
"""make check-packages: the packages on real systems, with the real tools.

Two run at once, most of them guests.
"""

import ending

import concurrent.futures
import pathlib
import shutil
import tempfile
import time
import traceback

import advice
import archive
import build
import builds
import built_packages
import checked_system
import chroots
import debian
import debian_roots
import devices
import files
import first_run
import logins
import qemu
import qmp
import repositories
import rpms
import scratch
import selection
import settings
import strays
import tap
import topology

ERRORS = (
    archive.ArchiveError,
    build.BuildError,
    devices.DeviceError,
    qemu.GuestError,
    qmp.QmpError,
    debian_roots.RootError,
)
TOPOLOGY = {**topology.DEFAULTS, "devices": "doorbell,plain", "names": "front,"}

# The longest first.
TESTS: dict[str, checked_system.Test] = {
    "debian-12": debian.life("bookworm", used=False),
    "debian-13": debian.life("trixie", used=True),
    "debian-11": debian.boots("bullseye"),
    "debian-sid": debian.boots("sid"),
    "dnf": rpms.life,
    "logins": logins.ssh,
    **first_run.TESTS,
    "repositories": repositories.life,
    "builds": builds.check,
    "files": files.check,
    "dnf-qemu": rpms.with_qemu,
    "lost-sources": strays.lost,
    "copies": strays.copies,
    "headers": chroots.headers,
    "gone-kernel": chroots.gone,
    "advice": advice.check,
    "failing-build": chroots.failing_build,
    "by-hand": chroots.by_hand,
    "signing": chroots.signing,
    "leftovers": chroots.leftovers,
    "autopkgtests": chroots.autopkgtests,
}


def hardware(directory: pathlib.Path) -> devices.Devices:
    """Devices for the guests of one test: what other guests do must not touch them."""
    own = directory / "devices"
    own.mkdir()
    return devices.Devices(
        own,
        topology.Topology(**{key: TOPOLOGY[key] for key in topology.Topology._fields}),
        build.BUILD / "ivshmem-server",
        build.BUILD / "static/ivshmemctl",
    )


def perform(name: str, writer: tap.Sink, top: pathlib.Path, again: bool = True) -> None:
    """One test, in a directory of its own. QEMU 7.2 corrupts its own memory now and
    then: then all of it once more."""
    start = time.monotonic()
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=top))
    print(f"# {name}", flush=True)
    own = None
    try:
        own = hardware(directory)
        TESTS[name](directory, checked_system.Checks(name, writer), own)
    except ERRORS as error:
        if again and "QEMU was killed by signal" in str(error):
            print("# once more:", " ".join(str(error).split()), flush=True)
            perform(name, writer, top, again=False)
        else:
            writer.fail(name, str(error))
    except Exception:  # whatever it is, it is no pass
        writer.fail(name, traceback.format_exc())
    finally:
        if own:
            own.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(f"# {name}: {time.monotonic() - start:.0f} s", flush=True)


def perform_all(names: list[str], writer: tap.Sink, top: pathlib.Path) -> None:
    for number in (built_packages.version(), built_packages.next_version()):
        built_packages.make("deb", number)
    build.targets(["build/ivshmem-server"])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name in names:
            pool.submit(perform, name, writer, top)


def main() -> int:
    settings.parse(__doc__, ("TESTS", *settings.MACHINE))
    debian_roots.check_user("make check-packages")
    writer = tap.Writer()
    top = scratch.directory("ivshmem-packages-", "/var/tmp")
    try:
        perform_all([name for name in TESTS if selection.selected(name)], writer, top)
    except ERRORS as error:
        writer.fail("packages", str(error))
    return writer.finish()


if __name__ == "__main__":
    ending.run(main)
