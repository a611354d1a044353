"""The pure ciphers and digests against pycryptodome, and what a board without hashes loads."""

import hashlib
import importlib
import sys

import pytest
from Crypto.Cipher import ARC4, DES
from Crypto.Hash import HMAC, MD4, MD5, SHA1
from hypothesis import given, settings
from hypothesis import strategies as st

from laclet.crypto import hashes, mschap
from laclet.crypto.des import encrypt
from laclet.crypto.md4 import md4
from laclet.crypto.pure_md5 import md5 as pure_md5
from laclet.crypto.pure_sha1 import sha1 as pure_sha1
from laclet.crypto.rc4 import PureRc4, Rc4

DATA = st.binary(max_size=300)


@given(DATA)
def test_digests(data):
    assert md4(data) == MD4.new(data).digest()
    assert pure_md5(data) == MD5.new(data).digest()
    assert pure_sha1(data) == SHA1.new(data).digest()


@given(st.binary(min_size=1, max_size=100), DATA)
def test_hmac(key, data):
    assert hashes.hmac(hashes.md5, key, data) == HMAC.new(key, data, MD5).digest()
    assert hashes.hmac(hashes.sha1, key, data) == HMAC.new(key, data, SHA1).digest()


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
def test_des(key, block):
    assert encrypt(key, block) == DES.new(key, DES.MODE_ECB).encrypt(block)


@settings(max_examples=50)
@given(st.sampled_from((8, 16)), st.binary(min_size=16, max_size=16), st.lists(st.binary(max_size=400), max_size=4))
def test_rc4(size, key, pieces):
    theirs = ARC4.new(key[:size])
    ours = [PureRc4(key[:size]), Rc4(key[:size])]
    for piece in pieces:
        expected = theirs.encrypt(piece)
        for cipher in ours:
            buf = bytearray(piece)
            cipher.crypt(buf, 0, len(buf))
            assert buf == expected


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_nt_password_hash(password):
    assert mschap.nt_password_hash(password) == MD4.new(password.encode("utf-16-le")).digest()


@given(st.text(max_size=20))
def test_lm_password_hash_takes_any_password(password):
    assert len(mschap.lm_password_hash(password)) == 16


class _Without:
    """hashlib as a board has it that lacks some algorithms, or as FIPS leaves it: there, but refusing."""

    def __init__(self, missing, refused=()):
        self._missing = missing
        self._refused = refused

    def __getattr__(self, name):
        if name in self._missing:
            raise AttributeError(name)
        if name in self._refused:
            return self._refuse
        return getattr(hashlib, name)

    def _refuse(self, data=b""):
        raise ValueError("[digital envelope routines] unsupported")


@pytest.fixture
def import_hashes_with(monkeypatch):
    """Import ``laclet.crypto.hashes`` anew over another hashlib; returns it and which pure modules it loaded."""

    def load(platform):
        for name in ("hashes", "pure_md5", "pure_sha1"):
            monkeypatch.delitem(sys.modules, "laclet.crypto." + name, raising=False)
        monkeypatch.setitem(sys.modules, "hashlib", platform)
        module = importlib.import_module("laclet.crypto.hashes")
        return module, {name for name in ("pure_md5", "pure_sha1") if "laclet.crypto." + name in sys.modules}

    return load


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        (hashlib, set()),
        (_Without({"md5"}), {"pure_md5"}),
        (_Without({"md5", "sha1"}), {"pure_md5", "pure_sha1"}),
        (_Without((), {"md5"}), {"pure_md5"}),
    ],
    ids=["all there", "no md5", "sha256 alone", "FIPS"],
)
def test_only_what_the_platform_lacks_is_loaded(import_hashes_with, platform, expected):
    module, loaded = import_hashes_with(platform)
    assert loaded == expected
    assert module.md5(b"abc") == hashlib.md5(b"abc").digest()
    assert module.sha1(b"abc") == hashlib.sha1(b"abc").digest()
