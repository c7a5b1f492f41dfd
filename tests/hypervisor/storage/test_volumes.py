"""Pools, volumes and backing chains: what is read, what is allocated, what is refused."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.hypervisor.storage import CLUSTER_BYTES, PoolFullError, Storage, StorageError
from emulator.hypervisor.storage.merging import commit, rebase
from emulator.hypervisor.storage.state import MAX_CHAIN

PAGE = CLUSTER_BYTES


@pytest.fixture
def storage() -> Storage:
    """A pool of sixteen clusters with a base of eight, whose first holds ones."""
    storage = Storage()
    storage.create_pool("p", 16 * PAGE)
    storage.create("base", "p", 8 * PAGE, "raw")
    storage.write("base", 0, b"\1" * PAGE)
    return storage


def test_allocation_grows_with_what_is_written(storage: Storage):
    assert storage.allocation("p") == PAGE
    storage.write("base", PAGE - 1, b"ab")
    assert storage.allocation("p") == 2 * PAGE
    storage.write("base", PAGE, b"again")
    assert (storage.volume("base").capacity, storage.allocation("p")) == (8 * PAGE, 2 * PAGE)


def test_a_preallocated_volume_takes_all_its_room_at_once(storage: Storage):
    storage.create("full", "p", 8 * PAGE, "raw", preallocated=True)
    assert storage.free("p") == 7 * PAGE
    storage.write("full", 0, bytes(8 * PAGE))
    assert storage.free("p") == 7 * PAGE
    with pytest.raises(PoolFullError, match="needs 32768 bytes more of pool p, which has 28672 free"):
        storage.create("more", "p", 8 * PAGE, "raw", preallocated=True)


def test_an_overlay_reads_through_and_keeps_its_writes_to_itself(storage: Storage):
    storage.create("top", "p", backing="base")
    storage.write("top", 10, b"mine")
    assert storage.read("top", 8, 8) == b"\1\1mine\1\1"
    assert storage.read("base", 8, 8) == b"\1" * 8
    assert storage.read("top", PAGE - 2, 4) == b"\1\1\0\0"


def test_two_overlays_never_see_each_other(storage: Storage):
    for name in ("a", "b"):
        storage.create(name, "p", backing="base")
    storage.write("a", 0, b"a")
    storage.write("b", 0, b"b")
    assert (storage.read("a", 0, 2), storage.read("b", 0, 2)) == (b"a\1", b"b\1")


def test_a_write_without_room_changes_nothing_and_goes_through_after_an_extension(storage: Storage):
    storage.resize_pool("p", 2 * PAGE)
    with pytest.raises(PoolFullError, match="a write to volume base needs 8192 bytes more"):
        storage.write("base", PAGE, b"x" * 2 * PAGE)
    assert storage.read("base", PAGE, 2 * PAGE) == bytes(2 * PAGE)
    assert storage.allocation("p") == PAGE
    storage.resize_pool("p", 3 * PAGE)
    storage.write("base", PAGE, b"x" * 2 * PAGE)
    assert storage.read("base", PAGE, 2 * PAGE) == b"x" * 2 * PAGE


def test_what_was_reserved_can_be_written_in_a_full_pool(storage: Storage):
    storage.create("top", "p", backing="base")
    storage.resize_pool("p", 2 * PAGE)
    storage.reserve("top", 0, 10)
    assert storage.free("p") == 0
    storage.write("top", 0, b"fits")
    assert storage.read("top", 0, 6) == b"fits\1\1"


def test_commit_puts_an_overlay_into_its_base_and_empties_it(storage: Storage):
    storage.create("top", "p", 10 * PAGE, backing="base")
    storage.write("top", 9 * PAGE, b"beyond the base")
    assert commit(storage, "top") == 1
    assert storage.volume("base").capacity == 10 * PAGE
    assert storage.read("base", 9 * PAGE, 15) == b"beyond the base"
    assert storage.volume("top").allocation == 0


def test_flattening_keeps_what_is_read_and_frees_the_base(storage: Storage):
    storage.create("top", "p", backing="base")
    storage.write("top", 3 * PAGE, b"own")
    before = storage.read("top", 0, 8 * PAGE)
    assert rebase(storage, "top", "") == 1
    storage.delete("base")
    assert storage.read("top", 0, 8 * PAGE) == before


def test_rebase_onto_another_base_copies_only_what_differs(storage: Storage):
    storage.create("other", "p", 8 * PAGE, "raw")
    storage.write("other", 0, b"\1" * PAGE)
    storage.write("other", PAGE, b"\2" * PAGE)
    storage.create("top", "p", backing="base")
    assert rebase(storage, "top", "other") == 1
    assert storage.read("top", 0, 8 * PAGE) == storage.read("base", 0, 8 * PAGE)


def chain_of(storage: Storage, length: int) -> None:
    for number in range(length):
        storage.create(f"v{number}", "p", backing=f"v{number - 1}" if number else "base")


REFUSALS: list[tuple[Callable[[Storage], object], str]] = [
    (lambda s: s.create("base", "p", PAGE), "there is a volume 'base' already"),
    (lambda s: s.create("x", "q", PAGE), "there is no pool 'q'; pools here: p"),
    (lambda s: s.create("x", "p"), "volume x has no capacity"),
    (lambda s: s.create("x", "p", 100), "is no whole number of sectors"),
    (lambda s: s.create("x", "p", PAGE, backing="base"), "volume x is smaller than base"),
    (lambda s: s.create("x", "p", backing="nowhere"), "there is no volume 'nowhere'"),
    (lambda s: s.create("x", "p", form="raw", backing="base"), "a raw volume has no backing"),
    (lambda s: s.create("x", "p", PAGE, preallocated=True), "only a raw volume can be preallocated"),
    (lambda s: s.delete_pool("p"), "pool p holds base"),
    (lambda s: s.resize_pool("p", 512), "pool p cannot shrink to 512 bytes: 4096 are allocated"),
    (lambda s: s.resize("base", PAGE), "can only grow"),
    (lambda s: commit(s, "base"), "volume base has no backing volume"),
    (lambda s: rebase(s, "base", "base"), "it would back itself"),
    (lambda s: chain_of(s, MAX_CHAIN), "has 16 volumes, the most there may be"),
]


@pytest.mark.parametrize(("act", "message"), REFUSALS)
def test_what_would_harm_is_refused(storage: Storage, act: Callable[[Storage], object], message: str):
    with pytest.raises(StorageError, match=message):
        act(storage)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda s: s.delete("base"), "volume base cannot be deleted: it backs v0"),
        (lambda s: s.resize("base", 9 * PAGE), "volume base cannot be resized: it backs v0"),
        (lambda s: rebase(s, "v0", "v2"), "volume v0 cannot be rebased onto v2: it would back itself"),
    ],
)
def test_a_chain_is_kept_whole(storage: Storage, act: Callable[[Storage], object], message: str):
    chain_of(storage, 3)
    with pytest.raises(StorageError, match=message):
        act(storage)


def test_a_base_of_two_overlays_takes_no_commit(storage: Storage):
    storage.create("a", "p", backing="base")
    storage.create("b", "p", backing="base")
    with pytest.raises(StorageError, match="base also backs b, whose contents would change"):
        commit(storage, "a")


SIZE = 4 * PAGE
NAMES = ("base", "a", "b", "c")
WRITES = st.tuples(
    st.just("write"), st.sampled_from(NAMES), st.integers(0, SIZE - 1), st.binary(min_size=1, max_size=6000)
)
MERGES = st.tuples(st.sampled_from(["commit", "flatten", "shrink", "grow"]), st.sampled_from(NAMES))


@settings(max_examples=60)
@given(st.lists(WRITES | MERGES, max_size=25))
def test_any_history_reads_like_plain_arrays_and_never_takes_more_than_the_pool_has(
    steps: list[tuple[object, ...]],
):
    storage = Storage()
    storage.create_pool("p", 10 * PAGE)
    storage.create("base", "p", SIZE)
    for name, backing in (("a", "base"), ("b", "a"), ("c", "a")):
        storage.create(name, "p", backing=backing)
    seen = {name: bytearray(SIZE) for name in NAMES}
    for step in steps:
        _do(storage, seen, step)
        assert storage.allocation("p") <= storage.pool("p").capacity
        for name in NAMES:
            assert storage.read(name, 0, SIZE) == bytes(seen[name])


def _do(storage: Storage, seen: dict[str, bytearray], step: tuple[object, ...]) -> None:
    """Do a step as the lab does: what backs another is not written. `seen` changes as a model says."""
    kind, name = step[0], str(step[1])
    try:
        if kind == "write" and not storage.overlays_of(name):
            _, _, offset, data = step
            assert isinstance(offset, int)
            assert isinstance(data, bytes)
            part = data[: SIZE - offset]
            storage.write(name, offset, part)
            seen[name][offset : offset + len(part)] = part
        elif kind == "commit":
            base = storage.volume(name).backing
            commit(storage, name)
            seen[base] = bytearray(seen[name])
        elif kind == "flatten":
            rebase(storage, name, "")
        elif kind in ("shrink", "grow"):
            storage.resize_pool("p", storage.allocation("p") + (PAGE if kind == "grow" else 0))
    except StorageError:
        pass
