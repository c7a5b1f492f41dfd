"""`vmlab disk`, beside QEMU's qemu-img, which reads what is written here and the other way round."""

import json
import random
import subprocess
from pathlib import Path

import pytest

from app import cli


def pattern(clusters: int, size: int = 4096) -> bytes:
    """Bytes of which a third is random, a third text and a third zero."""
    chance = random.Random(1)
    kinds = (chance.randbytes(size), (b"a line of text\n" * size)[:size], bytes(size))
    return b"".join(kinds[chance.randrange(3)] for _ in range(clusters)) + b"end".ljust(512, b".")


def qemu(qemu_img: str, *words: object) -> str:
    """Run qemu-img; it succeeds."""
    done = subprocess.run([qemu_img, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def disk(*words: object) -> int:
    """Run `vmlab disk`."""
    return cli.main(["disk", *map(str, words)])


@pytest.mark.parametrize("cluster", [512, 4096, 65536, 2 << 20])
@pytest.mark.parametrize("compress", [[], ["-c"]])
def test_qemu_reads_what_is_written(tmp_path: Path, qemu_img: str, cluster: int, compress: list[str]):
    raw, ours, back = tmp_path / "in.img", tmp_path / "ours.qcow2", tmp_path / "back.img"
    raw.write_bytes(pattern(300))
    assert disk("convert", "-O", "qcow2", "--cluster-size", cluster, *compress, raw, ours) == 0
    assert "No errors were found" in qemu(qemu_img, "check", ours)
    qemu(qemu_img, "convert", "-O", "raw", ours, back)
    assert back.read_bytes() == raw.read_bytes()
    qemu(qemu_img, "compare", raw, ours)


@pytest.mark.parametrize(
    "options", [[], ["-c"], ["-o", "compat=0.10"], ["-o", "cluster_size=512"], ["-o", "refcount_bits=1"]]
)
def test_what_qemu_writes_is_read(tmp_path: Path, qemu_img: str, options: list[str]):
    raw, theirs, back = tmp_path / "in.img", tmp_path / "theirs.qcow2", tmp_path / "back.img"
    raw.write_bytes(pattern(200))
    qemu(qemu_img, "convert", "-O", "qcow2", *options, raw, theirs)
    assert disk("check", theirs) == 0
    assert disk("convert", "-O", "raw", theirs, back) == 0
    assert back.read_bytes() == raw.read_bytes()


def test_chains_are_the_same_for_both(tmp_path: Path, qemu_img: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("base.img").write_bytes(pattern(20))
    assert disk("create", "-b", "base.img", "ours.qcow2", "1MiB") == 0
    qemu(qemu_img, "create", "-f", "qcow2", "-b", "ours.qcow2", "-F", "qcow2", "top.qcow2")
    assert disk("convert", "top.qcow2", "ours.img") == 0
    qemu(qemu_img, "convert", "-O", "raw", "top.qcow2", "theirs.img")
    assert Path("ours.img").read_bytes() == Path("theirs.img").read_bytes()
    found = json.loads(qemu(qemu_img, "info", "--output=json", "--backing-chain", "top.qcow2"))
    assert [one["virtual-size"] for one in found] == [1 << 20, 1 << 20, 20 * 4096 + 512]


def test_a_snapshot_inside_an_image_is_counted(tmp_path: Path, qemu_img: str):
    image = tmp_path / "s.qcow2"
    (tmp_path / "in.img").write_bytes(pattern(30))
    qemu(qemu_img, "convert", "-O", "qcow2", tmp_path / "in.img", image)
    qemu(qemu_img, "snapshot", "-c", "before", image)
    assert disk("check", image) == 0


def test_info_tells_the_chain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert disk("create", "base.qcow2", "64MiB") == 0
    assert disk("create", "-b", "base.qcow2", "web.qcow2") == 0
    assert disk("info", "--json", "web.qcow2") == 0
    top, base = json.loads(capsys.readouterr().out)
    assert (top["virtual_size"], top["backing"], base["path"]) == (
        64 << 20,
        "base.qcow2",
        str(tmp_path / "base.qcow2"),
    )
    assert disk("info", "web.qcow2") == 0
    assert "backing file 1:\npath:" in capsys.readouterr().out


def test_damage_is_status_1_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    image = tmp_path / "d.qcow2"
    (tmp_path / "in.img").write_bytes(b"x" * 4096)
    assert disk("convert", "-O", "qcow2", tmp_path / "in.img", image) == 0
    data = bytearray(image.read_bytes())
    refcounts = data.index(b"\0\1\0\1\0\1\0\1")
    data[refcounts : refcounts + 2] = b"\0\0"
    image.write_bytes(data)
    assert disk("check", image) == 1
    assert "error: cluster 0 has refcount 0 and 1 references" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["convert", "gone.img", "x"], "gone.img: there is no such file"),
        (["check", "raw.img"], "raw.img: it is no qcow2 image"),
        (["convert", "-f", "qcow2", "raw.img", "x"], "raw.img: it is no qcow2 image: it begins with"),
        (["convert", "-O", "qcow2", "raw.img", "raw.img"], "raw.img is read from; name another target"),
        (["create", "raw.img", "1MiB"], "raw.img exists already"),
        (["create", "new.img"], "give a size"),
        (["create", "new.img", "1MB"], "size: '1MB' has the unknown unit 'MB'"),
        (["create", "new.img", "1000"], "1000 bytes: must be a multiple of 512"),
        (["convert", "-O", "qcow2", "--cluster-size", "3KiB", "raw.img", "x"], "must be a power of 2"),
        (["convert", "-c", "raw.img", "x"], "a raw image has no clusters to compress"),
        (["convert", "thief.qcow2", "x"], "its backing file '/etc/passwd' is outside its folder"),
        (["convert", "loop.qcow2", "x"], "the chain of backing files comes back to"),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
):
    monkeypatch.chdir(tmp_path)
    Path("raw.img").write_bytes(bytes(4096))
    assert disk("create", "-b", "/etc/passwd", "-F", "raw", "thief.qcow2") == 0
    Path("loop.qcow2").write_bytes(Path("thief.qcow2").read_bytes().replace(b"/etc/passwd", b"loop.qcow2\0"))
    data = bytearray(Path("loop.qcow2").read_bytes())
    data[16:20] = (10).to_bytes(4, "big")
    data[data.index(b"\xe2\x79\x2a\xca") + 7 : data.index(b"\xe2\x79\x2a\xca") + 16] = b"\5qcow2\0\0\0"
    Path("loop.qcow2").write_bytes(data)
    assert disk(*words) == 2
    assert message in capsys.readouterr().err
    assert not Path("x").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loop.qcow2", "raw.img", "thief.qcow2"]
