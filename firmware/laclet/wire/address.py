"""IPv4 addresses as text and as four bytes."""


def ipv4_text(address):
    """``b"\\xc0\\0\\2\\1"`` as ``"192.0.2.1"``."""
    return "%d.%d.%d.%d" % tuple(address)


def ipv4_bytes(text):
    """``"192.0.2.1"`` as four bytes, or None when it is no address (leading zeros are none)."""
    parts = text.split(".")
    if len(parts) != 4:
        return None
    for part in parts:
        if (
            not 1 <= len(part) <= 3
            or not all(c in "0123456789" for c in part)
            or int(part) > 255
            or (part[0] == "0" and len(part) > 1)
        ):
            return None
    return bytes([int(part) for part in parts])
