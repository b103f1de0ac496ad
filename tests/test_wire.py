"""The wire format, byte for byte as openpi documents it, and what strangers may send instead."""

from __future__ import annotations

import contextlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

pytest.importorskip("msgpack", reason="extra serve")

import msgpack

from graspgap.deployment.requests import from_json, from_wire
from graspgap.deployment.wire import WireError, pack, unpack
from graspgap.errors import UserError

ARRAY = (
    b"\x84"  # a map of four entries
    b"\xc4\x0b__ndarray__\xc3"  # 11 bytes, true
    b"\xc4\x04data\xc4\x08" + struct.pack("<2f", 1.5, -2.0) +  # 8 bytes
    b"\xc4\x05dtype\xa3<f4"  # a text of 3
    b"\xc4\x05shape\x92\x01\x02"  # the list [1, 2]
)  # fmt: skip
SCALAR = b"\x83\xc4\x0d__npgeneric__\xc3\xc4\x04data\x07\xc4\x05dtype\xa3|u1"


def test_an_array_has_the_documented_bytes() -> None:
    value = np.array([[1.5, -2.0]], np.float32)
    assert pack(value) == ARRAY
    found = unpack(ARRAY)
    np.testing.assert_array_equal(found, value)
    assert (found.dtype, found.shape) == (np.float32, (1, 2))


def test_a_scalar_has_the_documented_bytes() -> None:
    assert pack(np.uint8(7)) == SCALAR
    found = unpack(SCALAR)
    assert (found, type(found)) == (7, np.uint8)


def test_a_map_keeps_its_texts_and_bytes_apart() -> None:
    message = b"\x82\xa7actions" + ARRAY + b"\xa6prompt\xa4grab"
    assert pack({"actions": np.array([[1.5, -2.0]], np.float32), "prompt": "grab"}) == message
    assert unpack(message)["prompt"] == "grab"


def test_arrays_that_are_not_contiguous_are_sent_as_they_look() -> None:
    value = np.arange(12, dtype=np.int32).reshape(3, 4).T
    np.testing.assert_array_equal(unpack(pack(value)), value)


@given(
    arrays.arrays(st.sampled_from(["|b1", "|u1", "<i2", ">i4", "<f4", "<f8", "<U3"]), arrays.array_shapes(min_dims=0))
)
@settings(max_examples=50, deadline=None)
def test_every_array_comes_back(value: np.ndarray) -> None:
    found = unpack(pack({"a": [value]}))["a"][0]
    assert (found.dtype, found.shape) == (value.dtype, value.shape)
    assert found.tobytes() == value.tobytes()


@pytest.mark.parametrize(
    "value", [np.array([None]), np.array([1j]), np.zeros(1, "i4,i4"), object(), {"a": {1, 2}}, 2**70]
)
def test_what_can_not_be_sent_is_refused(value: object) -> None:
    with pytest.raises(WireError):
        pack(value)


def array(**changes: object) -> bytes:
    entries = {b"__ndarray__": True, b"data": bytes(8), b"dtype": "<f4", b"shape": [1, 2]}
    return msgpack.packb(entries | {key.encode(): value for key, value in changes.items()})


@pytest.mark.parametrize(
    "message",
    [
        b"",
        ARRAY[:-1],
        ARRAY + b"\x00",
        b"\xc1",
        b"\x91" * 100_000 + b"\x00",
        b"\xdf\xff\xff\xff\xff",  # a map of four billion entries
        b"\xc6\xff\xff\xff\xff",  # four gigabytes
        msgpack.packb(msgpack.ExtType(4, b"x")),
        msgpack.packb({1: 2}),
        array(dtype="|O"),
        array(dtype="O8"),
        array(dtype="<c8"),
        array(dtype="f4,f4"),
        array(dtype="(2,)f4"),
        array(dtype="<i3"),
        array(dtype="<f1"),
        array(dtype=4),
        array(shape=[1, 3]),
        array(shape=[-1, -2]),
        array(data=b"", shape=[2**31 - 1]),  # eight gigabytes of nothing
        array(shape=[2**40, 2**40]),
        array(shape=[1] * 40),
        array(shape=2),
        array(shape=[True, 2]),
        array(data="text"),
        array(data=b"", dtype="<U0", shape=[2**31 - 1]),
        array(data=b"", shape=[0, *[2**31 - 1] * 7]),
        msgpack.packb({b"__npgeneric__": True, b"data": [1], b"dtype": "<f4"}),
        msgpack.packb({b"__npgeneric__": True, b"data": 1000, b"dtype": "|u1"}),
    ],
)
def test_messages_that_are_none_are_refused_in_one_line(message: bytes) -> None:
    with pytest.raises(WireError) as refusal:
        unpack(message)
    assert 0 < len(str(refusal.value)) < 200
    assert "\n" not in str(refusal.value)


def test_lists_that_numpy_would_pad_to_gigabytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    long, array = "x" * 1_000_000, np.array

    def watched(value: object, *rest: object, **more: object) -> np.ndarray:
        assert long not in str(value), "NumPy was given it"
        return array(value, *rest, **more)

    monkeypatch.setattr(np, "array", watched)
    fields = {"image_before": [[[0, 0, 0]] * 4] * 4, "image_now": [[[0, 0, 0]] * 4] * 4, "pose": [0.5, 0, 0.1, 0]}
    assert from_json(json.dumps(fields).encode(), 4, 4).observation.image_now.shape == (4, 4, 3)
    for key, value in (
        ("image_now", [long, *[""] * 2000]),
        ("image_now", [[[0, 0, long]] * 4] * 4),
        ("image_now", [[[0, 0, True]] * 4] * 4),
        ("image_now", [[[0, 0, 256]] * 4] * 4),
        ("image_now", [[[0, 0]] * 4] * 4),
        ("pose", [long, *[""] * 2000]),
        ("pose", [0.5, 0, 0.1, "0"]),
        ("pose", [0.5, 0, 0.1]),
        ("pose", [0.5, 0, 0.1, 10**400]),
    ):
        with pytest.raises(UserError, match=f"{key} is no"):
            from_json(json.dumps(fields | {key: value}).encode(), 4, 4)
    pictures = dict.fromkeys(("image_before", "image_now"), np.zeros((4, 4, 3), np.uint8))
    numbers = [np.float32(0.5), np.int64(0), 0.1, 0]  # as a client's list of NumPy's numbers arrives
    assert from_wire(pack(pictures | {"pose": numbers}), 4, 4).observation.pose.tolist() == [0.5, 0, np.float32(0.1), 0]
    with pytest.raises(UserError, match="pose is no"):
        from_wire(pack(pictures | {"pose": [long, *[""] * 2000]}), 4, 4)


changed = st.builds(lambda i, new: ARRAY[:i] + new + ARRAY[i + 1 :], st.integers(0, 50), st.binary(max_size=2))


@given(st.binary(max_size=200) | changed)
@settings(max_examples=500, deadline=None)
def test_no_bytes_crash_the_decoder(data: bytes) -> None:
    with contextlib.suppress(WireError):
        unpack(data)
    for read in (from_wire, from_json):
        with pytest.raises(UserError):
            read(data, 32, 4)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["pose", "image_now", "x"]), inner),
    max_leaves=8,
)


@given(json_like, json_like, json_like)
@settings(max_examples=200, deadline=None)
def test_no_value_crashes_the_reader_of_requests(before: object, now: object, pose: object) -> None:
    try:
        message = pack({"image_before": before, "image_now": now, "pose": pose})
    except WireError:  # an integer too large
        return
    with pytest.raises(UserError):
        from_wire(message, 32, 4)
