# SPDX-License-Identifier: GPL-2.0-only
"""What ids programs get from a server, one after the other."""

import json

import ctl


def test_info_twice() -> None:
    """QEMU can crash if the second program gets the first one's id."""
    with ctl.server(ids=()) as (path, _):
        infos = [ctl.run("info", "--json", device=path).out for _ in range(2)]
    assert [json.loads(info)["id"] for info in infos] == [0, 1]
