"""Storage: thin overlays over one golden volume, a pool that fills up, rates, and images that QEMU reads."""

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab.disk_writer import writer
from tests.scenarios.desk import MS, Desk

POOL: dict[str, Any] = {
    "name": "fast",
    "capacity": "24 KiB",
    "volumes": [
        {"name": "golden", "capacity": "64 KiB", "format": "raw"},
        {"name": "a-disk", "backing": "golden"},
        {"name": "b-disk", "backing": "golden"},
    ],
}


def vm(name: str, program: str = "writer", **disk: object) -> dict[str, object]:
    return {"name": name, "program": program, "memory": "64 KiB", "disk": {"volume": f"{name}-disk", **disk}}


def test_two_guests_over_one_golden_volume(tmp_path: Path) -> None:
    programs = {"writer": writer(8), "long": writer(16)}
    bare = {**POOL, "volumes": POOL["volumes"][:1]}
    desk = Desk(programs, [], {"memory": "2 MiB"}, pools=[bare])
    data = base64.b64encode(b"golden").decode()
    desk.do("vol_upload", volume="golden", offset=61440, data=data)
    for name, program in (("a", "writer"), ("b", "long")):
        desk.do("vol_create", volume=f"{name}-disk", pool="fast", backing="golden")
        desk.lab.apply({"verb": "define", "vm": vm(name, program)})
    assert "it backs a-disk, b-disk" in desk.refused("vol_upload", volume="golden", offset=0, data=data)
    free = pool(desk)["available"]
    desk.do("start", "a")
    desk.wait("a", "!")
    acknowledged = desk.lab.console("a").count(".")
    assert 0 < acknowledged < 8
    assert pool(desk)["available"] == 0 < free
    assert ("pool full", None) in desk.events("device")
    desk.do("pool_resize", pool="fast", capacity="1 MiB")
    desk.do("console_input", "a", text="x")
    desk.wait("a", "." * (8 - acknowledged))
    image = desk.lab.volume_image("a-disk", "raw")
    assert [image[4096 * number] for number in range(9)] == [*range(1, 9), 0]
    assert image[61440:61446] == b"golden"
    assert desk.lab.volume_image("b-disk", "raw")[:61440] == bytes(61440)

    desk.do("disk_limits", "b", iops=100)
    desk.do("start", "b")
    begun = desk.lab.now_ns
    desk.wait("b", "." * 16)
    # A tenth of a second of the rate may be spent at once.
    assert 5 * 10 * MS < desk.lab.now_ns - begun < 16 * 10 * MS * 1.1
    desk.do("destroy", "a")
    assert desk.do("vol_rebase", volume="a-disk", backing="")["clusters"] >= 1

    image = desk.lab.volume_image("a-disk", "raw")
    data = base64.b64encode(desk.lab.volume_image("a-disk")).decode()
    desk.do("vol_import", volume="back", pool="fast", data=data)
    assert desk.lab.volume_image("back", "raw") == image
    desk.replays()

    tool = shutil.which("qemu-img")
    if tool is not None:
        ours, raw = tmp_path / "ours.qcow2", tmp_path / "raw"
        ours.write_bytes(desk.lab.volume_image("a-disk"))
        subprocess.run([tool, "check", ours], check=True, capture_output=True)
        subprocess.run([tool, "convert", "-O", "raw", ours, raw], check=True)
        assert raw.read_bytes() == image


def pool(desk: Desk) -> dict[str, int]:
    """Return the counts of the pool."""
    storage = desk.lab.hypervisor.storage
    return {"available": storage.free("fast"), "allocation": storage.allocation("fast")}


@pytest.mark.parametrize("cache", ["writethrough", "writeback"])
def test_what_was_flushed_outlives_the_loss_of_power(cache: str) -> None:
    pool = {**POOL, "capacity": "1 MiB"}
    desk = Desk({"writer": writer(8, 2)}, [vm("a", cache=cache)], {"memory": "2 MiB"}, pools=[pool])
    desk.do("start", "a")
    desk.wait("a", "..f..f.")
    lost = desk.do("power_loss", "a")["lost_sectors"]
    assert lost == (1 if cache == "writeback" else 0)
    image = desk.lab.volume_image("a-disk", "raw")
    assert [image[4096 * number] for number in range(5)] == [1, 2, 3, 4, 5 - 5 * lost]
