"""MPPE keys out of MS-CHAP credentials (RFC 3079), and their change (RFC 3078 §7.3).

A *start key* lasts for the connection; a *session key* is what RC4 works with. Keys of 128 bits have 16 bytes, those of
56 and 40 bits have 8, the first of which are given away (``weaken``).
"""

from .hashes import sha1
from .mschap import hash_nt_password_hash, lm_password_hash, nt_password_hash

_PAD1 = bytes(40)
_PAD2 = b"\xf2" * 40
_MASTER = b"This is the MPPE Master Key"
_CLIENT_SENDS = b"On the client side, this is the send key; on the server side, it is the receive key."
_SERVER_SENDS = b"On the client side, this is the receive key; on the server side, it is the send key."


def start_key_v1(password, challenge, bits):
    """The one start key of MS-CHAPv1, for both directions (RFC 3079 §2); ``challenge`` is the authenticator's."""
    if bits != 128:
        return lm_password_hash(password)[:8]
    hash_hash = hash_nt_password_hash(nt_password_hash(password))
    return sha1(hash_hash + hash_hash + bytes(challenge))[:16]


def master_key(password_hash, nt_response):
    """GetMasterKey, RFC 3079 §3.4: 16 bytes."""
    return sha1(hash_nt_password_hash(password_hash) + bytes(nt_response) + _MASTER)[:16]


def start_keys_v2(password_hash, nt_response, server):
    """``(send, receive)`` start keys of MS-CHAPv2 (GetAsymmetricStartKey): 16 bytes; a shorter key is the first 8.

    ``server`` is True at the authenticator.
    """
    master = master_key(password_hash, nt_response)
    client_sends = sha1(master + _PAD1 + _CLIENT_SENDS + _PAD2)[:16]
    server_sends = sha1(master + _PAD1 + _SERVER_SENDS + _PAD2)[:16]
    return (server_sends, client_sends) if server else (client_sends, server_sends)


def next_key(start, session):
    """The first part of GetNewKeyFromSHA (RFC 3078 §7.3), also Get_Key of RFC 3079 §2.4: as long as ``start``."""
    return sha1(bytes(start) + _PAD1 + bytes(session) + _PAD2)[: len(start)]


def weaken(key, bits):
    """Put the known bytes into a session key of 56 or 40 bits (RFC 3079 §2.1, §2.2), in place."""
    if bits == 56:
        key[0] = 0xD1
    elif bits == 40:
        key[0] = 0xD1
        key[1] = 0x26
        key[2] = 0x9E
