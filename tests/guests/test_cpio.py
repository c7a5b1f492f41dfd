"""Initramfs archives hold what they were given, and Linux need not move their bytes one by one."""

from app.guests import cpio

ENTRIES = (
    cpio.directory("bin"),
    cpio.program("bin/one", b"first"),
    cpio.link("bin/two", "one"),
    cpio.device("console", 5, 1),
    cpio.program("bin/three", bytes(range(100))),
)


def _records(data: bytes) -> list[tuple[str, list[int], bytes, int]]:
    """Return name, header numbers, content and its offset of each record, as the kernel reads them."""
    found: list[tuple[str, list[int], bytes, int]] = []
    at = 0
    while at < len(data):
        assert data[at : at + 6] == b"070701"
        numbers = [int(data[at + 6 + 8 * index : at + 14 + 8 * index], 16) for index in range(13)]
        name_end = at + 110 + numbers[11]
        name = data[at + 110 : name_end].rstrip(b"\0").decode()
        content_at = (name_end + 3) & ~3
        content = data[content_at : content_at + numbers[6]]
        found.append((name, numbers, content, content_at))
        at = (content_at + numbers[6] + 3) & ~3
    return found


def test_every_entry_is_in_the_archive_in_order():
    records = _records(cpio.archive(ENTRIES))
    assert [name for name, *_ in records] == [*(entry.path for entry in ENTRIES), "TRAILER!!!"]
    assert [content for _, _, content, _ in records[:-1]] == [entry.data for entry in ENTRIES]
    assert [numbers[1] for _, numbers, *_ in records[:-1]] == [entry.mode for entry in ENTRIES]
    assert records[3][1][9:11] == [5, 1]


def test_content_of_files_is_aligned():
    offsets = [
        at for name, _, content, at in _records(cpio.archive(ENTRIES)) if content and name != "bin/two"
    ]
    assert [offset % cpio.DATA_ALIGNMENT for offset in offsets] == [0, 0]


def test_the_same_entries_give_the_same_bytes():
    assert cpio.archive(ENTRIES) == cpio.archive(ENTRIES)
