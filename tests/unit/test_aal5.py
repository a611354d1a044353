"""AAL5: golden cells, reassembly through loss and disorder, LLC and VC multiplexing."""

from laclet.carrier.aal5 import CELL, MAX_SDU, Aal5, Llc, crc32, hec
from laclet.port import HEADROOM, TAILROOM

L2TP = b"\xc8\x02\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00"
PVC = ("atm", "atm0", 0, 100)


class Wire:
    def __init__(self):
        self.sent = []

    def send(self, buf, start, end, addr):
        self.sent.append(bytes(buf[start:end]))


class Above:
    def __init__(self):
        self.got = []

    def receive(self, buf, start, end, addr, now):
        assert start >= 10  # room for a header, for it may be sent on
        self.got.append((addr, bytes(buf[start:end])))


def room(data):
    return bytearray(HEADROOM) + bytearray(data) + bytearray(TAILROOM)


def send(machine, data, addr=PVC):
    machine.send(room(data), HEADROOM, HEADROOM + len(data), addr)
    sent, machine.carrier.sent = machine.carrier.sent, []
    assert max([len(train) for train in sent]) <= 28 * CELL
    return b"".join(sent)


def receive(machine, data, addr=None):
    machine.receive(room(data), HEADROOM, HEADROOM + len(data), addr, 0)
    return machine.endpoint.got


def sar():
    made = Aal5("atm0")
    made.carrier, made.endpoint = Wire(), Above()
    return made


def test_check_values():
    assert crc32(b"123456789") == b"\xfc\x89\x19\x18"  # CRC-32/BZIP2, as the catalogues give it
    assert hec(b"\x00\x00\x00\x01", 0) == 0x52  # the idle cell of I.432


def test_golden_cell():
    cells = send(sar(), b"\xaa\xaa\x03\x00\x00\x5e\x00\x07" + L2TP)
    assert len(cells) == CELL
    assert cells[:5] == b"\x00\x00\x06\x42" + bytes([hec(cells, 0)])  # VPI 0, VCI 100, PTI 1
    assert cells[5:25] == b"\xaa\xaa\x03\x00\x00\x5e\x00\x07" + L2TP
    assert cells[25:47] == bytes(22)  # padding, UU, CPI
    assert cells[47:49] == b"\x00\x14"
    assert cells[49:] == crc32(cells[5:49])


def test_every_length():
    a, b = sar(), sar()
    for size in list(range(1, 200)) + [1500, MAX_SDU]:
        data = (bytes(range(256)) * 9)[:size]
        cells = send(a, data, ("atm", "atm0", 255, 65535))
        assert len(cells) % CELL == 0 and len(cells) // CELL == (size + 8 + 47) // 48
        b.endpoint.got.clear()
        assert receive(b, cells) == [(("atm", "atm0", 255, 65535), data)], size
    assert b.drops == {}
    a.send(bytearray(3000), 0, MAX_SDU + 1, PVC)
    assert a.drops == {"too long": 1}


def test_cells_one_by_one_and_circuits_mixed():
    a, b = sar(), sar()
    one = send(a, b"1" * 300, ("atm", "atm0", 0, 100))
    two = send(a, b"2" * 300, ("atm", "atm0", 1, 100))
    for at in range(0, len(one), CELL):
        receive(b, one[at : at + CELL] + two[at : at + CELL])
    assert b.endpoint.got == [(("atm", "atm0", 0, 100), b"1" * 300), (("atm", "atm0", 1, 100), b"2" * 300)]


def test_lost_and_swapped_cells():
    cells = send(sar(), bytes(range(250)))
    for gone in range(0, len(cells) - CELL, CELL):
        b = sar()
        assert receive(b, cells[:gone] + cells[gone + CELL :]) == []
        assert b.drops == {"bad CRC": 1}
        assert len(receive(b, cells)) == 1  # the next one is whole again
    b = sar()
    receive(b, cells[:-CELL])  # the last one is lost: this PDU and the next are one
    receive(b, cells)
    assert b.endpoint.got == [] and b.drops == {"bad CRC": 1}
    assert len(receive(b, cells)) == 1
    b = sar()
    receive(b, cells[CELL : 2 * CELL] + cells[:CELL] + cells[2 * CELL :])
    assert b.drops == {"bad CRC": 1}


def test_endless_pdu():
    b = sar()
    cell = bytearray(send(sar(), bytes(100))[:CELL])
    for _ in range(200):
        receive(b, bytes(cell))
    cell[3] |= 2
    cell[4] = hec(cell, 0)
    receive(b, bytes(cell))
    assert b.endpoint.got == [] and b.drops == {"too long": 1}


def test_bad_headers_oam_and_cuts():
    b = sar()
    cells = send(sar(), L2TP)
    assert receive(b, bytes([cells[0] ^ 1]) + cells[1:]) == []
    oam = bytearray(cells)
    oam[3] |= 8
    oam[4] = hec(oam, 0)
    assert receive(b, bytes(oam)) == []
    for size in range(CELL):
        assert receive(b, cells[:size]) == []
    assert b.drops == {"bad HEC": 1, "OAM": 1, "cells cut short": CELL - 1}


def test_length_that_lies():
    for length in (0, 41, 60000):
        body = bytes(40) + b"\x00\x00" + bytes((length >> 8, length & 0xFF))
        cells = send(sar(), bytes(40))
        b = sar()
        assert receive(b, cells[:5] + body + crc32(body)) == []
        assert b.drops == {"bad length": 1}


def test_circuits_are_bounded():
    a, b = sar(), sar()
    for vci in range(32, 52):
        receive(b, send(a, b"x", ("atm", "atm0", 0, vci)))
    assert len(b.endpoint.got) == 16 and b.drops == {"too many circuits": 4}


def test_llc_and_vc():
    for vc_mux, frame in ((False, b"\xaa\xaa\x03\x00\x00\x5e\x00\x07" + L2TP), (True, L2TP)):
        llc = Llc(vc_mux)
        llc.carrier, llc.endpoint = Wire(), Above()
        assert send(llc, L2TP) == frame
        assert receive(llc, frame, PVC) == [(PVC, L2TP)]
    llc = Llc()
    llc.endpoint = Above()
    whole = b"\xaa\xaa\x03\x00\x00\x5e\x00\x07"
    for size in range(len(whole)):
        receive(llc, whole[:size], PVC)
    receive(llc, b"\xaa\xaa\x03\x00\x00\x00\x08\x00" + L2TP, PVC)
    receive(llc, b"\xfe\xfe\x03\xcc" + L2TP, PVC)
    assert llc.endpoint.got == [] and llc.drops == {"not LLC": 9, "not L2TP": 1}


def test_the_whole_stack():
    down, up = sar(), sar()
    a, b = Llc(), Llc()
    a.carrier, b.endpoint = down, Above()
    up.endpoint = b
    a.send(room(L2TP * 50), HEADROOM, HEADROOM + 600, PVC)
    receive_cells = down.carrier.sent.pop()
    up.receive(room(receive_cells), HEADROOM, HEADROOM + len(receive_cells), None, 0)
    assert b.endpoint.got == [(PVC, L2TP * 50)]
