"""What the laboratory needs from the machine; what is missing is named."""

import os
import shutil

import pytest

# Program -> Debian package it comes from.
PROGRAMS = {
    "linux.uml": "user-mode-linux",
    "modprobe": "kmod",
    "ip": "iproute2",
    "tcpdump": "tcpdump",
    "tshark": "tshark",
    "xl2tpd": "xl2tpd",
    "pppd": "ppp",
    "l2tpns": "l2tpns",
    "radvd": "radvd",
    "freeradius": "freeradius",
    "swanctl": "strongswan-swanctl",
    "nft": "nftables",
    "atmtcp": "atm-tools",
    "iperf3": "iperf3",
    "dnsmasq": "dnsmasq-base",
    "chronyd": "chrony",
    "socat": "socat",
}
LAB = ("ip", "tcpdump", "tshark")
GUEST = ("linux.uml", "modprobe")


def missing(*programs):
    """What keeps the laboratory, with these programs in it, from working here; empty when nothing does."""
    if os.geteuid():
        return "needs root"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    packages = [PROGRAMS[program] for program in (*LAB, *programs) if not shutil.which(program, path=path)]
    return f"needs the Debian package {', '.join(packages)}" if packages else ""


def need(*programs):
    """Skip the test, by name, unless the laboratory and these programs are there."""
    reason = missing(*programs)
    if reason:
        pytest.skip(reason)
