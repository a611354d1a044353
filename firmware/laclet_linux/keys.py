"""Keys of IPsec for Wireshark: in the file that LACLET_KEYLOG names, and for captures at the control socket.

Each line is a preference of Wireshark: ``uat:TABLE:RECORD``, as its option ``-o`` takes it.
"""

import os
from collections import deque

_KEPT = 64  # the newest keys
_CIPHERS = {12: "AES-CBC [RFC3602]", 3: "TripleDES-CBC [RFC2451]", 20: "AES-GCM with 16 octet ICV [RFC4106]"}
_MACS = {("sha1", 12): "HMAC-SHA-1-96 [RFC2404]", ("sha256", 16): "HMAC-SHA-256-128 [RFC4868]"}
_TRUNCATED = "HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]"


class Keys:
    """What an ``Ipsec`` calls for each key. ``on_record(record)`` is told of each; ``records`` are the newest."""

    def __init__(self):
        self.records = deque(maxlen=_KEPT)
        self.on_record = None
        self._path = os.environ.get("LACLET_KEYLOG")

    def __call__(self, kind, *values):
        record = _ike(*values) if kind == "ike" else _esp(*values)
        self.records.append(record)
        if self.on_record is not None:
            self.on_record(record)
        if self._path:
            with open(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "w") as file:
                file.write(record + "\n")


def _ike(cookie, key):
    return f"uat:ikev1_decryption_table:{cookie.hex()},{key.hex()}"


def _esp(host, inbound, spi, proposal, keymat):
    """One direction. The addresses are left open: behind a NAT they are not what a capture shows."""
    protocol = "IPv6" if ":" in host else "IPv4"
    size = len(keymat) if proposal.gcm else proposal.key_size
    mac, mac_key = "NULL", ""
    if not proposal.gcm:
        mac = _MACS.get((proposal.hash_name, proposal.icv), _TRUNCATED)
        mac_key = "0x" + keymat[size:].hex()
    cipher_key = "0x" + keymat[:size].hex()
    fields = (protocol, "*", "*", "0x" + spi.hex(), _CIPHERS[proposal.cipher], cipher_key, mac, mac_key)
    return "uat:esp_sa:" + ",".join(f'"{field}"' for field in fields)


def options(path):
    """Arguments for tshark that make it decrypt a capture with the keys in the file at ``path``."""
    words = ["-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE"]
    with open(path, encoding="ascii") as file:
        for line in file:
            words += ["-o", line.rstrip("\n")]
    return words
