# SPDX-License-Identifier: GPL-2.0-only
"""Debian's archive seen through a private apt: nothing of the host changes.

An Archive is one release of Debian with its updates, security and backports,
for one architecture. Its state lives in the cache directory.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import typing
import urllib.error
import urllib.request

import cache
import tap

RELEASES = ("bookworm", "trixie", "bullseye", "sid")
KEYRINGS = pathlib.Path("/usr/share/keyrings")
MIRROR = "http://deb.debian.org/debian"
SECURITY_MIRROR = "http://deb.debian.org/debian-security"


class ArchiveError(Exception):
    """What apt could not do, in words for the user."""


def host_release() -> str | None:
    """The code name of the Debian this runs on ("bookworm"), or None."""
    text = pathlib.Path("/etc/os-release").read_text()
    found = re.search(r'^VERSION_CODENAME="?(\w+)', text, re.M)
    return found.group(1) if found else None


def _host_sources() -> typing.Iterator[tuple[str, str]]:
    """Yield (URI, suite) of everything the host's apt reads."""
    etc = pathlib.Path("/etc/apt")
    for path in [etc / "sources.list", *sorted(etc.glob("sources.list.d/*"))]:
        if path.suffix == ".list" and path.is_file():
            for line in path.read_text().splitlines():
                found = re.match(r"deb\s+(?:\[[^]]*\]\s*)?(\S+)\s+(\S+)", line)
                if found:
                    yield found[1], found[2]
        elif path.suffix == ".sources":
            for stanza in re.split(r"\n\s*\n", path.read_text()):
                uris = re.search(r"^URIs:\s*(\S+)", stanza, re.M)
                suites = re.search(r"^Suites:\s*(.+)", stanza, re.M)
                if uris and suites:
                    for suite in suites.group(1).split():
                        yield uris.group(1), suite


def _mirrors() -> tuple[str, str]:
    """The host's own mirrors: (main, security)."""
    main, security = None, None
    codename = host_release()
    for uri, suite in _host_sources():
        if suite == codename:
            main = main or uri
        elif suite == f"{codename}-security":
            security = security or uri
    return main or MIRROR, security or SECURITY_MIRROR


def _keyrings() -> typing.Iterator[str]:
    """Old releases are signed with keys that were removed since."""
    for name in ("debian-archive-keyring", "debian-archive-removed-keys"):
        for suffix in (".pgp", ".gpg"):
            if (KEYRINGS / (name + suffix)).exists():
                yield str(KEYRINGS / (name + suffix))
                break


class Archive:
    def __init__(self, release: str, arch: str) -> None:
        self.release = release
        self.arch = arch
        self.root = cache.directory() / "apt" / f"{release}-{arch}"
        self.indexes = self.root / "indexes"
        settings = {
            "APT::Architecture": arch,
            "APT::Architectures": arch,
            "Acquire::Check-Valid-Until": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "60",
            "Dir::Cache": self.root,
            "Dir::Cache::archives": self.root / "archives",
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "",
            "Dir::Etc::SourceList": self.root / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State": self.root,
            "Dir::State::lists": self.indexes,
            "Dir::State::status": self.root / "status",
            "DPkg::Post-Invoke": "",
            "APT::Update::Post-Invoke-Success": "",
        }
        if os.geteuid() == 0:
            settings["APT::Sandbox::User"] = "root"
        self.options = [f"-o{name}={value}" for name, value in settings.items()]
        self._names: frozenset[str] | None = None
        self._fresh = False  # fetched by this object

    def _run(self, *command: str, cwd: pathlib.Path | None = None) -> tuple[int, str]:
        program, *arguments = command
        done = subprocess.run(
            [program, *self.options, *arguments],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C"},
        )
        return done.returncode, done.stdout

    def _sources(self) -> dict[str, str]:
        """The line of sources.list for each suite."""
        main, security = _mirrors()
        suites = {self.release: main}
        if self.release != "sid":
            suites[f"{self.release}-updates"] = main
            suites[f"{self.release}-backports"] = main
            suites[f"{self.release}-security"] = security
        keys = ",".join(_keyrings())
        return {
            suite: f"deb [signed-by={keys}] {uri} {suite} main" for suite, uri in suites.items()
        }

    def _update(self) -> None:
        """Fetch the indexes, into a copy that takes the place of the old ones when it is
        whole: with a part of them, kernels would come from another release."""
        (self.root / "archives/partial").mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        old = self.indexes.resolve() if self.indexes.exists() else None
        for left in self.root.glob("indexes-*"):  # by one that was killed
            if left != old:
                shutil.rmtree(left)
        fresh = pathlib.Path(tempfile.mkdtemp(prefix="indexes-", dir=self.root))
        if old:
            shutil.copytree(old, fresh, dirs_exist_ok=True)  # apt fetches what differs
        (fresh / "partial").mkdir(exist_ok=True)
        self._fetch_indexes(fresh)
        link = self.root / "indexes.new"
        link.unlink(missing_ok=True)
        link.symlink_to(fresh.name)
        link.replace(self.indexes)
        self._fresh = True
        if old:
            shutil.rmtree(old)

    def _fetch_indexes(self, directory: pathlib.Path) -> None:
        """Old releases lose suites; only what the mirror says it does not have may be missing."""
        lines = self._sources()
        command = ("apt-get", f"-oDir::State::lists={directory}", "update", "--error-on=any")
        while True:
            (self.root / "sources.list").write_text("\n".join(lines.values()) + "\n")
            status, output = self._run(*command)
            if not status:
                return
            lost = {suite for suite in lines if f" {suite} Release' does not have" in output}
            if not lost or self.release in lost:
                reasons = [line for line in output.splitlines() if line.startswith("E: ")]
                raise ArchiveError(
                    f"the package index of {self.release} did not come; try again later:\n"
                    + "\n".join(reasons or [output])
                )
            lines = {suite: line for suite, line in lines.items() if suite not in lost}

    def names(self) -> frozenset[str]:
        """All package names; the indexes are fetched on first use."""
        if self._names is None:
            with cache.locked(self.root):
                if not self.indexes.exists():
                    self._update()
                _, output = self._run("apt-cache", "pkgnames")
                self._names = frozenset(output.split())
        return self._names

    def depends(self, package: str) -> list[str]:
        """Names that a package's newest version depends on."""
        self.names()
        with cache.locked(self.root):
            _, output = self._run("apt-cache", "show", "--no-all-versions", package)
        found = re.findall(r"^(?:Pre-)?Depends: (.*)", output, re.M)
        return re.findall(r"(?:^|[,|]) *([a-z0-9][a-z0-9.+-]+)", ", ".join(found))

    def with_libraries(self, packages: typing.Iterable[str]) -> list[str]:
        """The packages, NAME or NAME/SUITE, and all libraries they depend on."""
        found, pending = [], list(packages)
        while pending:
            package = pending.pop()
            if package not in found and package.partition("/")[0] in self.names():
                found.append(package)
                needs = self.depends(package)
                pending += [name for name in needs if name.startswith(("lib", "zlib"))]
        return found

    def serves(self, package: str) -> bool:
        """Is the package on the mirror? An index may name more than there is."""
        self.names()
        with cache.locked(self.root):
            _, output = self._run("apt-get", "download", "--print-uris", package)
        found = re.search(r"^'(\S+)'", output, re.M)
        if found:
            request = urllib.request.Request(found.group(1), method="HEAD")
            try:
                urllib.request.urlopen(request, timeout=60).close()
            except urllib.error.HTTPError as error:
                return error.code != 404
            except OSError:
                pass  # apt may know another way, or say what is wrong
        return found is not None

    def renew(self) -> bool:
        """Fetch the indexes again, which may be older than the mirror. Whether they had
        been fetched before this object was made."""
        was_old = not self._fresh
        if was_old:
            with cache.locked(self.root):
                self._update()
            self._names = None
        return was_old

    def unpack(self, packages: typing.Iterable[str], root: pathlib.Path) -> None:
        """Download packages, NAME or NAME/SUITE, and unpack them below a root."""
        self.names()
        root.mkdir(parents=True, exist_ok=True)  # dpkg makes the last part alone
        store = self.root / "download"
        command = ["apt-get", "download", *packages]
        with cache.locked(self.root):
            shutil.rmtree(store, ignore_errors=True)  # of one that was killed
            store.mkdir()
            try:
                status, output = self._run(*command, cwd=store)
                if status and not self._fresh:
                    self._update()
                    status, output = self._run(*command, cwd=store)
                if status:
                    raise ArchiveError(f"cannot download {' '.join(packages)}:\n{output}")
                for deb in store.glob("*.deb"):
                    subprocess.run(["dpkg", "-x", deb, root], check=True)
            finally:
                shutil.rmtree(store)

    def sources(self) -> list[str]:
        """The lines of sources.list."""
        self.names()  # writes them
        return (self.root / "sources.list").read_text().splitlines()

    def bootstrap(self, packages: typing.Iterable[str], root: pathlib.Path, *options: str) -> None:
        """Make the root file system of a system with these packages."""
        tap.say(f"# making a root of {self.release}")
        # Old releases have lost their backports.
        sources = [line for line in self.sources() if "-backports " not in line]
        # One that is killed leaves no mounts in what it made.
        private = ["unshare", "--mount"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [
                *private,
                "mmdebstrap",
                f"--include={','.join(packages)}",
                '--aptopt=Acquire::Check-Valid-Until "false"',
                *options,
                f"--architectures={self.arch}",
                self.release,
                root,
                *sources,
            ],
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            errors="replace",
        )
        if done.returncode:
            raise ArchiveError(f"no root of {self.release}:\n{done.stdout[-3000:]}")


def releases(arch: str) -> typing.Iterator[Archive]:
    """The archives of all releases, the host's own first."""
    host = host_release()
    for name in sorted(RELEASES, key=lambda name: name != host):
        yield Archive(name, arch)
