"""Every transition of IKEv1: phase 1 in main and aggressive mode, and quick mode (RFC 2409 §5).

A row is (state, exchange type, form, payloads that must be there, action, next state, what silence in this state
means). What is in no row is illegal there: dropped, counted, named. ``Exchange`` alone assigns a state: one from a row,
or DEAD. Actions are names of methods: ``main_2`` is done on receiving message 2 of main mode.
"""

from .payload import AGGRESSIVE, HASH, ID, KE, MAIN, NONCE, QUICK, SA

# Forms of a message.
CLEAR = 0
SEALED = 1
EITHER = 2  # RFC 2409 §5.4 leaves it to the initiator to encrypt the last message of aggressive mode

# States of phase 1: which message is awaited.
MAIN_1 = 0
MAIN_2 = 1
MAIN_3 = 2
MAIN_4 = 3
MAIN_5 = 4
MAIN_6 = 5
AGGRESSIVE_2 = 6
AGGRESSIVE_3 = 7
# States of quick mode.
QUICK_1 = 8
QUICK_2 = 9
QUICK_3 = 10
# Of both.
UP = 11
DEAD = 12

# Why a peer says nothing, by what we wait for: cause and hint.
ABSENT = ("no answer", "is the address right, does IPsec run there, are UDP 500 and 4500 open?")
STOPPED = ("no answer in the middle of main mode", "is UDP 4500 open?")
SECRET = ("no answer to our authentication: the pre-shared key differs, or UDP 4500 is closed", "compare ipsec_psk")
REFUSED = ("no answer to quick mode", "compare ipsec_esp; is the peer's policy UDP 1701 in transport mode?")

_WHOLE = (SA, KE, NONCE, ID, HASH)

PHASE1 = (
    (MAIN_1, MAIN, CLEAR, (SA,), "main_1", MAIN_3, ABSENT),  # RFC 2409 §5.4: HDR, SA
    (MAIN_2, MAIN, CLEAR, (SA,), "main_2", MAIN_4, ABSENT),  # HDR, SA
    (MAIN_3, MAIN, CLEAR, (KE, NONCE), "main_3", MAIN_5, STOPPED),  # HDR, KE, Ni
    (MAIN_4, MAIN, CLEAR, (KE, NONCE), "main_4", MAIN_6, STOPPED),  # HDR, KE, Nr
    (MAIN_5, MAIN, SEALED, (ID, HASH), "main_5", UP, SECRET),  # HDR*, IDii, HASH_I
    (MAIN_6, MAIN, SEALED, (ID, HASH), "main_6", UP, SECRET),  # HDR*, IDir, HASH_R
    (MAIN_1, AGGRESSIVE, CLEAR, (SA, KE, NONCE, ID), "aggressive_1", AGGRESSIVE_3, ABSENT),  # HDR, SA, KE, Ni, IDii
    (AGGRESSIVE_2, AGGRESSIVE, CLEAR, _WHOLE, "aggressive_2", UP, ABSENT),  # HDR, SA, KE, Nr, IDir, HASH_R
    (AGGRESSIVE_3, AGGRESSIVE, EITHER, (HASH,), "aggressive_3", UP, SECRET),  # HDR, HASH_I
)

PHASE2 = (
    (QUICK_1, QUICK, SEALED, (HASH, SA, NONCE), "quick_1", QUICK_3, REFUSED),  # RFC 2409 §5.5: HDR*, HASH(1), SA, Ni
    (QUICK_2, QUICK, SEALED, (HASH, SA, NONCE), "quick_2", UP, REFUSED),  # HDR*, HASH(2), SA, Nr
    (QUICK_3, QUICK, SEALED, (HASH,), "quick_3", UP, REFUSED),  # HDR*, HASH(3)
)


def find(table, state, exchange):
    """The row for a message of type ``exchange`` in ``state``, or None where it is illegal."""
    for row in table:
        if row[0] == state and row[1] == exchange:
            return row
    return None


def silence(table, state):
    """``(cause, hint)`` of no answer in ``state``."""
    for row in table:
        if row[0] == state:
            return row[6]
    return ABSENT
