# SPDX-License-Identifier: GPL-2.0-only
"""What a run can be told: by an argument (--tests), or else by an environment variable
(TESTS). make passes on both the environment and its own variables.

parse() puts the arguments into the environment, where all that the rig starts sees them,
and sees to it that programs are found there.
"""

import argparse
import os
import typing


class Setting(typing.NamedTuple):
    metavar: str  # empty: a switch
    check: typing.Callable[[str], object]
    help: str


def number(text: str) -> int:
    return int(text, 0)


ALL = {
    "TESTS": Setting("PATTERN,...", str, "tests whose names contain or match one of these"),
    "KERNEL": Setting("LINE", str, "the guests' kernel: 6.12, 6.12/trixie, 6.12-rt, kasan"),
    "ARCH": Setting("ARCH", str, "the guests' architecture: amd64 (the default), arm64"),
    "QUICK": Setting("", str, "repeat less what is repeated very often"),
    "SLOW": Setting("FACTOR", float, "allow everything so many times as long"),
    "APPEND": Setting("WORDS", str, "more for the guests' kernel command line"),
    "CYCLES": Setting("N", number, "how often devices come and go"),
    "OPERATIONS": Setting("N", number, "how many operations the fuzzers try"),
    "SEED": Setting("N", number, "the order that chance decided in an earlier run"),
    "NET": Setting("KIND", str, "virtio: try the tests of networks over QEMU's"),
    "QEMU": Setting("PROGRAM", str, "the emulator, instead of Debian's"),
    "IVSHMEM_CACHE": Setting("DIRECTORY", str, "where kernels are kept: ~/.cache/ivshmem"),
    "SECONDS": Setting("N", float, "how long the load lasts"),
    "KILL_SECONDS": Setting("N", float, "how long until a guest is killed, each time"),
    "INTERACTIVE": Setting("", str, "a shell in each guest, instead of the demo"),
}
# What each program that boots guests can be told.
MACHINE = ("KERNEL", "ARCH", "SLOW", "APPEND", "QEMU", "IVSHMEM_CACHE")
SUITE = ("TESTS", *MACHINE, "QUICK", "CYCLES", "OPERATIONS", "SEED", "NET")


def get(name: str) -> str:
    """What a setting is, empty if nothing was said."""
    return os.environ.get(name, "")


def parse(
    description: str | None, names: typing.Iterable[str], parts: typing.Sequence[str] = ()
) -> str:
    """Take the program's arguments; which of its parts to run, the first by default. An
    unknown argument ends the program."""
    parser = argparse.ArgumentParser(
        description=description,
        allow_abbrev=False,
        epilog="An environment variable with an option's name in capitals is its default.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if parts:
        parser.add_argument(
            "part", nargs="?", choices=parts, default=parts[0], help="what to run (%(default)s)"
        )
    for name in names:
        setting = ALL[name]
        words: dict = (
            {"action": "store_const", "const": "1"}
            if not setting.metavar
            else {"metavar": setting.metavar, "type": setting.check}
        )
        option = name.removeprefix("IVSHMEM_").lower().replace("_", "-")
        parser.add_argument(
            f"--{option}", dest=name, help=setting.help, default=get(name) or None, **words
        )
    arguments = vars(parser.parse_args())
    part = arguments.pop("part", "")
    # depmod and others are there, and not in the PATH of Debian's users.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for name, value in arguments.items():
        if value is not None:
            os.environ[name] = str(value)
    return part
