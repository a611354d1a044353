"""What the keys of IPsec must not be together when strongSwan does it, on Linux."""

_CERTIFICATES = ("ipsec_cert", "ipsec_key", "ipsec_ca")


def check(work, path, keys):
    """Note what is wrong in a checked section [tunnel.NAME] or [lns]; ``work`` has ``wrong(path, what, mend)``."""
    missing = [key for key in _CERTIFICATES if not keys[key]]
    if missing and len(missing) < len(_CERTIFICATES):
        work.wrong(path + (missing[0],), "is missing", " and ".join(_CERTIFICATES) + " go together")
    if keys["ipsec_peer_id"] and not keys["ipsec_cert"]:
        work.wrong(path + ("ipsec_peer_id",), "is for certificates", "remove it")
    if keys["ipsec_cert"] and keys["ipsec_psk"]:
        work.wrong(path + ("ipsec_cert",), "is instead of ipsec_psk", "remove one of them")
    if keys["ipsec_cert"] and keys["ipsec"] != "strongswan":
        work.wrong(path + ("ipsec_cert",), "is for strongSwan", 'add ipsec = "strongswan"')
    if keys["ipsec"] != "strongswan":
        return
    if not keys["ipsec_cert"] and not keys["ipsec_psk"]:
        work.wrong(
            path + ("ipsec",), "has no secret", "add ipsec_psk to the secrets file, or " + ", ".join(_CERTIFICATES)
        )
    if keys["ipsec_plane"] == "user":
        work.wrong(path + ("ipsec_plane",), "is not for strongSwan, whose ESP is the kernel's", "remove it")
