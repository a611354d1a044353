"""What a configuration adds to a PppLink beside IPv4; each module is loaded only when it is wanted."""


def add_ncps(link, config):
    """IPv6 and encryption, as the section [call.NAME] or [lns] says."""
    if config["ipv6"]:
        from ..ppp.ipv6cp import Ipv6cp

        link.add_ncp(Ipv6cp(link))
    if config["mppe"] != "none":
        from ..ppp.ccp import Ccp

        strengths = [bits for bits in (128, 56, 40) if str(bits) in config["mppe_bits"]]
        link.add_ncp(Ccp(link, strengths, config["mppe"] == "require", config["mppe_stateful"]))


def add_extras(link, config):
    """What LCP shall say and do beside the necessary, as the section [call.NAME] or [lns] says."""
    text, interval, callback = config["identification"], config["lqr_interval"], config.get("callback", False)
    if text or interval or callback:
        from ..ppp.extras import Extras

        Extras(link, (text or "").encode(), int(interval * 1000), callback)


def multilink_terms(config, hostname):
    """What links that are to belong to a bundle ask of their peers; our hostname is their discriminator."""
    from ..ppp.bundle import LOCAL, SIZES, Terms

    return Terms(config["mrru"], discriminator=bytes((LOCAL,)) + hostname.encode()[: SIZES[LOCAL][1]])
