# SPDX-License-Identifier: GPL-2.0-only
"""ivshmemctl on a terminal, and what that shows."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading

import ctl

ERASE = "\r\x1b[K"
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal(ctl.Program):
    """A program with a terminal of its own, where its stdin, stdout and stderr are unless
    others are given."""

    def __init__(
        self,
        *arguments: ctl.Word,
        device: ctl.Place | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        columns: int = 200,
        kind: str = "xterm",
    ) -> None:
        self.master, slave = pty.openpty()
        # Typed characters are not shown.
        modes = termios.tcgetattr(slave)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))

        def own() -> None:
            """Have Ctrl-C reach the program, though a test in the background ignores it."""
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        super().__init__(
            *arguments,
            device=device,
            stdin=slave if stdin is None else stdin,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            variables={"TERM": kind},
            before=own,
        )
        os.close(slave)
        self.said = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        data = b""
        # Without a program at the other end, reading is an error.
        with open(self.master, "rb", buffering=0) as master:
            try:
                while more := master.read(65536):
                    data += more
                    self.said = data.decode(errors="replace").replace("\r\n", "\n")
            except OSError:
                pass

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def shows(self, pattern: str) -> bool:
        """The terminal gets what this matches, sooner or later."""
        return ctl.wait_until(lambda: re.search(pattern, self.said))

    def drawn(self) -> list[str]:
        """The lines that were drawn to be erased."""
        return re.findall(re.escape(ERASE) + r"([^\n\x1b\r]+)(?=\r)", self.said)

    def left(self) -> str:
        """What is on the terminal in the end."""
        return re.sub(r"[^\n]*" + re.escape(ERASE), "", self.said)

    def end(self, data: bytes | None = None) -> int:
        assert data is None
        try:
            self.process.wait(ctl.LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.said += "\nkilled by the test: it did not end"
        self.reader.join(ctl.LIMIT)
        self.err = self.said
        return self.process.returncode
