"""qcow2 images: what is written is read back and checked clean, and no file can do harm."""

import io
import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.hypervisor.storage.qcow2 import Image, Qcow2Error, check, read_header, write_image

BITS = 12
SIZE = 1 << BITS
# Offsets of fields in the header, and of the tables of `image()`.
VERSION, BACKING, CLUSTER_BITS, DISK_SIZE, CRYPT, L1_SIZE, L1_AT = 4, 8, 20, 24, 32, 36, 40
REFCOUNT_AT, REFCOUNT_CLUSTERS, SNAPSHOTS, INCOMPATIBLE, ORDER, LENGTH = 48, 56, 60, 72, 96, 100
L1_TABLE = SIZE


def image(**options: object) -> bytearray:
    """A disk of 600 clusters, of which four are written: one in a second L2 table, one zero."""
    out = io.BytesIO()
    clusters = [(0, b"\1" * SIZE), (3, b""), (7, b"text " * 100), (520, bytes(range(256)) * 16)]
    write_image(out, 600 * SIZE, clusters, BITS, **options)  # pyright: ignore[reportArgumentType]
    return bytearray(out.getvalue())


def opened(data: bytes | bytearray) -> Image:
    return Image(io.BytesIO(data))


@pytest.mark.parametrize("compress", [False, True])
def test_what_is_written_is_read_back(compress: bool):
    found = opened(image(compress=compress))
    assert list(found.mapped()) == [0, 3, 7, 520]
    assert found.cluster(0) == b"\1" * SIZE
    assert found.cluster(1) is None
    assert found.cluster(3) == bytes(SIZE)
    assert found.cluster(7) == (b"text " * 100).ljust(SIZE, b"\0")
    assert found.cluster(520) == bytes(range(256)) * 16
    assert found.cluster(599) is None


@pytest.mark.parametrize("compress", [False, True])
def test_an_image_is_clean(compress: bool):
    report = check(io.BytesIO(image(compress=compress)))
    assert report.clean
    assert (report.allocated, report.total, report.compressed) == (3, 600, 3 if compress else 0)


def test_the_backing_file_is_named():
    header = read_header(io.BytesIO(image(backing="base.img", backing_format="raw")))
    assert (header.backing, header.backing_format, header.version) == ("base.img", "raw", 3)


def put(data: bytearray, at: int, form: str, value: int) -> bytearray:
    struct.pack_into(">" + form, data, at, value)
    return data


def field(data: bytes | bytearray, at: int, form: str) -> int:
    found: int = struct.unpack_from(">" + form, data, at)[0]
    return found


HEADERS = [
    (0, "I", 0x7F454C46, "begins with 7f 45 4c 46 instead of 51 46 49 fb"),
    (VERSION, "I", 4, "qcow2 of version 4"),
    (CLUSTER_BITS, "I", 8, r"clusters of 2\^8 bytes"),
    (CLUSTER_BITS, "I", 63, r"clusters of 2\^63 bytes"),
    (CRYPT, "I", 2, r"encrypted \(LUKS\)"),
    (DISK_SIZE, "Q", 1 << 63, "claims 9223372036854775808 bytes"),
    (DISK_SIZE, "Q", 1 << 33, "the L1 table has 2 entries, and 8589934592 bytes need 4096"),
    (L1_SIZE, "I", 0xFFFF_FFFF, "the L1 table has 4294967295 entries"),
    (L1_SIZE, "I", 1 << 20, "the L1 table at 0x1000 .* lies outside the file"),
    (L1_AT, "Q", 7, "the L1 table at 0x7 does not begin at a cluster"),
    (L1_AT, "Q", 1 << 62, "the L1 table .* lies outside the file"),
    (L1_AT, "Q", 0, "the L1 table at 0x0 overlaps the header"),
    (REFCOUNT_AT, "Q", SIZE, "the refcount table at 0x1000 overlaps the L1 table"),
    (REFCOUNT_AT, "Q", (1 << 63) - SIZE, "the refcount table .* lies outside the file"),
    (REFCOUNT_CLUSTERS, "I", 1 << 30, "the refcount table has 1073741824 clusters"),
    (SNAPSHOTS, "I", 1 << 31, "there are 2147483648 snapshots"),
    (INCOMPATIBLE, "Q", 2, "is marked corrupt"),
    (INCOMPATIBLE, "Q", 4, "keeps its data in an external file"),
    (INCOMPATIBLE, "Q", 8, "compressed by other means than zlib"),
    (INCOMPATIBLE, "Q", 16, "extended L2 entries"),
    (INCOMPATIBLE, "Q", 1 << 40, "needs an unknown feature .bit 40."),
    (ORDER, "I", 7, r"refcounts of 2\^7 bits"),
    (LENGTH, "I", 8, "the header's length is 8"),
    (LENGTH, "I", 1 << 31, "the header's length is 2147483648"),
    (BACKING, "Q", 4090, r"the backing file's name \(8 bytes at 0xffa\) is not in the first cluster"),
]


@pytest.mark.parametrize(("at", "form", "value", "message"), HEADERS)
def test_a_header_that_lies_is_refused_by_name(at: int, form: str, value: int, message: str):
    with pytest.raises(Qcow2Error, match=message):
        opened(put(image(backing="base.img"), at, form, value))


def test_tables_that_overlap_are_refused():
    data = image()
    first = field(data, L1_TABLE, "Q")
    with pytest.raises(Qcow2Error, match=r"L2 table 1 at .* overlaps L2 table 0"):
        opened(put(bytearray(data), L1_TABLE + 8, "Q", first))
    with pytest.raises(Qcow2Error, match="L2 table 0 at 0x1000 overlaps the L1 table"):
        opened(put(bytearray(data), L1_TABLE, "Q", SIZE))
    with pytest.raises(Qcow2Error, match="L2 table 0 at 0x1200 does not begin at a cluster"):
        opened(put(bytearray(data), L1_TABLE, "Q", SIZE + 512))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (SIZE, "guest cluster 0 at 0x1000 overlaps the L1 table"),
        (1 << 50, "guest cluster 0 at 0x4000000000000 lies outside the file"),
        (0x200, "a data cluster at 0x200 does not begin at a cluster"),
        (1 << 62 | 1 << 50, "lies outside the file"),
        (1 << 62 | 2 * SIZE, "guest cluster 0 cannot be decompressed"),
    ],
)
def test_a_data_cluster_that_is_none_is_refused(entry: int, message: str):
    data = image()
    l2 = field(data, L1_TABLE, "Q") & ~(1 << 63)
    with pytest.raises(Qcow2Error, match=message):
        opened(put(data, l2, "Q", entry)).cluster(0)


def test_check_tells_leaks_from_errors():
    data = image()
    l2 = field(data, L1_TABLE, "Q") & ~(1 << 63)
    leaked = check(io.BytesIO(put(bytearray(data), l2, "Q", 0)))
    assert (leaked.error_count, leaked.leaks) == (0, 1)
    shared = put(bytearray(data), l2 + 8, "Q", field(data, l2, "Q"))
    report = check(io.BytesIO(shared))
    assert report.errors == ["cluster 2 has refcount 1 and 2 references"]


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 120) | st.integers(SIZE, SIZE + 16) | st.integers(0, 9 * SIZE),
            st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF]),
        ),
        min_size=1,
        max_size=8,
    ),
    st.booleans(),
)
def test_any_damage_is_an_image_or_a_named_error(changes: list[tuple[int, int]], compress: bool):
    data = image(compress=compress)
    for at, value in changes:
        data[at % len(data)] = value
    for use in (lambda: [*map(opened(data).cluster, opened(data).mapped())], lambda: check(io.BytesIO(data))):
        with suppress(Qcow2Error):
            use()


@settings(max_examples=40)
@given(st.binary(max_size=300))
def test_any_bytes_are_an_image_or_a_named_error(data: bytes):
    for start in (b"", b"QFI\xfb\0\0\0\3"):
        with pytest.raises(Qcow2Error):
            opened(start + data)
