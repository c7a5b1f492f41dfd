"""Storage on running guests, by public verbs: thin pools, overlays, throttles, faults; what is refused."""

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.lab import Lab, LabError
from emulator.lab.chains import chains_view
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from tests.lab.disk_writer import writer

FAR = 400_000_000
POOLS = [
    {
        "name": "fast",
        "capacity": "20 KiB",
        "volumes": [
            {"name": "golden", "capacity": "64 KiB", "format": "raw"},
            {"name": "a-disk", "backing": "golden"},
            {"name": "b-disk", "backing": "golden"},
        ],
    }
]


@pytest.fixture
def make_lab(engine: Any) -> Callable[..., Lab]:
    """Make a lab of guests that write `clusters` clusters each, `a` to volume a-disk and so on."""

    def make(*disks: object, clusters: int = 8, flush_every: int = 1000, pools: object = POOLS) -> Lab:
        vms = [
            {"name": name, "program": "writer.s", "memory": "64 KiB", "disk": disk}
            for name, disk in zip("abcd", disks, strict=False)
        ]
        config = LabConfig.from_dict({"host": {"memory": "2 MiB"}, "pools": pools, "vms": vms})
        source = Program("writer.s", source=writer(clusters, flush_every))
        return Lab(config, {"writer.s": source}, 7, engine)

    return make


def run_to(lab: Lab, vm: str, text: str) -> None:
    assert lab.run_until({"kind": "console", "vm": vm, "text": text}, lab.position + FAR), lab.console(vm)


def start(lab: Lab, *names: str) -> None:
    for name in names:
        lab.apply({"verb": "start", "vm": name})


def test_a_full_pool_is_an_io_error_and_after_an_extension_the_guest_goes_on(make_lab: Callable[..., Lab]):
    lab = make_lab({"volume": "a-disk"}, {"volume": "b-disk"})
    start(lab, "a")
    run_to(lab, "a", ".....!")
    events = [event for event in lab.observe()["events"] if event["kind"] == "device"]
    assert [event["reason"] for event in events] == ["pool full"]
    storage = lab.hypervisor.storage
    assert (storage.allocation("fast"), storage.free("fast")) == (20 << 10, 0)
    lab.apply({"verb": "console_input", "vm": "a", "text": "x"})
    run_to(lab, "a", ".....!!")
    lab.apply({"verb": "pool_resize", "pool": "fast", "capacity": "64 KiB"})
    lab.apply({"verb": "console_input", "vm": "a", "text": "x"})
    run_to(lab, "a", ".....!!...")
    written = [lab.vm("a").disk().contents()[number * 4096] for number in range(9)]
    assert written == [1, 2, 3, 4, 5, 6, 7, 8, 0]
    assert storage.volume("golden").allocation == 0


def test_an_overlay_is_merged_and_flattened_under_a_running_guest(make_lab: Callable[..., Lab]):
    lab = make_lab({"volume": "a-disk"})
    start(lab, "a")
    run_to(lab, "a", "...")
    lab.apply({"verb": "vol_delete", "volume": "b-disk"})
    seen = lab.vm("a").disk().contents()
    answer = lab.apply({"verb": "vol_commit", "volume": "a-disk"})
    assert (answer["clusters"] >= 3, lab.vm("a").disk().contents()) == (True, seen)
    lab.apply({"verb": "pool_resize", "pool": "fast", "capacity": "128 KiB"})
    run_to(lab, "a", "........")
    lab.apply({"verb": "vol_rebase", "volume": "a-disk", "backing": ""})
    lab.apply({"verb": "vol_delete", "volume": "golden"})
    assert [lab.vm("a").disk().contents()[number * 4096] for number in range(9)] == [*range(1, 9), 0]


def test_iops_hold_in_virtual_time(make_lab: Callable[..., Lab]):
    times: list[int] = []
    for iops in (0, 1000, 500):
        lab = make_lab({"size": "1 MiB", "iops": iops}, clusters=200, pools=[])
        start(lab, "a")
        run_to(lab, "a", "." * 200)
        times.append(lab.now_ns)
        counters = lab.vm("a").disk().state.counters
        assert (counters.writes, counters.errors) == (200, 0)
    # A bucket holds a tenth of a second: 100 and 50 requests go through at once.
    assert times[0] < 20_000_000
    assert times[1] == pytest.approx(99_000_000, rel=0.02)
    assert times[2] == pytest.approx(298_000_000, rel=0.02)


def test_bandwidth_and_latency_hold_and_can_be_changed_while_the_guest_runs(make_lab: Callable[..., Lab]):
    lab = make_lab({"size": "1 MiB", "latency": "1 ms"}, clusters=250, pools=[])
    start(lab, "a")
    run_to(lab, "a", "." * 10)
    assert lab.vm("a").disk().state.counters.latency_ns == pytest.approx(10_000_000, rel=0.05)
    lab.apply({"verb": "disk_limits", "vm": "a", "latency": 0, "bandwidth": "100 KiB/s"})
    run_to(lab, "a", "." * 40)
    begun = lab.now_ns
    run_to(lab, "a", "." * 200)
    # 160 sectors are 80 KiB: 800 ms, but for what was left in the bucket, 20 sectors at most.
    assert 690_000_000 < lab.now_ns - begun < 805_000_000
    assert lab.config.vms[0].to_dict()["disk"] == {"size": "1 MiB", "bandwidth": "100 KiB/s"}


def test_an_injected_error_and_a_delay_hit_the_operation_they_name(make_lab: Callable[..., Lab]):
    lab = make_lab("1 MiB", clusters=8, pools=[])
    lab.apply({"verb": "disk_fault", "vm": "a", "operation": "write", "skip": 2})
    lab.apply({"verb": "disk_fault", "vm": "a", "operation": "write", "skip": 4, "delay": "5 ms"})
    start(lab, "a")
    run_to(lab, "a", "..!")
    lab.apply({"verb": "console_input", "vm": "a", "text": "x"})
    run_to(lab, "a", "..!......")
    counters = lab.vm("a").disk().state.counters
    assert (counters.errors, counters.writes, counters.delayed) == (1, 8, 1)
    assert 5_000_000 <= counters.latency_max_ns < 5_200_000


def test_what_was_flushed_outlives_the_loss_of_power(make_lab: Callable[..., Lab]):
    lab = make_lab({"volume": "a-disk", "cache": "writeback"}, clusters=8, flush_every=2)
    lab.apply({"verb": "pool_resize", "pool": "fast", "capacity": "64 KiB"})
    start(lab, "a")
    run_to(lab, "a", "..f..f.")
    answer = lab.apply({"verb": "power_loss", "vm": "a"})
    assert answer["lost_sectors"] == 1
    assert [lab.vm("a").disk().contents()[number * 4096] for number in range(5)] == [1, 2, 3, 4, 0]
    assert lab.vm("a").state.value == "shut off"


def test_a_checkpoint_holds_volumes_and_requests_under_way(make_lab: Callable[..., Lab]):
    lab = make_lab({"volume": "a-disk", "latency": "1 ms", "cache": "writeback"}, clusters=12, flush_every=3)
    lab.apply({"verb": "pool_resize", "pool": "fast", "capacity": "1 MiB"})
    start(lab, "a")
    run_to(lab, "a", "...f.")
    checkpoint, then = lab.checkpoint(), lab.state_hash()
    run_to(lab, "a", "...f...f...f..")
    expected, at = lab.state_hash(), lab.position
    lab.apply({"verb": "power_loss", "vm": "a"})
    lab.apply({"verb": "vol_rebase", "volume": "a-disk", "backing": ""})
    lab.restore(checkpoint)
    assert lab.state_hash() == then
    lab.advance(at)
    assert lab.state_hash() == expected


def test_a_lab_with_throttled_disks_is_the_same_in_every_run(make_lab: Callable[..., Lab]):
    hashes: set[str] = set()
    for parts in (1, 7):
        disks = ({"volume": "a-disk", "iops": 300, "latency": "100 us"}, {"volume": "b-disk", "iops": 150})
        lab = make_lab(*disks, clusters=90)
        lab.apply({"verb": "pool_resize", "pool": "fast", "capacity": "128 KiB"})
        start(lab, "a", "b")
        begun = lab.position
        for part in range(1, parts + 1):
            lab.advance(begun + 30_000_000 * part // parts)
        hashes.add(lab.state_hash())
    assert len(hashes) == 1


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"verb": "vol_delete", "volume": "a-disk"}, "volume a-disk is the disk of a, b; undefine it"),
    ({"verb": "vol_resize", "volume": "golden", "capacity": "1 MiB"}, "it backs a-disk, b-disk"),
    ({"verb": "vol_create", "volume": "x", "pool": "slow", "capacity": "4 KiB"}, "there is no pool 'slow'"),
    ({"verb": "vol_create", "volume": "X", "pool": "fast"}, "volume has no capacity"),
    ({"verb": "vol_resize", "volume": "a-disk", "capacity": "4 KiB"}, "can only grow"),
    ({"verb": "vol_rebase", "volume": "golden", "backing": "a-disk"}, "it would back itself"),
    ({"verb": "vol_upload", "volume": "golden", "data": "eA=="}, "golden cannot be written to: it backs"),
    ({"verb": "vol_upload", "volume": "b-disk", "data": "?"}, "data must be base64"),
    ({"verb": "vol_import", "volume": "x", "pool": "fast", "data": "UUZJ+w=="}, "no qcow2 image: it has 4"),
    ({"verb": "vol_import", "volume": "x", "pool": "fast", "data": "eA==" * 8}, "data must be base64"),
    (
        {"verb": "vol_import", "volume": "x", "pool": "fast", "data": "eHh4" * 8000},
        "the image needs more than the 20480 bytes that are free",
    ),
    ({"verb": "vol_upload", "volume": "a-disk", "data": "eA=="}, "a-disk is the disk of a; shut it off"),
    ({"verb": "pool_delete", "pool": "fast"}, "pool fast holds golden, a-disk, b-disk"),
    ({"verb": "pool_resize", "pool": "fast", "capacity": "none"}, "capacity is wrong"),
    ({"verb": "start", "vm": "b"}, "volume a-disk is the disk of a, which is on"),
    ({"verb": "start", "vm": "c"}, "golden, backs a-disk, b-disk, and a write would change them"),
    ({"verb": "disk_fault", "vm": "a", "operation": "seek"}, "operation is 'seek'; expected one of read"),
    ({"verb": "disk_limits", "vm": "a", "iops": -1}, "disk.iops is -1; must be from 0"),
    ({"verb": "set_vm", "vm": "b", "disk": {"volume": "goldn"}}, "no volume 'goldn'; did you mean `golden`"),
    ({"verb": "power_loss", "vm": "b"}, "cannot destroy b: it is shut off"),
]


@pytest.mark.parametrize(("action", "message"), REFUSED)
def test_what_would_harm_a_volume_is_refused(
    make_lab: Callable[..., Lab], action: dict[str, object], message: str
):
    lab = make_lab({"volume": "a-disk"}, {"volume": "a-disk"}, {"volume": "golden"})
    start(lab, "a")
    before = list(lab.hypervisor.storage.state_parts())
    with pytest.raises(LabError) as caught:
        lab.apply(action)
    assert message in str(caught.value)
    assert list(lab.hypervisor.storage.state_parts()) == before
    assert [vm.state.value for vm in lab.hypervisor.vms.values()] == ["running", "shut off", "shut off"]


def test_bytes_can_be_put_into_a_volume_and_read_only_guests_share_it(make_lab: Callable[..., Lab]):
    shared = {"volume": "golden", "read_only": True}
    lab = make_lab(shared, shared)
    for name in ("a-disk", "b-disk"):
        lab.apply({"verb": "vol_delete", "volume": name})
    data = base64.b64encode(b"from outside").decode()
    lab.apply({"verb": "vol_upload", "volume": "golden", "offset": 512, "data": data})
    start(lab, "a", "b")
    run_to(lab, "a", "!")
    run_to(lab, "b", "!")
    assert lab.vm("b").disk().contents()[512:524] == b"from outside"


@pytest.mark.parametrize("options", [[], ["-c"], ["-o", "cluster_size=512"], ["-o", "compat=0.10"]])
def test_a_guests_disk_goes_out_to_qemu_and_comes_back(
    make_lab: Callable[..., Lab], qemu_img: str, tmp_path: Path, options: list[str]
):
    lab = make_lab({"volume": "a-disk"}, clusters=4)
    data = base64.b64encode(bytes(5000) + b"under the overlay").decode()
    lab.apply({"verb": "vol_upload", "volume": "a-disk", "offset": 20480, "data": data})
    start(lab, "a")
    run_to(lab, "a", "...")
    ours, raw, theirs = (tmp_path / name for name in ("ours.qcow2", "raw.img", "theirs.qcow2"))
    ours.write_bytes(lab.volume_image("a-disk"))
    subprocess.run([qemu_img, "check", ours], check=True, capture_output=True)
    subprocess.run([qemu_img, "convert", "-O", "raw", ours, raw], check=True)
    assert raw.read_bytes() == lab.vm("a").disk().contents() == lab.volume_image("a-disk", "raw")
    subprocess.run([qemu_img, "convert", "-O", "qcow2", *options, raw, theirs], check=True)
    data = base64.b64encode(theirs.read_bytes()).decode()
    lab.apply({"verb": "pool_resize", "pool": "fast", "capacity": "1 MiB"})
    answer = lab.apply({"verb": "vol_import", "volume": "back", "pool": "fast", "data": data})
    assert (answer["capacity"], answer["format"]) == (64 << 10, "qcow2")
    assert lab.volume_image("back", "raw") == raw.read_bytes()


def test_an_overlay_goes_out_with_the_name_of_its_backing(
    make_lab: Callable[..., Lab], qemu_img: str, tmp_path: Path
):
    lab = make_lab({"volume": "a-disk"}, clusters=4)
    start(lab, "a")
    run_to(lab, "a", "...")
    for name in ("golden", "a-disk"):
        (tmp_path / f"{name}.qcow2").write_bytes(lab.volume_image(name, flat=False))
    out = tmp_path / "raw.img"
    subprocess.run([qemu_img, "convert", "-O", "raw", tmp_path / "a-disk.qcow2", out], check=True)
    assert out.read_bytes() == lab.vm("a").disk().contents()


def test_a_lab_with_pools_is_replayed_and_reset(make_lab: Callable[..., Lab], engine: Any):
    lab = make_lab({"volume": "a-disk"})
    lab.apply({"verb": "vol_create", "volume": "x", "pool": "fast", "capacity": "4 KiB"})
    start(lab, "a")
    run_to(lab, "a", "..")
    assert LabConfig.from_dict(lab.config.to_dict()) == lab.config
    again = Lab.replay(lab.config_at_start, lab.programs, 7, lab.log, lab.position, engine)
    assert again.state_hash() == lab.state_hash()
    lab.apply({"verb": "reset_lab"})
    assert list(lab.hypervisor.storage.state.volumes) == ["golden", "a-disk", "b-disk"]
    assert lab.hypervisor.storage.allocation("fast") == 0


def test_a_snapshot_does_not_take_more_of_a_pool_than_there_is(make_lab: Callable[..., Lab]):
    lab = make_lab({"volume": "a-disk"}, {"volume": "b-disk"})
    lab.apply({"verb": "pool_resize", "pool": "fast", "capacity": "40 KiB"})
    lab.apply({"verb": "snapshot_create", "vm": "b", "name": "empty"})
    start(lab, "b")
    run_to(lab, "b", "." * 8)
    lab.apply({"verb": "snapshot_create", "vm": "b", "name": "full"})
    lab.apply({"verb": "snapshot_revert", "vm": "b", "name": "empty"})
    start(lab, "a")
    run_to(lab, "a", "." * 8)
    before = lab.state_hash()
    with pytest.raises(LabError, match=r"takes 32768 bytes more of pool fast .* and 8192 are free; extend"):
        lab.apply({"verb": "snapshot_revert", "vm": "b", "name": "full"})
    assert lab.state_hash() == before
    lab.apply({"verb": "pool_resize", "pool": "fast", "capacity": "64 KiB"})
    lab.apply({"verb": "snapshot_revert", "vm": "b", "name": "full"})
    assert lab.hypervisor.storage.free("fast") == 0


def test_a_chain_shows_what_each_layer_holds_and_who_shares_it(make_lab: Callable[..., Lab]):
    lab = make_lab({"volume": "a-disk"}, {"volume": "golden", "read_only": True}, "64 KiB", clusters=2)
    start(lab, "a")
    run_to(lab, "a", "..")
    overlay, base = chains_view(lab)[0]["layers"]
    assert (overlay["name"], overlay["allocated"], overlay["units"], overlay["shared_with"]) == (
        *("a-disk", 2, 16),
        [],
    )
    assert [cell["percent"] for cell in overlay["cells"]] == [100, 100] + [0] * 14
    assert (base["name"], base["allocated"], base["shared_with"]) == ("golden", 0, ["b"])
    lab.hypervisor.storage.volume("golden").clusters[1] = bytes(4096)
    base = chains_view(lab)[0]["layers"][1]
    assert (base["allocated"], base["covered"], base["cells"][1]) == (1, 1, {"percent": 100, "covered": True})
    assert [layer["kind"] for layer in chains_view(lab)[2]["layers"]] == ["changes"]
