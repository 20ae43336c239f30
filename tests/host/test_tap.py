# SPDX-License-Identifier: GPL-2.0-only
"""What the rig's threads print at once."""

import threading

import pytest

import tap

LINES = 5000


def test_comments_beside_points(capsys: pytest.CaptureFixture[str]) -> None:
    """No comment runs into a point, which would be lost."""
    writer = tap.Writer()

    def points() -> None:
        for number in range(LINES):
            writer.point("test", tap.Point(True, f"{number}", None, []))

    def comments() -> None:
        for number in range(LINES):
            tap.say(f"# test: {number}.0 s")

    threads = [threading.Thread(target=target) for target in (points, comments, points, comments)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.finish()
    reader = tap.Reader()
    for line in capsys.readouterr().out.splitlines():
        reader.feed(line)
    assert reader.count == 2 * LINES
    assert reader.complaint(0) is None
