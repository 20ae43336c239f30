# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's machine protocol: one JSON object per line, answers and events."""

import json
import socket
import time
import typing


Message = dict[str, typing.Any]  # a JSON object


class QmpError(Exception):
    """QEMU refused a command, or an event did not come."""


class Qmp:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = b""
        self.events: list[Message] = []
        self._receive(time.monotonic() + 10)  # the greeting
        self.command("qmp_capabilities")

    def command(
        self, name: str, arguments: Message | None = None, timeout: float = 20
    ) -> typing.Any:
        """Run a command and return its answer."""
        return self.send({"execute": name, "arguments": arguments or {}}, timeout)

    def send(self, request: Message, timeout: float = 20) -> typing.Any:
        try:
            self.connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise QmpError(f"QEMU does not listen: {error}") from error
        deadline = time.monotonic() + timeout
        while True:
            message = self._receive(deadline)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise QmpError(message["error"]["desc"])
            else:
                return message["return"]

    def wait_event(self, name: str, timeout: float = 20, **data: object) -> Message:
        """Wait for an event whose data has these values; it is used up."""
        deadline = time.monotonic() + timeout
        while True:
            for event in self.events:
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    self.events.remove(event)
                    return event
            message = self._receive(deadline)
            if "event" in message:
                self.events.append(message)

    def _receive(self, deadline: float) -> Message:
        while b"\n" not in self.buffer:
            self.connection.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self.connection.recv(65536)
            except OSError as error:
                raise QmpError(f"QEMU does not answer: {error}") from error
            if not data:
                raise QmpError("QEMU went away")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)
