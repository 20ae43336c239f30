# SPDX-License-Identifier: GPL-2.0-only
"""Kernels to test with: KERNEL=6.12 becomes an image, modules and headers.

The kernel comes from the first release of Debian that carries that line, unpacked
in the cache directory and fixed up so that modules build against it with the
host's compiler. KERNEL=6.12/trixie is that of the named release, and modules for
it are built by that release's compiler, as are all of another architecture and
release than the host's. KERNEL=6.12-rt and 6.12-16k are flavours of that line.
KERNEL=kasan is a kernel of our own: see debugkernel.py. Run as a program, prints how to
build against one.
"""

import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import typing

import arches
import archive
import cache
import debugkernel
import settings

DEFAULT = "6.12"
# What a path must not have, as in the top Makefile.
UNFIT = re.compile(r"[\s:'\"$%&;*?()\\,]")
# {line: {flavour: releases}}
Offers = dict[str, dict[str, list[str]]]
# What KERNEL= can add to a line, as Debian names the flavour of an architecture. Without
# any it is the flavour for virtual machines where there is one.
FLAVOURS = {"rt": "rt-{arch}", "16k": "{arch}-16k"}
USUAL = ("cloud-{arch}", "{arch}")

# There is no vmlinux to take type information from, and a compiler older than the
# one that built the kernel may lack an option. Ftrace of arm64 needs that one.
OVERRIDES = ["CONFIG_DEBUG_INFO_BTF_MODULES="]
OLDER_COMPILER = ["CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT="]


class Kernel(typing.NamedTuple):
    line: str
    arch: str
    release: str
    image: pathlib.Path
    modules: pathlib.Path
    headers: pathlib.Path
    # The release of Debian and its gcc that modules are built with, unless by the host's.
    toolchain: tuple[str, str] | None = None
    instruments: tuple[str, ...] = ()  # more arguments for make, for a kernel that watches
    instead: str = ""  # says that it is not of this machine's release, and why
    append: str = ""  # more for its command line

    def __str__(self) -> str:
        """What to call it before users: another release's is never taken in silence."""
        return f"{self.release} {self.instead}".rstrip()

    def memory(self, mib: str, mapped: int) -> str:
        """The MiB that a guest gets which is to have so many for itself: watching takes
        some, and KASAN an eighth of what is mapped, the regions too."""
        if not self.instruments:
            return mib
        return str(int(mib) + debugkernel.MEMORY + (mapped >> 23))


def make_arguments(kernel: Kernel) -> list[str]:
    """Arguments for make that build modules for a kernel."""
    _, gcc = kernel.toolchain or (None, "gcc")
    return [
        "-C",
        str(kernel.headers),
        *OVERRIDES,
        *([] if kernel.toolchain else OLDER_COMPILER),
        *gcc_arguments(kernel.arch, gcc),
        *kernel.instruments,
    ]


def gcc_arguments(arch: str, gcc: str) -> list[str]:
    """Arguments for make that name the compiler."""
    cross = arches.make_arguments(arch)
    prefix = f"{arches.ALL[arch].triplet}-" if cross else ""
    return [*cross, f"CC={prefix}{gcc}", f"HOSTCC={gcc}"]


def offers(source: archive.Archive) -> Offers:
    """The kernels that an archive lists headers of, as {line: {flavour: releases}},
    the newest first; flavours as Debian names them: amd64, cloud-amd64, rt-amd64."""
    pattern = re.compile(
        r"linux-headers-((\d+\.\d+)\.\d\S*?" rf"-((?:[a-z]+-)?{source.arch}(?:-\w+)?))"
    )
    found: Offers = collections.defaultdict(lambda: collections.defaultdict(list))
    for match in filter(None, map(pattern.fullmatch, source.names())):
        release, line, flavour = match.groups()
        found[line][flavour].append(release)
        found[line][flavour].sort(key=age, reverse=True)
    return found


def is_served(source: archive.Archive, release: str) -> bool:
    """Are headers and image on the mirror? The image is signed, which takes some days
    longer, and since 7.x it is a package of another name."""
    images = [
        name
        for name in (f"linux-binary-{release}", f"linux-image-{release}")
        if name in source.names()
    ]
    return bool(images) and all(map(source.serves, [f"linux-headers-{release}", images[0]]))


def _served(source: archive.Archive, line: str) -> dict[str, str]:
    """The newest kernels of a line that are on the mirror: {flavour: release}."""
    found = {
        flavour: next((release for release in releases if is_served(source, release)), None)
        for flavour, releases in sorted(offers(source)[line].items())
    }
    return {flavour: release for flavour, release in found.items() if release}


def newest(source: archive.Archive, line: str) -> dict[str, str]:
    """The same, after a look at a newer index if this one lists what is not there, or not
    this line at all."""
    found = _served(source, line)
    listed = {flavour: releases[0] for flavour, releases in offers(source)[line].items()}
    if (not found or found != listed) and source.renew():
        found = _served(source, line)
    return found


def age(release: str) -> list[int]:
    """What sorts the releases of one flavour, the newest last."""
    return [int(number) for number in re.findall(r"\d+", release)]


def find(name: str, arch: str = "amd64") -> Kernel:
    """The kernel of a line such as "6.12", fetched if it is not cached."""
    if name in debugkernel.NAMES and arch == debugkernel.ARCH:
        tree = debugkernel.find(name, DEFAULT)
        return Kernel(
            DEFAULT,
            arch,
            debugkernel.release(tree),
            tree / debugkernel.IMAGE,
            tree,
            tree,
            None,
            debugkernel.INSTRUMENTS,
            append=debugkernel.APPEND.get(name, ""),
        )
    wanted = re.fullmatch(rf"(\d+\.\d+)(?:-({'|'.join(FLAVOURS)}))?(?:/(\w+))?", name)
    if not wanted:
        raise archive.ArchiveError(
            f"KERNEL={name}: give a line such as {DEFAULT}, or {DEFAULT}/trixie, "
            f"a flavour of it such as {' or '.join(f'{DEFAULT}-{one}' for one in FLAVOURS)}, "
            f"or for amd64 {' or '.join(debugkernel.NAMES)}"
        )
    line, flavour, codename = wanted.groups()
    root = cache.directory() / "kernels" / f"{name.replace('/', '-')}-{arch}"
    if UNFIT.search(str(root)):
        raise archive.ArchiveError(
            f"the kernel's makefiles cannot work in {root.parent}: have IVSHMEM_CACHE= name "
            "a directory without blanks and special characters"
        )
    with cache.locked(root):
        if not (root / "kernel.json").exists():
            sources = [archive.Archive(codename, arch)] if codename else archive.releases(arch)
            names = [FLAVOURS[flavour]] if flavour else USUAL
            _fetch(*_search(line, [name.format(arch=arch) for name in names], sources), root)
    facts = json.loads((root / "kernel.json").read_text())
    instead = "" if codename else _instead(line, facts["origin"])
    if instead:
        print(f"# kernel {facts['release']} {instead}", file=sys.stderr)
    if not codename and arch != arches.HOST and facts["origin"] != archive.host_release():
        codename = facts["origin"]
    return Kernel(
        line,
        arch,
        facts["release"],
        root / facts["image"],
        root / facts["modules"],
        root / facts["headers"],
        (codename, facts["gcc"]) if codename else None,
        instead=instead,
    )


def _instead(line: str, origin: str) -> str:
    """What is to be said of a kernel of a release that nobody asked for."""
    host = archive.host_release()
    if origin == host or host not in archive.RELEASES:
        return ""
    return f"of {origin}, because {host} serves no {line} kernel"


def named(flavours: typing.Container[str], arch: str) -> list[str]:
    """What KERNEL= adds to a line for those of Debian's flavours that it can name."""
    return [name for name, debian in FLAVOURS.items() if debian.format(arch=arch) in flavours]


def plain(name: str) -> str:
    """The same kernel without its flavour, which another architecture may not have."""
    return re.sub(rf"-({'|'.join(FLAVOURS)})\b", "", name)


def _search(
    line: str, flavours: typing.Sequence[str], sources: typing.Iterable[archive.Archive]
) -> tuple[archive.Archive, str]:
    """The archive that has the line, and the newest release string in it: of the
    first of these flavours that there is."""
    for source in sources:
        print(f"# looking for a {line} kernel in {source.release}", file=sys.stderr)
        found = newest(source, line)
        for flavour in flavours:
            if flavour in found:
                return source, found[flavour]
    raise archive.ArchiveError(
        f"no Debian release carries a {line} kernel of flavour {' or '.join(flavours)} "
        f"(tried {', '.join(archive.RELEASES)})"
    )


def header_packages(source: archive.Archive, release: str) -> tuple[list[str], list[str]]:
    """The packages to build modules with: (of the kernel's architecture, of
    this machine's, whose programs run here)."""
    headers = f"linux-headers-{release}"
    needs = source.depends(headers)
    return (
        [headers, *(name for name in needs if name.startswith("linux-headers-"))],
        [name for name in needs if name.startswith("linux-kbuild-")],
    )


def _unpack(source: archive.Archive, release: str, root: pathlib.Path) -> None:
    """7.x splits the image."""
    headers, build = header_packages(source, release)
    image = [f"linux-{part}-{release}" for part in ("image", "binary", "modules", "base")]
    source.unpack([*headers, *(name for name in image if name in source.names())], root)
    archive.Archive(source.release, arches.HOST).unpack(build, root)


def _fetch(source: archive.Archive, release: str, root: pathlib.Path) -> None:
    print(f"# fetching kernel {release} from {source.release}", file=sys.stderr)
    work = root.with_name(f"{root.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        _unpack(source, release, work)
        facts = _layout(work, release)
        # The headers name absolute paths: fix them up for where they will be.
        shutil.rmtree(root, ignore_errors=True)
        work.rename(root)
        _fix_makefile(root, release)
        _fix_programs(root, archive.Archive(source.release, arches.HOST))
        subprocess.run(
            ["depmod", "-b", root / facts["modules"].split("lib/")[0], release], check=True
        )
        facts.update(origin=source.release, gcc=compiler(source, release))
        (root / "kernel.json").write_text(json.dumps(facts))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def compiler(source: archive.Archive, release: str) -> str:
    """The gcc that built a kernel, as its headers ask for it: gcc-14."""
    needs = " ".join(source.depends(f"linux-headers-{release}"))
    found = re.search(r"\bgcc-\d+", needs)
    if not found:
        raise archive.ArchiveError(f"linux-headers-{release} asks for no gcc")
    return found.group()


def headers(source: archive.Archive, line: str) -> dict[str, pathlib.Path]:
    """The headers of all flavours of a line that an archive has, fetched if they are
    not cached: {flavour: directory}. They are for a toolchain of that release."""
    found = newest(source, line)
    root = cache.directory() / "kernels" / f"{line}-{source.release}-{source.arch}-headers"
    stamp = root / "releases.json"
    with cache.locked(root):
        if not stamp.exists() or json.loads(stamp.read_text()) != found:
            shutil.rmtree(root, ignore_errors=True)
            _fetch_headers(source, found.values(), root)
            stamp.write_text(json.dumps(found))
    return {
        flavour: root / f"usr/src/linux-headers-{release}" for flavour, release in found.items()
    }


def _fetch_headers(
    source: archive.Archive, kernels: typing.Collection[str], root: pathlib.Path
) -> None:
    print(f"# fetching headers of {', '.join(kernels)}", file=sys.stderr)
    root.mkdir(parents=True)
    wanted = [header_packages(source, release) for release in kernels]
    for archives, names in (
        (source, {name for own, _ in wanted for name in own}),
        (
            archive.Archive(source.release, arches.HOST),
            {name for _, build in wanted for name in build},
        ),
    ):
        archives.unpack(sorted(names), root)
    for release in kernels:
        _fix_makefile(root, release)


def _layout(root: pathlib.Path, release: str) -> dict[str, str]:
    """Where the parts are, relative to the root."""

    def first(*names: str) -> str:
        for name in names:
            if (root / name).exists():
                return name
        raise archive.ArchiveError(f"kernel {release} has none of {names}")

    return {
        "release": release,
        "image": first(f"boot/vmlinuz-{release}", f"usr/lib/modules/{release}/vmlinuz"),
        "modules": first(f"lib/modules/{release}/kernel", f"usr/lib/modules/{release}/kernel")[
            : -len("/kernel")
        ],
        "headers": first(f"usr/src/linux-headers-{release}"),
    }


def _fix_makefile(root: pathlib.Path, release: str) -> None:
    path = root / f"usr/src/linux-headers-{release}/Makefile"
    text = path.read_text()
    path.write_text(re.sub(r"(?<![\w.])/usr/(src|lib)/", rf"{root}/usr/\1/", text))


def _fix_programs(root: pathlib.Path, source: archive.Archive) -> None:
    """Kbuild's programs may want a newer C library than the host's, or a
    library the host lacks: start those with the libraries of their release."""
    libraries = root / "libraries"
    for path in sorted(root.glob("usr/lib/linux-kbuild-*/**/*")):
        if path.is_symlink() or not path.is_file() or not _needs_library(path):
            continue
        if not libraries.exists():
            names = ("libc6", "libelf1t64", "libelf1", "zlib1g", "libzstd1")
            source.unpack([name for name in names if name in source.names()], libraries)
        loader = next(libraries.glob("**/ld-linux-*.so.*"))
        real = path.with_name(f"{path.name}.elf")
        path.rename(real)
        path.write_text(
            f'#!/bin/sh\nexec "{loader}" --library-path "{loader.parent}'
            f":{libraries}/usr/lib/{loader.parent.name}:{libraries}/lib/"
            f'{loader.parent.name}" --argv0 "$0" "{real}" "$@"\n'
        )
        path.chmod(0o755)


def _needs_library(path: pathlib.Path) -> bool:
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return False
    # The loader complains before the program sees that it has no arguments.
    done = subprocess.run(
        [path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=10,
    )
    return b"GLIBC_" in done.stderr or b"shared libraries" in done.stderr


def main() -> None:
    settings.parse(__doc__, ("KERNEL", "ARCH", "IVSHMEM_CACHE"))
    try:
        kernel = find(settings.get("KERNEL") or DEFAULT, arches.wanted())
    except (archive.ArchiveError, ValueError) as error:
        sys.exit(str(error))
    print(f"# {kernel}: {kernel.image}")
    print("make", *make_arguments(kernel), "M=$PWD", "modules")


if __name__ == "__main__":
    import ending

    ending.run(main)
