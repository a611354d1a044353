"""AVPs: writer and parser agree, hiding hides, lengths that lie are named, nothing raises."""

from hypothesis import given
from hypothesis import strategies as st

from laclet.wire import avp
from laclet.wire.l2tp import CONTROL_HEADER, SCCRQ, check_control, put_control

SECRET = b"s3cret"


def pseudo(n):
    return bytes([(i * 37 + n) & 0xFF for i in range(n)])


raw_types = st.sampled_from([7, 8, 11, 13, 21, 22, 23, 26, 27, 28, 30, 31, 33, 37])
u16_types = st.sampled_from([2, 6, 9, 10, 14, 29, 32])
u32_types = st.sampled_from([3, 4, 15, 16, 17, 18, 19, 24, 25, 38])
pairs = st.lists(
    st.one_of(
        st.tuples(raw_types, st.binary(max_size=200)),
        st.tuples(u16_types, st.integers(0, 0xFFFF)),
        st.tuples(u32_types, st.integers(0, 0xFFFFFFFF)),
    ),
    max_size=20,
)


@given(pairs, st.booleans())
def test_what_is_written_is_read(values, hide):
    w = avp.Writer(SCCRQ, SECRET, pseudo) if hide else avp.Writer(SCCRQ)
    for atype, value in values:
        if isinstance(value, bytes):
            w.put(atype, value)
        elif atype in (2, 6, 9, 10, 14, 29, 32):
            w.u16(atype, value)
        else:
            w.u32(atype, value)
    mtype, read, problem = avp.parse(w.buf, CONTROL_HEADER, len(w.buf), SECRET)
    assert (mtype, read, problem) == (SCCRQ, values, None)
    for cut in range(CONTROL_HEADER, len(w.buf)):
        avp.parse(w.buf, CONTROL_HEADER, cut, SECRET)


@given(st.binary(max_size=400), st.sampled_from([None, SECRET]))
def test_any_bytes_are_read_without_raising(data, secret):
    mtype, read, problem = avp.parse(data, 0, len(data), secret)
    assert -1 <= mtype <= 0xFFFF and len(read) <= avp.MAX_AVPS
    assert problem is None or (problem[0] in (2, 3, 4, 8) and problem[1])


@given(st.binary(max_size=60))
def test_control_header_check_never_lies(data):
    end = check_control(data, 0, len(data))
    assert end == -1 or 12 <= end <= len(data)


def message(*avps):
    body = b"".join(avps)
    data = bytearray(12 + len(body))
    put_control(data, 0, len(data), 0, 0, 0, 0)
    data[12:] = body
    return data


TYPE = bytes.fromhex("800800000000000c")  # Message Type ICCN


def parse(*avps, secret=None):
    data = message(TYPE, *avps)
    return avp.parse(data, 12, len(data), secret)


def test_length_below_six_is_an_error_and_no_loop():
    for size in range(6):
        assert parse(bytes([0x80, size, 0, 0, 0, 7]))[2] == (avp.ERROR_LENGTH, f"AVP length {size}")


def test_length_beyond_the_message_is_an_error():
    assert parse(bytes([0x83, 0xFF, 0, 0, 0, 7, 1]))[2] == (avp.ERROR_LENGTH, "AVP length 1023")


def test_hidden_length_beyond_its_room():
    vector = bytes([0x80, 10, 0, 0, 0, 36]) + b"rvrv"
    for n in (0, 1, 2, 15, 16, 17, 32):
        hidden = bytes([0xC0, 6 + n, 0, 0, 0, 21]) + b"\xff" * n
        _, read, problem = parse(vector, hidden, secret=SECRET)
        assert read == [] and problem[0] == avp.ERROR_LENGTH
    # Without the M bit it is skipped, and what follows is read.
    hidden = bytes([0x40, 22, 0, 0, 0, 21]) + b"\xff" * 16
    assert parse(vector, hidden, bytes.fromhex("800a0000001800000001"), secret=SECRET)[1:] == ([(24, 1)], None)


def test_hidden_without_secret_or_vector():
    w = avp.Writer(12, SECRET, pseudo)
    w.put(21, b"555")
    assert avp.parse(w.buf, 12, len(w.buf), None)[2][0] == avp.ERROR_LENGTH
    del w.buf[20:42]  # the Random Vector
    assert avp.parse(w.buf, 12, len(w.buf), SECRET)[2][0] == avp.ERROR_LENGTH


def test_unknown_and_vendor_avps():
    assert parse(bytes.fromhex("00070dfe000101"))[2] is None  # vendor 3582, optional: skipped
    assert parse(bytes.fromhex("80070dfe000101"))[2] == (avp.ERROR_UNKNOWN_AVP, "unknown mandatory AVP 3582/1")
    assert parse(bytes.fromhex("8007000000ff01"))[2] == (avp.ERROR_UNKNOWN_AVP, "unknown mandatory AVP 0/255")
    assert parse(bytes.fromhex("0008000000180101"))[1:] == ([], None)  # wrong length, optional
    assert parse(bytes.fromhex("8408000000070101"))[2][0] == avp.ERROR_UNKNOWN_AVP  # reserved bit: not recognised
    assert parse(bytes.fromhex("000a00000018") + b"4800")[1] == [(24, 0x34383030)]


def test_result_codes_of_all_lengths_and_endians():
    for value, want in (
        ("0001", (1, 0, b"")),
        ("00020006", (2, 6, b"")),
        ("0200", (2, 0, b"")),  # Apple
        ("02000600", (2, 6, b"")),
        ("000200066e6f", (2, 6, b"no")),
        ("00020006ff", (2, 6, b"\xff")),
    ):
        raw = bytes.fromhex(value)
        assert parse(bytes([0x80, 6 + len(raw), 0, 0, 0, 1]) + raw)[1] == [(1, want)]
    assert parse(bytes.fromhex("80070000000101"))[2][0] == avp.ERROR_LENGTH


def test_too_many_avps_are_not_kept():
    _, read, problem = parse(*[bytes.fromhex("000800000006") + b"\1\2"] * 100)
    assert len(read) == avp.MAX_AVPS and problem[0] == avp.ERROR_RESOURCES


def test_message_type_must_come_first_and_bare():
    for bad in ("c00800000000000c", "840800000000000c", "800a00000000000c0000", "80080dfe0000000c", "80080000000700ab"):
        data = message(bytes.fromhex(bad))
        assert avp.parse(data, 12, len(data))[0] == -1
