"""Every frame has exactly one owner, whatever is taken and given back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.hypervisor.partition import FREE, ROOT_FRAMES, OutOfFramesError, Partition, ram_code, table_code
from emulator.hypervisor.trace import Revision

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 60)),
        st.tuples(st.just("root"), st.just(0)),
        st.tuples(st.just("give"), st.integers(0, 30)),
    ),
    max_size=40,
)


@given(frames=st.integers(16, 300), steps=STEPS)
@settings(max_examples=200)
def test_frames_are_conserved(frames: int, steps: list[tuple[str, int]]) -> None:
    partition = Partition(frames, Revision())
    held: list[list[int]] = []
    for verb, number in steps:
        free = partition.free_count
        try:
            if verb == "take":
                held.append(partition.take(number, ram_code(3)))
            elif verb == "root":
                held.append(partition.take_root(table_code(3)))
            elif held:
                partition.give_back(held.pop(number % len(held)))
        except OutOfFramesError:
            assert partition.free_count == free
        mine = [hfn for batch in held for hfn in batch]
        assert len(mine) == len(set(mine)) == frames - partition.free_count
        assert {hfn for hfn, code in enumerate(partition.codes) if code != FREE} == set(mine)


@given(frames=st.integers(16, 300), steps=STEPS, cut=st.integers(0, 40))
@settings(max_examples=100)
def test_changes_since_a_revision_turn_the_old_map_into_the_new(
    frames: int, steps: list[tuple[str, int]], cut: int
) -> None:
    revision = Revision()
    partition = Partition(frames, revision)
    held: list[list[int]] = []
    copy, cursor = bytearray(partition.codes), revision.value
    for number, (verb, count) in enumerate(steps):
        if number == cut:
            copy, cursor = bytearray(partition.codes), revision.value
        if verb == "give" and held:
            partition.give_back(held.pop())
        elif verb == "take" and count <= partition.free_count:
            held.append(partition.take(count, ram_code(number)))
    changes = partition.changes_since(cursor)
    assert changes is not None
    for first, count, code in changes:
        copy[first : first + count] = bytes([code]) * count
    assert copy == partition.codes


def test_changes_of_too_long_ago_are_not_known() -> None:
    revision = Revision()
    partition = Partition(8192, revision)
    for _ in range(3000):
        partition.give_back(partition.take(16, 2))
    assert partition.changes_since(0) is None
    assert partition.changes_since(revision.value) == []


def test_root_is_aligned_to_16_kib() -> None:
    partition = Partition(64, Revision())
    roots = [partition.take_root(3) for _ in range(16)]
    assert all(frames[0] % ROOT_FRAMES == 0 for frames in roots)
    with pytest.raises(OutOfFramesError, match="16 KiB"):
        partition.take_root(3)


def test_too_few_frames_are_named_in_numbers() -> None:
    partition = Partition(64, Revision())
    partition.take(60, 2)
    with pytest.raises(OutOfFramesError, match="5 frames are needed and 4 are free"):
        partition.take(5, 2)


def test_frames_of_a_vm_are_scattered_over_the_host() -> None:
    frames = Partition(2048, Revision()).take(256, 2)
    assert frames != sorted(frames)
    assert max(frames) - min(frames) > 1500


@given(frames=st.integers(1, 300), steps=STEPS)
@settings(max_examples=100)
def test_the_free_frames_that_come_first_in_a_fixed_order_are_taken(
    frames: int, steps: list[tuple[str, int]]
) -> None:
    order = Partition(frames, Revision()).take(frames, 2)
    partition = Partition(frames, Revision())
    held: list[list[int]] = []
    for verb, number in steps:
        if verb == "give" and held:
            partition.give_back(held.pop(number % len(held)))
        elif verb == "take" and number <= partition.free_count:
            free = [hfn for hfn in order if partition.codes[hfn] == FREE]
            held.append(partition.take(number, 2, gpa=0x8000_0000))
            assert held[-1] == free[:number]
            seen = [partition.gpa(hfn) for hfn in held[-1]]
            assert seen == [0x8000_0000 + 4096 * page for page in range(number)]
