#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Traffic between two network namespaces, by sockets. Prints "ready", then what it got.

traffic.py take ADDRESS           a TCP connection: its bytes, and their checksum
traffic.py give ADDRESS BYTES     random ones; prints the same
traffic.py echo ADDRESS           sends UDP datagrams back, until it is killed
traffic.py ask ADDRESS BYTES      sends one until it comes back
traffic.py hear ADDRESS           prints the first UDP datagram
traffic.py call ADDRESS TEXT      sends UDP datagrams to all, until it is killed
"""

import hashlib
import random
import socket
import sys
import time
import typing

PORT = 7777
LIMIT = 60
CHUNK = 1 << 18


def make(address: str, kind: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, kind)
    made.settimeout(LIMIT)
    return made


def bind(address: str, kind: int) -> socket.socket:
    made = make(address, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, PORT))
    if kind == socket.SOCK_STREAM:
        made.listen(1)
    print("ready", flush=True)
    return made


def take(address: str) -> str:
    connection, _ = bind(address, socket.SOCK_STREAM).accept()
    connection.settimeout(LIMIT)
    digest, count = hashlib.sha256(), 0
    while data := connection.recv(CHUNK):
        digest.update(data)
        count += len(data)
    return f"{count} {digest.hexdigest()}"


def give(address: str, size: str) -> str:
    digest, dice, left = hashlib.sha256(), random.Random(size), int(size)
    connection = make(address, socket.SOCK_STREAM)
    connection.connect((address, PORT))
    while left:
        data = dice.randbytes(min(CHUNK, left))
        connection.sendall(data)
        digest.update(data)
        left -= len(data)
    connection.close()
    return f"{size} {digest.hexdigest()}"


def echo(address: str) -> str:
    listener = bind(address, socket.SOCK_DGRAM)
    listener.settimeout(None)
    while True:
        listener.sendto(*listener.recvfrom(65536))


def ask(address: str, size: str) -> str:
    """Until an answer comes, as the other side may just be coming up."""
    asker = make(address, socket.SOCK_DGRAM)
    asker.settimeout(0.2)
    data = random.Random(size).randbytes(int(size))
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            asker.sendto(data, (address, PORT))
            if asker.recv(65536) == data:
                return "answered"
        except OSError:
            time.sleep(0.05)
    return "no answer"


def hear(address: str) -> str:
    return bind(address, socket.SOCK_DGRAM).recv(65536).decode()


def call(address: str, text: str) -> str:
    caller = make(address, socket.SOCK_DGRAM)
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    while True:
        caller.sendto(text.encode(), (address, PORT))
        time.sleep(0.05)


VERBS: dict[str, typing.Callable[..., str]] = {
    "take": take,
    "give": give,
    "echo": echo,
    "ask": ask,
    "hear": hear,
    "call": call,
}

if __name__ == "__main__":
    print(VERBS[sys.argv[1]](*sys.argv[2:]), flush=True)
