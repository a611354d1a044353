"""MS-CHAP and MPPE keys: every example of RFC 2433, RFC 2759 and RFC 3079."""

from binascii import unhexlify

from laclet.crypto import mppe_keys
from laclet.crypto.des import encrypt
from laclet.crypto.hashes import equal
from laclet.crypto.mschap import (
    challenge_hash,
    challenge_response,
    des_encrypt,
    generate_authenticator_response,
    generate_nt_response,
    hash_nt_password_hash,
    lm_password_hash,
    nt_password_hash,
)
from laclet.crypto.rc4 import Rc4


def _hex(text):
    return unhexlify(text.replace(" ", ""))


# RFC 2759 §9.2, used again by RFC 3079 §3.5
USER = b"User"
PASSWORD = "clientPass"
AUTHENTICATOR_CHALLENGE = _hex("5B 5D 7C 7D 7B 3F 2F 3E 3C 2C 60 21 32 26 26 28")
PEER_CHALLENGE = _hex("21 40 23 24 25 5E 26 2A 28 29 5F 2B 3A 33 7C 7E")
PASSWORD_HASH = _hex("44 EB BA 8D 53 12 B8 D6 11 47 44 11 F5 69 89 AE")
PASSWORD_HASH_HASH = _hex("41 C0 0C 58 4B D2 D9 1C 40 17 A2 A1 2F A5 9F 3F")
NT_RESPONSE = _hex("82 30 9E CD 8D 70 8B 5E A0 8F AA 39 81 CD 83 54 42 33 11 4A 3D 85 D6 DF")


def test_rfc_2433_appendix_b2():
    hash_ = nt_password_hash("MyPw")
    assert hash_ == _hex("FC 15 6A F7 ED CD 6C 0E DD E3 33 7D 42 7F 4E AC")
    response = challenge_response(_hex("10 2D B5 DF 08 5D 30 41"), hash_)
    assert response == _hex("4E 9D 3C 8F 9C FD 38 5D 5B F4 D3 24 67 91 95 6C A4 C3 51 AB 40 9A 3D 61")


def test_rfc_2433_appendix_b3_key_bits_are_spread_around_the_parity():
    for raw, with_parity in (
        ("FC 15 6A F7 ED CD 6C", "FD 0B 5B 5E 7F 6E 34 D9"),
        ("0E DD E3 33 7D 42 7F", "0E 6E 79 67 37 EA 08 FE"),
    ):
        assert des_encrypt(b"whatever", _hex(raw)) == encrypt(_hex(with_parity), b"whatever")


def test_rfc_2759_section_9_2():
    assert challenge_hash(PEER_CHALLENGE, AUTHENTICATOR_CHALLENGE, USER) == _hex("D0 2E 43 86 BC E9 12 26")
    assert nt_password_hash(PASSWORD) == PASSWORD_HASH
    assert hash_nt_password_hash(PASSWORD_HASH) == PASSWORD_HASH_HASH
    assert generate_nt_response(AUTHENTICATOR_CHALLENGE, PEER_CHALLENGE, USER, PASSWORD_HASH) == NT_RESPONSE
    answer = generate_authenticator_response(PASSWORD_HASH, NT_RESPONSE, PEER_CHALLENGE, AUTHENTICATOR_CHALLENGE, USER)
    assert equal(answer, b"S=407A5589115FD0D6209F510FE9C04566932CDA56")


def test_a_domain_before_the_user_does_not_count():
    for user in (b"BIGCO\\User", b"A\\B\\User", bytearray(b"\\User")):
        assert generate_nt_response(AUTHENTICATOR_CHALLENGE, PEER_CHALLENGE, user, PASSWORD_HASH) == NT_RESPONSE


def test_a_password_is_utf_16():
    # MD4 of 65 00 | e9 00 | ac 20 | 3d d8 00 de, from another implementation
    assert nt_password_hash("e\u00e9\u20ac\U0001f600") == _hex("f4ec3ccba3f74826bcf026d03dd68794")
    assert nt_password_hash("e\u00e9\u20ac\U0001f600".encode()) == nt_password_hash("e\u00e9\u20ac\U0001f600")
    assert nt_password_hash(b"\xff\xe9") == nt_password_hash("\u00ff\u00e9")
    assert nt_password_hash("") == _hex("31d6cfe0d16ae931b73c59d7e0c089c0")


def test_lm_password_hash():
    # RFC 3079 §2.5.1
    assert lm_password_hash(PASSWORD) == _hex("76 a1 52 93 60 96 d7 83 0e 23 90 22 74 04 af d2")
    assert lm_password_hash(b"clientPass") == lm_password_hash(PASSWORD)
    assert lm_password_hash("CLIENTpass") == lm_password_hash(PASSWORD)
    assert lm_password_hash("x" * 14 + "ignored \u20ac") == lm_password_hash("X" * 14)


def test_rfc_3079_section_2_5_keys_of_mschap_v1():
    for bits, expected in (
        (40, "d1 26 9e 53 8c ec 4a 08"),
        (56, "d1 08 01 53 8c ec 4a 08"),
        (128, "59 d1 59 bc 09 f7 6f 1d a2 a8 6a 28 ff ec 0b 1e"),
    ):
        start = mppe_keys.start_key_v1(PASSWORD, _hex("10 2d b5 df 08 5d 30 41"), bits)
        session = bytearray(mppe_keys.next_key(start, start))
        mppe_keys.weaken(session, bits)
        assert session == _hex(expected), bits
    # Step 3 and step 4 of §2.5.3 print one byte differently; step 4 is right.
    assert start == _hex("a8 94 78 50 cf c0 ac c1 d1 78 9f b6 2d dc dd b0")


def test_rfc_3079_section_3_5_keys_of_mschap_v2():
    assert mppe_keys.master_key(PASSWORD_HASH, NT_RESPONSE) == _hex("FD EC E3 71 7A 8C 83 8C B3 88 E5 27 AE 3C DD 31")
    send, receive = mppe_keys.start_keys_v2(PASSWORD_HASH, NT_RESPONSE, True)
    assert send == _hex("8B 7C DC 14 9B 99 3A 1B A1 18 CB 15 3F 56 DC CB")
    assert mppe_keys.start_keys_v2(PASSWORD_HASH, NT_RESPONSE, False) == (receive, send)
    assert receive != send
    for bits, expected, message in (
        (40, "D1 26 9E C4 9F A6 2E 3E", "92 91 37 91 7E 58 03 D6 68 D7 58 98"),
        # The RFC prints 58 as the last byte, which no RC4 gives.
        (56, "D1 5C 00 C4 9F A6 2E 3E", "3F 10 68 33 FA 44 8D A8 42 BC 57 B8"),
        (128, "40 5C B2 24 7A 79 56 E6 E2 11 00 7A E2 7B 22 D4", "81 84 83 17 DF 68 84 62 72 FB 5A BE"),
    ):
        start = send[:8] if bits < 128 else send
        session = bytearray(mppe_keys.next_key(start, start))
        mppe_keys.weaken(session, bits)
        assert session == _hex(expected), bits
        text = bytearray(b"test message")
        Rc4(session).crypt(text, 0, len(text))
        assert text == _hex(message), bits
