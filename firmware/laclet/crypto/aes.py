"""AES-CBC in place, and AES-GCM and 3DES-CBC where the platform has them.

A CBC object runs one chain for ever: IPsec sends the initialization vector as a block before the ciphertext, and a
decryptor that is fed that block first needs no new state for a new packet. So no object is made per packet.
"""

try:
    from cryptolib import aes as _aes  # MicroPython
except ImportError:
    _aes = None
    try:
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.ciphers.modes import CBC
    except ImportError:
        CBC = None

_MODE_CBC = 2  # cryptolib's number for it

# What the platform can do; ``why_not`` says what is missing.
HAVE_CBC = _aes is not None or CBC is not None
HAVE_GCM = HAVE_3DES = _aes is None and CBC is not None

# Bytes beyond the last block that ``Cbc.run`` wants to see in the buffer (they are not changed).
SLACK = 15


def why_not():
    """One line on why there is no AES, for a fault or a configuration error; empty when there is."""
    return "" if HAVE_CBC else "IPsec needs the package cryptography (pip install 'laclet[ipsec]')"


class Cbc:
    """One direction of AES-CBC (3DES for ``triple``); what is run through it is one chain, from call to call."""

    def __init__(self, key, iv, decrypt=False, triple=False):
        if _aes is not None:
            context = _aes(key, _MODE_CBC, iv)
            self._run = context.decrypt if decrypt else context.encrypt
        else:
            cipher = Cipher(TripleDES(key) if triple else AES(key), CBC(iv))
            self._run = (cipher.decryptor() if decrypt else cipher.encryptor()).update_into

    if _aes is not None:

        def run(self, buf, start, end):
            """Encrypt or decrypt whole blocks in place."""
            part = memoryview(buf)[start:end]
            self._run(part, part)
    else:

        def run(self, buf, start, end):
            """Encrypt or decrypt whole blocks in place; needs ``SLACK`` bytes of buffer after ``end``."""
            view = memoryview(buf)
            self._run(view[start:end], view[start : end + SLACK])


class Gcm:
    """AES-GCM with a 16-byte tag, in place (RFC 4106)."""

    def __init__(self, key):
        self._aead = AESGCM(key)

    def seal(self, nonce, buf, aad, start, end):
        """Encrypt ``start`` to ``end``; the tag goes to the 16 bytes after it; the 8 bytes at ``aad`` are covered."""
        view = memoryview(buf)
        self._aead.encrypt_into(nonce, view[start:end], view[aad : aad + 8], view[start : end + 16])

    def open(self, nonce, buf, aad, start, end):
        """Decrypt ``start`` to ``end`` if the 16 bytes after ``end`` prove it; False otherwise: trust nothing then."""
        view = memoryview(buf)
        try:
            self._aead.decrypt_into(nonce, view[start : end + 16], view[aad : aad + 8], view[start:end])
        except Exception:  # InvalidTag is no class that can be named where the package is absent
            return False
        return True
