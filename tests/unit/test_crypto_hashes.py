"""The digests: RFC vectors, and the pure fallbacks against the platform's own."""

import hashlib
from binascii import hexlify

from laclet.crypto import hashes
from laclet.crypto.pure_md5 import md5 as pure_md5
from laclet.crypto.pure_sha1 import sha1 as pure_sha1

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# RFC 1321 appendix A.5
MD5 = (
    (b"", b"d41d8cd98f00b204e9800998ecf8427e"),
    (b"a", b"0cc175b9c0f1b6a831c399e269772661"),
    (b"abc", b"900150983cd24fb0d6963f7d28e17f72"),
    (b"message digest", b"f96b697d7cb7938d525a2f31aaf161d0"),
    (_LETTERS, b"d174ab98d277d9f5a5611c2c9f419d9f"),
    (b"1234567890" * 8, b"57edf4a22be3c955ac49da2e2107b67a"),
)
# RFC 3174 §7.3
SHA1 = (
    (b"abc", b"a9993e364706816aba3e25717850c26c9cd0d89d"),
    (b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", b"84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
    (b"01234567" * 80, b"dea356a2cddd90c7a7ecedc5ebb563934f460452"),
)


def test_md5_vectors_of_rfc_1321():
    for data, digest in MD5:
        assert hexlify(hashes.md5(data)) == digest
        assert hexlify(pure_md5(data)) == digest


def test_sha1_vectors_of_rfc_3174():
    for data, digest in SHA1:
        assert hexlify(hashes.sha1(data)) == digest
        assert hexlify(pure_sha1(data)) == digest


def test_sha256_vector_of_fips_180():
    assert hexlify(hashes.sha256(b"abc")) == b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_pure_hashes_agree_with_the_platform_around_every_padding_boundary():
    for size in range(50, 135):
        data = bytes([(7 * i + size) & 0xFF for i in range(size)])
        assert pure_md5(data) == hashes.md5(data), size
        assert pure_sha1(data) == hashes.sha1(data), size


def test_any_bytes_like_is_hashed():
    for kind in (bytes, bytearray, memoryview):
        for hash_ in (hashes.md5, hashes.sha1, hashes.sha256, pure_md5, pure_sha1):
            assert hash_(kind(b"abc")) == hash_(b"abc")


def test_hmac_vectors_of_rfc_2202():
    for hash_, key, data, digest in (
        (hashes.md5, b"\x0b" * 16, b"Hi There", b"9294727a3638bb1c13f48ef8158bfc9d"),
        (hashes.md5, b"Jefe", b"what do ya want for nothing?", b"750c783e6ab0b503eaa86e310a5db738"),
        (hashes.sha1, b"\x0b" * 20, b"Hi There", b"b617318655057264e28bc0b6fb378c8ef146be00"),
        (
            hashes.sha1,
            b"\xaa" * 80,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            b"aa4ae5e15272d00e95705637ce8a3b55ed402112",
        ),
    ):
        assert hexlify(hashes.hmac(hash_, key, data)) == digest


def test_equal_compares_whole_strings():
    assert hashes.equal(b"", b"")
    assert hashes.equal(b"abc", bytearray(b"abc"))
    for other in (b"abd", b"bbc", b"ab", b"abcd", b""):
        assert not hashes.equal(b"abc", other)


def test_a_missing_hash_is_found_missing():
    assert hashes._have("sha256")
    assert not hashes._have("md3")
    assert hashes._have("md5") == hasattr(hashlib, "md5")
