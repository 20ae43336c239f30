# SPDX-License-Identifier: GPL-2.0-only
"""A shell in each guest, on one terminal: Ctrl-] goes from one to the other."""

import os
import selectors
import sys
import termios
import tty

import qemu
import scratch

SWITCH = b"\x1d"  # Ctrl-]
END = b"@rig-exit"  # what the guest's init says when the shell is over
# The rig's line is the shell's terminal from now on.
SHELL = (
    "stty sane <&3; echo; PS1='guest {index} # ' exec setsid -c sh -i "
    "</dev/$rig_port >/dev/$rig_port 2>&1"
)
HELP = """
You are root in guest 0. Ctrl-] goes to the other guest and back; exit in both
ends the demo. Try: ivshmemctl list; ivshmemctl wait here, ivshmemctl ring 0 1
there. The device is /dev/ivshmem0.
"""


def _note(text: str) -> None:
    sys.stdout.write(f"\r\n[{text}]\r\n")
    sys.stdout.flush()


class Terminal:
    """The user's terminal, which shows one guest at a time."""

    def __init__(self, guests: list[qemu.Guest], keyboard: int) -> None:
        self.keyboard = keyboard
        self.alive = {index: guest.control for index, guest in enumerate(guests)}
        self.held = {index: b"" for index in self.alive}  # said while the other was shown
        self.tail = {index: b"" for index in self.alive}  # the end mark may come in two parts
        self.current = 0
        self.selector = selectors.DefaultSelector()
        self.selector.register(keyboard, selectors.EVENT_READ)
        for index, line in self.alive.items():
            line.setblocking(True)
            self.selector.register(line, selectors.EVENT_READ, index)

    def relay(self) -> None:
        """Until all guests have ended, or the user has."""
        while self.alive:
            for key, _ in self.selector.select():
                if key.data is not None:
                    self._hear(key.data)
                elif not self._type():
                    return

    def _show(self, index: int) -> None:
        self.current = index
        _note(f"guest {index}")
        os.write(1, self.held[index])
        self.held[index] = b""

    def _type(self) -> bool:
        """Pass on what the user has typed; whether there was anything."""
        data = os.read(self.keyboard, 4096)
        if SWITCH in data and len(self.alive) > 1:
            self._show(1 - self.current)
            data = data.replace(SWITCH, b"")
        if self.current in self.alive:
            self.alive[self.current].sendall(data)
        return bool(data)

    def _hear(self, index: int) -> None:
        """Show or keep what a guest has said."""
        try:
            data = self.alive[index].recv(65536)
        except OSError:
            data = b""
        self.tail[index] = self.tail[index][-len(END) :] + data
        if not data or END in self.tail[index]:
            self.selector.unregister(self.alive.pop(index))
            _note(f"guest {index} has ended")
            if self.alive and index == self.current:
                self._show(next(iter(self.alive)))
        elif index == self.current:
            os.write(1, data)
        else:
            self.held[index] = (self.held[index] + data)[-65536:]


def attach(guests: list[qemu.Guest]) -> None:
    """Give the user a shell in each guest, until both have ended."""
    print(HELP, flush=True)
    for index, guest in enumerate(guests):
        guest.write_line(SHELL.format(index=index))
    keyboard = 0
    before = termios.tcgetattr(keyboard)

    def restore() -> None:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)

    scratch.at_end("terminal", restore)
    tty.setraw(keyboard)
    try:
        Terminal(guests, keyboard).relay()
    finally:
        restore()
        scratch.done("terminal")
