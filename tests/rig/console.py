# SPDX-License-Identifier: GPL-2.0-only
"""A shell in each guest, on one terminal: Ctrl-] goes from one to the other."""

import os
import selectors
import sys
import termios
import tty

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


def _note(text):
    sys.stdout.write(f"\r\n[{text}]\r\n")
    sys.stdout.flush()


def _relay(guests, keyboard):
    selector = selectors.DefaultSelector()
    alive = {index: guest.control for index, guest in enumerate(guests)}
    for index, line in alive.items():
        line.setblocking(True)
        selector.register(line, selectors.EVENT_READ, index)
    selector.register(keyboard, selectors.EVENT_READ)
    held = {index: b"" for index in alive}  # said while the other was shown
    tail = {index: b"" for index in alive}  # the end mark may come in two parts
    current = 0

    def show(index):
        nonlocal current
        current = index
        _note(f"guest {index}")
        os.write(1, held[index])
        held[index] = b""

    while alive:
        for key, _ in selector.select():
            if key.data is None:
                data = os.read(keyboard, 4096)
                if not data:
                    return
                if SWITCH in data and len(alive) > 1:
                    show(1 - current)
                    data = data.replace(SWITCH, b"")
                if current in alive:
                    alive[current].sendall(data)
                continue
            try:
                data = key.fileobj.recv(65536)
            except OSError:
                data = b""
            tail[key.data] = tail[key.data][-len(END) :] + data
            if not data or END in tail[key.data]:
                selector.unregister(key.fileobj)
                del alive[key.data]
                _note(f"guest {key.data} has ended")
                if alive and key.data == current:
                    show(next(iter(alive)))
            elif key.data == current:
                os.write(1, data)
            else:
                held[key.data] = (held[key.data] + data)[-65536:]


def attach(guests):
    """Give the user a shell in each guest, until both have ended."""
    print(HELP, flush=True)
    for index, guest in enumerate(guests):
        guest.write_line(SHELL.format(index=index))
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard) if sys.stdin.isatty() else None
    try:
        if before:
            tty.setraw(keyboard)
        _relay(guests, keyboard)
    finally:
        if before:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
