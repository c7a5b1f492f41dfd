"""Messages cross a pipe unchanged, and what is not a message is refused."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.workers.protocol import HEADER, Message, ProtocolError, encode, read

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
messages = st.builds(
    Message,
    kind=st.text(),
    lab=st.text(),
    call=st.integers(0, 2**31),
    body=st.dictionaries(st.text(), json_values),
    blobs=st.lists(st.tuples(st.text(), st.binary())).map(tuple),
)


@given(st.lists(messages, max_size=4))
def test_messages_arrive_as_they_were_sent(sent: list[Message]) -> None:
    stream = io.BytesIO(b"".join(map(encode, sent)))
    assert [read(stream) for _ in sent] == sent
    assert read(stream) is None


def test_a_message_cut_short_is_the_end_of_the_stream() -> None:
    frame = encode(Message("apply", body={"verb": "start"}))
    assert read(io.BytesIO(frame[:-1])) is None


def test_a_frame_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(ProtocolError, match="too long"):
        read(io.BytesIO(HEADER.pack(2**31, 0)))


@given(st.binary())
def test_a_header_that_is_no_message_is_refused(header: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(io.BytesIO(HEADER.pack(len(header), 0) + header))


def test_blobs_that_do_not_fill_the_frame_are_refused() -> None:
    header = json.dumps(
        {"kind": "", "lab": "", "call": 0, "body": {}, "blobs": [["a", -1], ["b", 3]]}
    ).encode()
    with pytest.raises(ProtocolError, match="blobs"):
        read(io.BytesIO(HEADER.pack(len(header), 2) + header + b"xy"))
