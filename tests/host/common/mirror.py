# SPDX-License-Identifier: GPL-2.0-only
"""A mirror of Debian on the loopback interface, with a kernel of a few bytes, that does
what real ones do on a bad day."""

import collections
import contextlib
import email.utils
import gzip
import hashlib
import http.server
import pathlib
import subprocess
import tempfile
import threading
import time
import typing

NAMES = ("linux-headers-{}-cloud-amd64", "linux-image-{}-cloud-amd64", "linux-kbuild-{}")
# No proxy of this machine may answer for it, nor takes trying again any time.
APT_CONFIG = 'Acquire::http::Proxy "DIRECT";\nAcquire::Retries::Delay "false";\n'


class Signer:
    """A key and its owner. gpg's agent wants a short path."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.gpg = ["gpg", "--homedir", str(directory), "--batch", "--quiet", "--passphrase", ""]
        self.keyring = directory / "debian-archive-keyring.gpg"
        self._run("--quick-generate-key", "mirror", "ed25519", "sign", "never")
        self._run("--output", self.keyring, "--export")

    def _run(self, *words: str | pathlib.Path, text: str = "") -> str:
        done = subprocess.run(
            [*self.gpg, *words], check=True, text=True, input=text, stdout=subprocess.PIPE
        )
        return done.stdout

    def sign(self, text: str) -> str:
        return self._run("--clearsign", text=text)


@contextlib.contextmanager
def signing() -> typing.Iterator[Signer]:
    with tempfile.TemporaryDirectory(prefix="ivshmem-key-") as directory:
        try:
            yield Signer(pathlib.Path(directory))
        finally:
            subprocess.run(["gpgconf", "--homedir", directory, "--kill", "all"], check=True)


def _package(store: pathlib.Path, name: str, files: typing.Iterable[str], depends: str) -> None:
    """Make a package of files that hold a line each."""
    tree = store / "tree" / name
    for file in files:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(f"{name}\n")
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: amd64\nDepends: {depends}\n"
        "Maintainer: nobody <nobody@ivshmem.example>\nDescription: a part of a kernel\n"
    )
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", tree, store / f"{name}.deb"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


class Mirror(http.server.ThreadingHTTPServer):
    """faults says what happens to a request whose path has these words: a status, or how
    many bytes the client gets before the connection breaks, as "cut 10", or "hang"."""

    daemon_threads = True

    def __init__(self, directory: pathlib.Path, signer: Signer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.directory = directory
        self.signer = signer
        self.faults: dict[str, str] = {}
        self.requests: collections.Counter[str] = collections.Counter()
        self.hanging = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def kernel(self, suite: str, release: str) -> str:
        """Have a suite offer a kernel, in the place of any other; its release."""
        store = self.directory / suite
        headers, image, kbuild = (name.format(release) for name in NAMES)
        full = f"{release}-cloud-amd64"
        _package(store, headers, [f"usr/src/{headers}/Makefile"], f"{kbuild}, gcc-12")
        _package(store, kbuild, [f"usr/lib/{kbuild}/program"], "libc6")
        parts = (f"boot/vmlinuz-{full}", f"lib/modules/{full}/kernel/part")
        _package(store, image, parts, "kmod")
        self.suite(suite, [headers, image, kbuild])
        return full

    def suite(self, suite: str, packages: typing.Sequence[str] = ()) -> None:
        """Publish a suite with these packages. One that was never published is none."""
        store = self.directory / suite
        index = "".join(self._stanza(suite, store / f"{name}.deb") for name in packages)
        # An index of nothing is none, and one of a few bytes cannot be cut.
        index += "Package: filler\nVersion: 1\nArchitecture: amd64\nDescription: filler\n"
        index += f"Filename: filler.deb\nSize: 1\nSHA256: {'0' * 64}\n"
        packed = gzip.compress(index.encode(), mtime=0)
        name = "main/binary-amd64/Packages"
        top = self.directory / "dists" / suite
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / f"{name}.gz").write_bytes(packed)
        sums = "".join(
            f" {hashlib.sha256(data).hexdigest()} {len(data)} {file}\n"
            for file, data in ((name, index.encode()), (f"{name}.gz", packed))
        )
        release = (
            f"Suite: {suite}\nCodename: {suite}\nArchitectures: amd64\nComponents: main\n"
            f"Date: {email.utils.formatdate(usegmt=True)}\nSHA256:\n{sums}"
        )
        (top / "InRelease").write_text(self.signer.sign(release))

    def _stanza(self, suite: str, path: pathlib.Path) -> str:
        data = path.read_bytes()
        fields = subprocess.run(
            ["dpkg-deb", "-f", path], check=True, text=True, stdout=subprocess.PIPE
        ).stdout
        digest = hashlib.sha256(data).hexdigest()
        place = f"Filename: {suite}/{path.name}\nSize: {len(data)}\nSHA256: {digest}\n\n"
        return fields + place


class Handler(http.server.BaseHTTPRequestHandler):
    server: Mirror

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.requests[f"{self.command} {self.path}"] += 1
        fault = next((do for words, do in self.server.faults.items() if words in self.path), "")
        path = self.server.directory / self.path.lstrip("/")
        if fault.isdigit() or not path.is_file():
            self.send_error(int(fault or 404))
            return
        data = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == "hang":
            self.server.hanging.set()
            time.sleep(60)
        count = int(fault.split()[1]) if fault.startswith("cut") else len(data)
        self.wfile.write(data[:count])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def running(directory: pathlib.Path, signer: Signer) -> typing.Iterator[Mirror]:
    server = Mirror(directory, signer)
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
