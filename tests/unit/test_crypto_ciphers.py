"""MD4, DES and RC4 against their published vectors."""

from binascii import hexlify, unhexlify

from laclet.crypto.des import encrypt
from laclet.crypto.md4 import md4
from laclet.crypto.rc4 import PureRc4, Rc4, crypt_plain, key_plain

# RFC 1320 appendix A.5
MD4 = (
    (b"", b"31d6cfe0d16ae931b73c59d7e0c089c0"),
    (b"a", b"bde52cb31de33e46245e05fbdbd6fb24"),
    (b"abc", b"a448017aaf21d8525fc10ae87aa6729d"),
    (b"message digest", b"d9130a8164549fe818874806e1c7014b"),
    (b"abcdefghijklmnopqrstuvwxyz", b"d79e1c308aa5bbcdeea8ed63df412da9"),
    (
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        b"043f8582f241db351ce627e153e7f0e4",
    ),
    (b"1234567890" * 8, b"e33b4ddc9c38f2199c3e7b164fcc0536"),
)
# NBS Special Publication 500-20: key, clear, cipher
DES = (
    (b"10316e028c8f3b4a", b"0000000000000000", b"82dcbafbdeab6602"),
    (b"8001010101010101", b"0000000000000000", b"95a8d72813daa94d"),
    (b"0101010101010101", b"95f8a5e5dd31d900", b"8000000000000000"),
    (b"7ca110454a1a6e57", b"01a1d6d039776742", b"690f5b0d9a26939b"),
    (b"0131d9619dc1376e", b"5cd54ca83def57da", b"7a389d10354bd271"),
    (b"07a1133e4a0b2686", b"0248d43806f67172", b"868ebb51cab4599a"),
    (b"3849674c2602319e", b"51454b582ddf440a", b"7178876e01f19b2a"),
    (b"04b915ba43feb5b6", b"42fd443059577fa2", b"af37fb421f8c4095"),
    (b"0113b970fd34f2ce", b"059b5e0851cf143a", b"86a560f10ec6d85b"),
    (b"0170f175468fb5e6", b"0756d8e0774761d2", b"0cd3da020021dc09"),
    (b"43297fad38e373fe", b"762514b829bf486a", b"ea676b2cb7db2b7a"),
    (b"07a7137045da2a16", b"3bdd119049372802", b"dfd64a815caf1a0f"),
    (b"04689104c2fd3b2f", b"26955f6835af609a", b"5c513c9c4886c088"),
    (b"37d06bb516cb7546", b"164d5e404f275232", b"0a2aeeae3ff4ab77"),
    (b"1f08260d1ac2465e", b"6b056e18759f5cca", b"ef1bf03e5dfa575a"),
    (b"584023641aba6176", b"004bd6ef09176062", b"88bf0db6d70dee56"),
    (b"025816164629b007", b"480d39006ee762f2", b"a1f9915541020b56"),
    (b"49793ebc79b3258f", b"437540c8698f3cfa", b"6fbf1cafcffd0556"),
)
# RFC 6229 §2: key, the first 16 bytes of the stream, those at 1024
RC4 = (
    (b"0102030405", b"b2396305f03dc027ccc3524a0a1118a8", b"30abbcc7c20b01609f23ee2d5f6bb7df"),
    (b"0102030405060708", b"97ab8a1bf0afb96132f2f67258da15a8", b"c6d0e7b226259fa9023490b26167ad1d"),
    (
        b"0102030405060708090a0b0c0d0e0f10",
        b"9ac7cc9a609d1ef7b2932899cde41b97",
        b"bdf0324e6083dcc6d3cedd3ca8c53c16",
    ),
)


def test_md4_vectors_of_rfc_1320():
    for data, digest in MD4:
        assert hexlify(md4(data)) == digest
        assert md4(bytearray(data)) == md4(memoryview(data)) == unhexlify(digest)


def test_des_vectors():
    for key, clear, cipher in DES:
        assert hexlify(encrypt(unhexlify(key), unhexlify(clear))) == cipher, key


def test_des_ignores_parity_bits():
    key = unhexlify(b"7ca110454a1a6e57")
    assert encrypt(key, b"01234567") == encrypt(bytes([b ^ 1 for b in key]), b"01234567")


def test_rc4_vectors_of_rfc_6229():
    for key, first, later in RC4:
        for kind in (PureRc4, Rc4):
            buf = bytearray(1040)
            kind(unhexlify(key)).crypt(buf, 0, 1040)
            assert hexlify(buf[:16]) == first
            assert hexlify(buf[1024:]) == later


def test_rc4_in_viper_is_rc4_in_plain():
    # On CPython the plain functions are what PureRc4 uses, and the reference is compared with itself.
    for size in (5, 8, 16, 256):
        key = bytes([(i * 37 + size) & 0xFF for i in range(size)])
        state, plain = bytearray(258), bytearray(range(200))
        key_plain(state, key)
        cipher, buf = PureRc4(key), bytearray(range(200))
        for start, end in ((0, 1), (1, 1), (1, 90), (90, 200)):
            crypt_plain(state, plain, start, end)
            cipher.crypt(buf, start, end)
            assert buf == plain and cipher._state == state


def test_rc4_goes_on_where_it_stopped_and_begins_anew_with_a_key():
    for kind in (PureRc4, Rc4):
        whole = bytearray(300)
        cipher = kind(b"8 bytes.")
        cipher.crypt(whole, 0, 300)
        cipher.rekey(b"8 bytes.")
        parts = bytearray(304)
        for start, end in ((2, 2), (2, 3), (3, 130), (130, 302)):
            cipher.crypt(parts, start, end)
        assert parts[2:302] == whole
        assert bytes(parts[:2]) + bytes(parts[302:]) == bytes(4)
