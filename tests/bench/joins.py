# SPDX-License-Identifier: GPL-2.0-only
"""How long joining a server takes, on this machine and without guests."""

import collections
import json
import subprocess

import figures

import build

PROGRAM = "build/bench/bin/join"
SERVER = "build/ivshmem-server"
REPETITIONS = 3  # of two minutes
VECTORS = (1, 16)
QUEUE = 500
COUNTED = {
    "time": ("time to join", "ms"),
    "cpu": ("server's processor time of a join", "ms"),
    "descriptors": ("server's descriptors", ""),
}
QUEUED = {
    "first": "the first",
    "middle": "the one in the middle",
    "behind": "the one behind them",
}


class JoinError(Exception):
    """The program did not get to its figures."""


def measure(vectors: int, peers: int, queue: int) -> dict[str, float]:
    words = [PROGRAM, SERVER, *map(str, (vectors, peers, queue))]
    done = subprocess.run(words, cwd=build.TOP, text=True, capture_output=True)
    if done.returncode:
        raise JoinError(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    values: dict[str, float] = {}
    for line in done.stdout.splitlines():
        values.update(json.loads(line))
    return values


def add_counted(found: figures.Figures, vectors: int, samples: dict[str, list[float]]) -> None:
    for key, (name, unit) in COUNTED.items():
        for peers in (10, 100, 1000):
            found.add(
                f"{name}, peer {peers}, {vectors} vectors",
                unit,
                samples[f"{key}{peers}"],
                ("peer 100", samples[f"{key}100"]),
            )


def add_queued(found: figures.Figures, vectors: int, samples: dict[str, list[float]]) -> None:
    for key, name in QUEUED.items():
        found.add(
            f"{QUEUE} join at once, {vectors} vectors, {name}",
            "ms",
            samples[key],
            ("the one behind them", samples["behind"]),
        )
    found.add(
        f"{QUEUE} join at once, {vectors} vectors, server's processor time",
        "ms",
        samples["queue-cpu"],
        ("the one behind them", samples["behind"]),
    )


def joins(found: figures.Figures) -> None:
    for vectors in VECTORS:
        samples: dict[str, list[float]] = collections.defaultdict(list)
        for _ in range(REPETITIONS):
            for peers, queue in ((1000, 0), (QUEUE - 1, QUEUE)):
                for key, value in measure(vectors, peers, queue).items():
                    samples[key].append(value)
        add_counted(found, vectors, samples)
        add_queued(found, vectors, samples)
