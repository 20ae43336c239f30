# SPDX-License-Identifier: GPL-2.0-only
"""make check-kernels: the driver on every kernel that Debian carries.

It is built for each flavour of each line by gcc and clang of the release that
the kernel is from, and the guest suite runs on each line, on x86-64 and arm64; some of
it also on the flavours with PREEMPT_RT and with pages of 16 KiB.
--kernel and --arch take some, with commas between. What came of it is put
into build/figures/kernels.md.
"""

import ending

import os
import pathlib
import shutil
import threading

import arches
import archive
import build
import kernels
import results
import run
import selection
import settings
import suite
import tap
import toolchain

# Beside other guests, emulated, everything takes long; so repeat less.
ENVIRONMENT = {"QUICK": "1", "SLOW": "5"}

# What runs on the other flavours of a line: what depends on the size of a page, and on
# interrupts that are threads. These are parts of names: race takes trace and ctl_trace, too.
FLAVOUR_TESTS = (
    "boot",
    "file",
    "ioctl",
    "mmap",
    "neighbours",
    "pages",
    "pinned",
    "poll",
    "race",
    "rebind",
    "registers",
    "reset",
    "vectors",
    "wait",
)

# One row builds at a time, as rows share toolchains, kernels and programs.
BUILDING = threading.Lock()


def lines() -> dict[tuple[str, str], archive.Archive]:
    """{(line, arch): archive}, the newest kernel of each line in any release."""
    found: dict[tuple[str, str], archive.Archive] = {}
    for arch in arches.ALL:
        for source in archive.releases(arch):
            for line, flavours in kernels.offers(source).items():
                known = found.get((line, arch))
                if known is None or age(flavours) > age(kernels.offers(known)[line]):
                    found[line, arch] = source
    return found


def age(flavours: dict[str, list[str]]) -> list[int]:
    return max(kernels.age(releases[0]) for releases in flavours.values())


def wanted() -> dict[tuple[str, str], archive.Archive]:
    """The lines that KERNEL= and ARCH= ask for, all without them, newest first."""
    names = settings.get("KERNEL").split(",")
    archs = settings.get("ARCH") or ",".join(arches.ALL)
    every = lines()
    chosen = {
        key: source
        for key, source in every.items()
        if key[1] in archs.split(",") and (names == [""] or key[0] in names)
    }
    if not chosen:
        raise archive.ArchiveError(
            "Debian has " + ", ".join(f"{line} for {arch}" for line, arch in sorted(every))
        )
    return dict(sorted(chosen.items(), key=lambda item: kernels.age(item[0][0]), reverse=True))


class Line:
    """One row: a line of kernels on one architecture."""

    def __init__(self, line: str, source: archive.Archive, writer: tap.Writer) -> None:
        self.name = f"{line} {source.arch}"
        self.line, self.source, self.writer = line, source, writer
        self.row = results.Row(line, source.arch, source.release)
        self.flavours: list[str] = []  # that KERNEL= can add to the line

    def run(self) -> None:
        try:
            with BUILDING:
                self._build()
                self._prepare()
            self._boot()
        except Exception as error:  # whatever it is, it is no pass
            reason = str(error) or repr(error)
            self.writer.fail(self.name, reason)
            self.row.guests = reason.splitlines()[0]

    def _build(self) -> None:
        """Build for every flavour, by both compilers."""
        headers = kernels.headers(self.source, self.line)
        self.flavours = kernels.named(headers, self.source.arch)
        release = next(iter(headers.values())).name[len("linux-headers-") :]
        gcc = kernels.compiler(self.source, release)
        tools = toolchain.Toolchain(self.source.release, gcc)
        self.row.gcc, self.row.clang = tools.version(gcc), tools.version("clang")
        compilers: dict[str, list[str]] = {"gcc": [], "clang": build.CLANG}
        for flavour, directory in headers.items():
            for name, arguments in compilers.items():
                problems = self._compile(
                    tools,
                    directory,
                    f"{flavour}-{name}",
                    *kernels.gcc_arguments(self.source.arch, gcc),
                    *arguments,
                )
                self.row.built(flavour, name, not problems)
                self.writer.point(
                    f"{self.line} {flavour}",
                    tap.Point(
                        not problems,
                        f"built by {name} {getattr(self.row, name)}, " "no warnings",
                        None,
                        problems,
                    ),
                )

    def _compile(
        self, tools: toolchain.Toolchain, headers: pathlib.Path, name: str, *arguments: str
    ) -> list[str]:
        """What make complains of."""
        directory = build.BUILD / "kernels" / f"{self.line}-{name}"
        shutil.rmtree(directory, ignore_errors=True)
        build.link_sources(directory)
        status, output = tools.run(
            "make",
            "-C",
            headers,
            *kernels.OVERRIDES,
            *arguments,
            "W=1",
            f"M={directory}",
            "modules",
        )
        found = output.splitlines()
        return build.warnings(found, headers) or (found[-20:] if status else [])

    def _kernel(self, flavour: str = "") -> str:
        """What KERNEL= calls a flavour of this line."""
        return f"{self.line}{flavour and '-'}{flavour}/{self.source.release}"

    def _prepare(self) -> None:
        """Have what guests of this line run; some tests want both architectures."""
        for arch in arches.ALL:
            build.module(kernels.find(self._kernel(), arch))
        for flavour in self.flavours:
            build.module(kernels.find(self._kernel(flavour), self.source.arch))

    def _boot(self) -> None:
        """The guest suite, as make check runs it; then parts of it on other flavours."""
        tests = settings.get("TESTS")
        self._run_suite("", tests)
        for flavour in self.flavours:
            self._run_suite(flavour, tests or ",".join(FLAVOUR_TESTS))

    def _run_suite(self, flavour: str, tests: str) -> None:
        environment = {
            **ENVIRONMENT,
            **os.environ,
            "ARCH": self.source.arch,
            "KERNEL": self._kernel(flavour),
            "TESTS": tests,
        }
        reader = suite.run(f"{self.name} {flavour}".strip(), environment, self.writer)
        self.row.ran(flavour, reader)


def prepare() -> None:
    """Build the programs that all rows share."""
    build.targets(["build/ivshmem-server"])
    names = [
        "static/ivshmemctl",
        *{f"guest/{test.path.stem}" for test in selection.guest_tests() if test.compiled},
    ]
    for arch in arches.ALL:
        build.programs(names, arch)


def main() -> int:
    settings.parse(__doc__, settings.SUITE)
    writer = tap.Writer()
    try:
        rows = [Line(line, source, writer) for (line, _), source in wanted().items()]
        prepare()
    except (*run.ERRORS, ValueError) as error:
        writer.fail("kernels", str(error))
        return writer.finish()

    def work(arch: str) -> None:
        for row in rows:
            if row.source.arch == arch:
                row.run()
                if not settings.get("TESTS"):  # a part is no result
                    results.write(row.row)

    threads = [threading.Thread(target=work, args=(arch,)) for arch in arches.ALL]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(results.table(row.row.data() for row in rows))
    return writer.finish()


if __name__ == "__main__":
    ending.run(main)
