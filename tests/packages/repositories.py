# SPDX-License-Identifier: GPL-2.0-only
"""What make repo makes: apt and dnf install and upgrade from it over HTTP, and take
nothing that the publisher's key has not signed."""

import contextlib
import functools
import http.server
import os
import pathlib
import shutil
import threading
import typing
import urllib.request

import built_packages
import chroots
import debian_roots
import devices
import rpms
import upgrades
from checked_system import Checks

KEY = "packages@ivshmem.example"
NAMES = ("ivshmem-dkms", "ivshmemctl")
INSTALL = f"{chroots.INSTALL} {' '.join(NAMES)}"


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        pass


@contextlib.contextmanager
def served(directory: pathlib.Path) -> typing.Iterator[str]:
    """Serve a directory on the loopback interface; its URL."""
    handler = functools.partial(Handler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class Publisher:
    """Somebody with a key and a source tree, whose dist/ has packages of one version."""

    def __init__(self, directory: pathlib.Path, url: str) -> None:
        self.tree = directory / "sources"
        self.repo = directory / "repo"
        self.url = url
        self.environment = {**os.environ, "GNUPGHOME": str(directory / "gnupg")}
        (directory / "gnupg").mkdir(mode=0o700)
        built_packages.sources(self.tree, built_packages.version())
        for key in (KEY, "another@ivshmem.example"):
            self.gpg("--passphrase", "", "--quick-generate-key", key, "default", "default", "1d")

    def gpg(self, *arguments: str | pathlib.Path) -> str:
        command = ["gpg", "--batch", "--quiet", "--yes", *arguments]
        return debian_roots.run(command, "gpg", env=self.environment)

    def provide(self, number: str) -> None:
        """Put the packages of a version into dist/."""
        shutil.rmtree(self.tree / "dist", ignore_errors=True)
        (self.tree / "dist").mkdir()
        for kind in ("deb", "rpm"):
            for path in built_packages.make(kind, number).iterdir():
                shutil.copy(path, self.tree / "dist")

    def make_repo(self, **variables: str) -> tuple[int, str]:
        """make repo: (exit status, output)."""
        words = {"KEY": KEY, "URL": self.url, "REPO": str(self.repo), **variables}
        command = ["make", "--no-print-directory", "repo"]
        command += [f"{name}={value}" for name, value in words.items()]
        return debian_roots.outcome(command, self.tree, env=self.environment)

    def publish(self, number: str) -> None:
        self.provide(number)
        status, output = self.make_repo()
        if status:
            raise debian_roots.RootError(f"make repo: {output}")

    def close(self) -> None:
        """End the agent that gpg has started."""
        debian_roots.outcome(["gpgconf", "--kill", "all"], env=self.environment)


def check_refusals(publisher: Publisher, checks: Checks) -> None:
    """What make repo cannot do, it says."""
    number = built_packages.version()

    def refused(name: str, words: str, **variables: str) -> None:
        status, output = publisher.make_repo(**variables)
        checks.ok(f"make repo: {name}", status != 0 and words in output, output)

    refused("dist/ is empty", "run make deb or make rpm first")
    publisher.provide(number)
    refused("no key is named", "KEY= names the gpg key", KEY="")
    refused("the key is not there", "no secret key 'nobody@", KEY="nobody@ivshmem.example")
    refused("no URL is named", "URL= says where", URL="")
    checks.ok("make repo: nothing was made then", not publisher.repo.exists())
    publisher.publish(number)
    status, output = publisher.make_repo()
    checks.ok("make repo: once more changes nothing", status == 0, output)
    for suffix in ("deb", "rpm"):
        changed = next((publisher.tree / "dist").glob(f"ivshmem-dkms*.{suffix}"))
        other = next(
            built_packages.make(suffix, built_packages.next_version()).glob(
                f"ivshmem-dkms*.{suffix}"
            )
        )
        shutil.copy(other, changed)
        refused(f"a published version changes: {suffix}", "another build of this version")
        publisher.provide(number)


@contextlib.contextmanager
def altered(path: pathlib.Path, content: bytes | None = None) -> typing.Iterator[None]:
    """A file of the repository, other than it should be: one bit of it, or all."""
    original = path.read_bytes()
    middle = len(original) // 2
    flipped = bytes([original[middle] ^ 1])
    path.write_bytes(content or original[:middle] + flipped + original[middle + 1 :])
    try:
        yield
    finally:
        path.write_bytes(original)


def download(url: str, directory: pathlib.Path) -> None:
    """What README.md has users download."""
    with urllib.request.urlopen(url) as answer:
        (directory / url.rpartition("/")[2]).write_bytes(answer.read())


class Apt(chroots.Chroot):
    """A Debian machine that installs from the repository."""

    def __init__(self, directory: pathlib.Path, checks: Checks, publisher: Publisher) -> None:
        super().__init__(directory, checks)
        for path in (self.tree.upper / "repository").glob("*ivshmem*"):
            path.unlink()
        upgrades.index(self.tree.upper / "repository")
        download(f"{publisher.url}/ivshmem.sources", directory)
        self.tree.copy_in([directory / "ivshmem.sources"], "etc/apt/sources.list.d")
        self.repo = publisher.repo / "apt"

    def update(self, name: str, succeeds: bool = True) -> str:
        """apt update, with an error for what it would only warn of."""
        _, output = self.run("rm -rf /var/lib/apt/lists/*; apt-get update --error-on=any")
        self.checks.ok(
            f"apt: {name}", ("E:" not in output and "W:" not in output) == succeeds, output
        )
        return output

    def has(self, name: str, number: str) -> None:
        query = f"dpkg-query -W -f '${{Version}}\\n' {' '.join(NAMES)}"
        self.equal(f"apt: {name}", query, *[number] * len(NAMES))

    def distrusts(self, publisher: Publisher) -> None:
        with altered(self.repo / "InRelease"):
            self.update("an altered InRelease is refused", succeeds=False)
        with altered(self.repo / "Packages.gz"):
            self.update("an altered index is refused", succeeds=False)
        other = publisher.repo.with_name("other")
        release = publisher.gpg("--decrypt", self.repo / "InRelease")
        other.write_text(release)
        publisher.gpg("--local-user", "another", "--clearsign", "--output", f"{other}.asc", other)
        with altered(self.repo / "InRelease", pathlib.Path(f"{other}.asc").read_bytes()):
            output = self.update("another's signature is refused", succeeds=False)
            self.says("apt: it is for the lack of that key", output, "NO_PUBKEY")
        self.update("the repository is as it was")
        with altered(next(self.repo.glob("ivshmemctl_*.deb"))):
            self.holds("apt: an altered package is refused", f"! {INSTALL}")


def apt_life(directory: pathlib.Path, checks: Checks, publisher: Publisher) -> Apt:
    apt = Apt(directory, checks, publisher)
    apt.update("no warning")
    apt.distrusts(publisher)
    apt.holds("apt: install", INSTALL)
    apt.has("this version is there", built_packages.version())
    apt.built("apt: the module is built", apt.kernel)
    return apt


class SignedDnf(rpms.Dnf):
    """A machine whose dnf installs from the repository."""

    def __init__(self, directory: pathlib.Path, checks: Checks, publisher: Publisher) -> None:
        super().__init__(directory, checks, rpms.ours(built_packages.version()))
        # Only the stand-in is to come from there.
        for path in self.unsigned.glob("*ivshmem*.rpm"):
            path.unlink()
        debian_roots.run(["createrepo_c", "-q", self.unsigned], "no repository")
        download(f"{publisher.url}/ivshmem.repo", self.repositories)
        self.repo = publisher.repo / "rpm"

    def fresh(self, *arguments: str) -> tuple[int, str]:
        """Run dnf with nothing in its cache."""
        shutil.rmtree(self.cache, ignore_errors=True)
        return self.dnf(*arguments)

    def refuses(self, name: str, words: str) -> None:
        status, output = self.fresh("install", "stand-in", *NAMES)
        self.checks.ok(f"dnf: {name} is refused", status != 0 and words in output, output)

    def distrusts(self, publisher: Publisher) -> None:
        signature = self.repo / "repodata/repomd.xml.asc"
        with altered(self.repo / "repodata/repomd.xml"):
            self.refuses("an altered index", "GPG")
        asc = publisher.repo.with_name("other.xml.asc")
        publisher.gpg(
            "--local-user", "another", "--armor", "--detach-sign", "--output", asc,
            self.repo / "repodata/repomd.xml",
        )  # fmt: skip
        with altered(signature, asc.read_bytes()):
            self.refuses("another's signature", "GPG")
        self._distrusts_packages(publisher, signature)

    def _distrusts_packages(self, publisher: Publisher, signature: pathlib.Path) -> None:
        """One that is altered, and unsigned ones in an index that is signed."""
        with altered(next(self.repo.glob("ivshmemctl-*.rpm"))):
            self.refuses("an altered package", "Cannot download")
        saved = publisher.repo.with_name("saved")
        shutil.copytree(self.repo, saved)
        for path in rpms.ours(built_packages.version()):
            shutil.copy(path, self.repo)
        debian_roots.run(["createrepo_c", "-q", self.repo], "no repository")
        publisher.gpg("--local-user", KEY, "--armor", "--detach-sign", signature.with_suffix(""))
        self.refuses("an unsigned package", "not signed")
        shutil.rmtree(self.repo)
        saved.rename(self.repo)


def dnf_life(directory: pathlib.Path, checks: Checks, publisher: Publisher) -> SignedDnf:
    dnf = SignedDnf(directory, checks, publisher)
    dnf.distrusts(publisher)
    status, output = dnf.fresh("install", "stand-in", *NAMES)
    checks.ok("dnf: install", status == 0, output)
    dnf.all_built("dnf: installed", built_packages.version())
    return dnf


def life(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    """make repo, install, a second version in the same repository, upgrade."""
    new = built_packages.next_version()
    (directory / "repo").mkdir()
    with served(directory / "repo") as url:
        (directory / "repo").rmdir()
        publisher = Publisher(directory, url)
        try:
            check_refusals(publisher, checks)
            apt = apt_life(directory / "apt", checks, publisher)
            dnf = dnf_life(directory / "dnf", checks, publisher)
            publisher.publish(new)
        finally:
            publisher.close()
        apt.update("a second version comes")
        apt.holds("apt: upgrade", "apt-get -q -y upgrade")
        apt.has("the second version is there", new)
        status, output = dnf.fresh("upgrade")
        checks.ok("dnf: upgrade", status == 0, output)
        dnf.all_built("dnf: upgraded", new)
        apt.holds(
            "apt: the first version can still be had",
            f"{chroots.INSTALL} --allow-downgrades ivshmemctl={built_packages.version()}",
        )
