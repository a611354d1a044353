"""ESP against scapy's: what we seal scapy opens, and the other way round."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

from laclet.carrier.ipsec import proposals
from laclet.carrier.ipsec.esp import Pair
from laclet.port import HEADROOM, TAILROOM

SPI = 0x01020304
NAMES = {
    "aes128-sha1": ("AES-CBC", "HMAC-SHA1-96"),
    "aes256-sha1": ("AES-CBC", "HMAC-SHA1-96"),
    "aes128-sha256": ("AES-CBC", "SHA2-256-128"),
    "aes256-sha256": ("AES-CBC", "SHA2-256-128"),
    "aes128gcm16": ("AES-GCM", "NULL"),
    "aes256gcm16": ("AES-GCM", "NULL"),
}


def both(name, seed):
    """Our pair and scapy's SA with the same keys."""
    proposal = proposals.parse("ipsec_esp", name)[0][0]
    keys = bytes((seed + i * 31) & 0xFF for i in range(proposal.keymat))
    pair = Pair(proposal, SPI.to_bytes(4, "big"), keys, SPI.to_bytes(4, "big"), keys, 3600, True)
    pair.activate(lambda n: bytes(n))
    crypt, auth = NAMES[name]
    split = len(keys) if proposal.gcm else proposal.key_size
    scapy = SecurityAssociation(
        ESP, spi=SPI, crypt_algo=crypt, crypt_key=keys[:split], auth_algo=auth, auth_key=keys[split:] or None
    )
    return pair, scapy


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(data=st.binary(min_size=1, max_size=300), seed=st.integers(0, 255))
def test_both_ways(name, data, seed):
    pair, scapy = both(name, seed)
    packet = IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=1701, dport=1701, chksum=0) / Raw(data)
    udp = bytes(packet[UDP])

    buf = bytearray(HEADROOM + len(udp) + TAILROOM)
    buf[HEADROOM : HEADROOM + len(udp)] = udp
    end = pair.outbound.seal(buf, HEADROOM, HEADROOM + len(udp))
    sealed = bytes(buf[HEADROOM - pair.outbound.overhead : end])
    opened = scapy.decrypt(IP(src="192.0.2.1", dst="192.0.2.2", proto=50) / ESP(sealed))
    assert bytes(opened[UDP]) == udp

    theirs = bytes(scapy.encrypt(packet, seq_num=7)[ESP])
    buf = bytearray(theirs) + bytearray(TAILROOM)
    end = pair.inbound.open(buf, 0, len(theirs))
    assert end > 0, pair.inbound.why
    assert bytes(buf[pair.inbound.overhead : end]) == udp


@pytest.mark.parametrize("name", [*NAMES, "3des-sha1", "aes128-sha256_96"])
@settings(max_examples=100)
@given(data=st.binary(max_size=200))
def test_noise_is_refused(name, data):
    proposal = proposals.parse("ipsec_esp", name)[0][0]
    pair = Pair(proposal, bytes(4), bytes(proposal.keymat), bytes(4), bytes(proposal.keymat), 3600, True)
    pair.activate(lambda n: bytes(n))
    packet = SPI.to_bytes(4, "big") + data + bytes(4)
    assert pair.inbound.open(bytearray(packet) + bytearray(TAILROOM), 0, len(packet)) == -1
    assert pair.inbound.why in ("short", "forged", "replayed")
