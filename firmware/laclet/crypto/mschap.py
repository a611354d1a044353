"""The functions of MS-CHAP (RFC 2433 appendix A, RFC 2759 §8), under their RFC names.

``user`` and the results are bytes, ``password`` is a str or its UTF-8; a ``password_hash`` is the 16 bytes of
``nt_password_hash``, which is all that a server need keep of a password.
"""

from binascii import hexlify

from .des import encrypt
from .hashes import sha1
from .md4 import md4


def _text(password):
    """The password as a str; bytes that are no UTF-8 count a character each."""
    if isinstance(password, str):
        return password
    try:
        return str(password, "utf-8")
    except UnicodeError:
        return "".join([chr(b) for b in password])


def nt_password_hash(password):
    """NtPasswordHash, RFC 2759 §8.3: MD4 of the password in UTF-16, low byte first."""
    utf16 = bytearray()
    for char in _text(password):
        code = ord(char)
        if code > 0xFFFF:
            code -= 0x10000
            utf16 += bytes((code >> 10 & 0xFF, 0xD8 | code >> 18))
            code = 0xDC00 | (code & 0x3FF)
        utf16 += bytes((code & 0xFF, code >> 8))
    return md4(utf16)


def hash_nt_password_hash(password_hash):
    """HashNtPasswordHash, RFC 2759 §8.4."""
    return md4(password_hash)


def lm_password_hash(password):
    """LmPasswordHash, RFC 2433 §A.2: only for the MPPE keys that RFC 3079 §2.1 draws from it, never to authenticate."""
    oem = bytes([code if code < 256 else 0x3F for code in [ord(char) for char in _text(password).upper()[:14]]])
    oem += bytes(14 - len(oem))
    return des_encrypt(b"KGS!@#$%", oem[:7]) + des_encrypt(b"KGS!@#$%", oem[7:])


def des_encrypt(clear, key):
    """DesEncrypt, RFC 2759 §8.6: ``clear`` of 8 bytes under a ``key`` of 7, to which the parity bits are added."""
    key = b"\0" + key + b"\0"
    return encrypt(bytes([(((key[i] << 8 | key[i + 1]) >> i) & 0xFE) for i in range(8)]), clear)


def challenge_hash(peer_challenge, authenticator_challenge, user):
    """ChallengeHash, RFC 2759 §8.2: 8 bytes; a domain in front of ``user`` (``DOMAIN\\user``) does not count."""
    user = bytes(user)
    return sha1(bytes(peer_challenge) + bytes(authenticator_challenge) + user[user.rfind(b"\\") + 1 :])[:8]


def challenge_response(challenge, password_hash):
    """ChallengeResponse, RFC 2759 §8.5: 24 bytes; MS-CHAPv1's response to an 8-byte challenge."""
    key = password_hash + bytes(5)
    return des_encrypt(challenge, key[:7]) + des_encrypt(challenge, key[7:14]) + des_encrypt(challenge, key[14:])


def generate_nt_response(authenticator_challenge, peer_challenge, user, password_hash):
    """GenerateNTResponse, RFC 2759 §8.1: the 24 bytes of MS-CHAPv2."""
    return challenge_response(challenge_hash(peer_challenge, authenticator_challenge, user), password_hash)


def generate_authenticator_response(password_hash, nt_response, peer_challenge, authenticator_challenge, user):
    """GenerateAuthenticatorResponse, RFC 2759 §8.7: ``S=`` and 40 hexadecimal digits, upper case."""
    digest = sha1(md4(password_hash) + bytes(nt_response) + b"Magic server to client signing constant")
    challenge = challenge_hash(peer_challenge, authenticator_challenge, user)
    return b"S=" + hexlify(sha1(digest + challenge + b"Pad to make it do more than one iteration")).upper()
