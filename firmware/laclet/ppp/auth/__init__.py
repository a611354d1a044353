"""Authentication methods: which there are, and the module that speaks each. A new method is a file and a row here."""

# name (as in a configuration), value of LCP's Authentication-Protocol option (RFC 1661 §6.2), module of this package,
# name for people. A row without a module is known by name only.
METHODS = (
    ("pap", b"\xc0\x23", "pap", "PAP"),
    ("chap", b"\xc2\x23\x05", "chap", "CHAP-MD5"),
    ("mschap", b"\xc2\x23\x80", "mschap", "MS-CHAP"),
    ("mschap-v2", b"\xc2\x23\x81", "mschap_v2", "MS-CHAPv2"),
    ("eap", b"\xc2\x27", "eap", "EAP"),
)


def method(name):
    """The row of a method, or None when there is no module for it."""
    for row in METHODS:
        if row[0] == name and row[2]:
            return row
    return None


def name_of(value):
    """The name of an option value's method, or None."""
    for row in METHODS:
        if row[1] == value:
            return row[0]
    return None


def title(value):
    """An option value's method for people."""
    for row in METHODS:
        if row[1] == value:
            return row[3]
    return "0x" + "".join(["%02x" % b for b in value[:8]])


def verifier(value, link):
    """What asks the peer of ``link`` for a proof by this option value's method, and judges it or has it judged."""
    if link.judge is None:
        return load(value).Verifier(link)
    from .remote import verifier

    return verifier(value, link)


def load(value):
    """The module that speaks the method of this option value; it has classes ``Prover`` and ``Verifier``."""
    for row in METHODS:
        if row[1] == value and row[2]:
            return __import__(__name__ + "." + row[2], None, None, ("Prover",))
    return None
