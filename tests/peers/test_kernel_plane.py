"""The kernel plane in guests: the kernel's L2TP and PPP move the packets of our sessions with xl2tpd and pppd."""

import json
import re
import sys

import pytest
import tomlkit

from peers.capture import assert_well_formed
from peers.lab import TREE
from peers.needs import need
from peers.service import LACLET, Laclet
from peers.traffic import assert_passes, exchange
from peers.xl2tpd import Xl2tpdClient, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]

LOCAL = "10.11.0.1"
SECRETS = {"call": {"vpn": {"password": "secret"}}}
USERS = {"lns": {"users": {"user": "secret"}}}
SESSIONS = "/proc/net/pppol2tp"


def client(server, tunnel=None, **call):
    """A client of `server` with the kernel plane."""
    call = {"tunnel": "nas", "username": "user", "data_plane": "kernel", **call}
    return {"tunnel": {"nas": {"server": server, **(tunnel or {})}}, "call": {"vpn": call}}


def server(**lns):
    """An LNS with the kernel plane."""
    return {
        "lns": {
            "auth": ["chap"],
            "address": LOCAL,
            "pool": "10.11.0.10-10.11.0.20",
            "data_plane": "kernel",
            **lns,
        }
    }


def sessions(guest):
    """``(our session id, peer's, packets sent, received)`` of each session that the kernel of a guest has."""
    found = re.findall(
        r"SESSION 'sess \d+/(?!0')\d+' \S+ \w+/(\w+) -> \w+/(\w+) .*\n.*\n\s+\S+ (\d+)/\d+/\d+ (\d+)/",
        guest.run("cat", SESSIONS).out,
    )
    return [(int(own, 16), int(peer, 16), int(sent), int(received)) for own, peer, sent, received in found]


def packets(guest, interface):
    """``(sent, received)`` of an interface, as ``ip -s link`` has them."""
    (link,) = json.loads(guest.run("ip", "-s", "-j", "link", "show", interface).out)
    return link["stats64"]["tx"]["packets"], link["stats64"]["rx"]["packets"]


def bundle_of(guest):
    """The session of the pppd in a guest that has the bundle."""
    pid = guest.run("cat", "/run/ppp0.pid").out.split()[0]
    words = guest.run("cat", f"/proc/{pid}/cmdline").out.split("\0")
    return int(words[words.index("pppol2tp_session_id") + 1])


def assert_nothing_left(guest, service):
    """The service has ended, and with it everything it had in the kernel."""
    assert service.stop() == 5
    assert "TUNNEL '" not in guest.run("cat", SESSIONS).out
    assert "ppp" not in guest.run("ip", "-br", "link").out
    assert "proto 172" not in guest.run("ip", "route").out


def test_the_kernel_moves_the_packets_of_our_session(lab, lns, cpe):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns) as there, lab.capture(cpe) as capture:
        with Laclet(cpe, client(lns.address, ifname="office", routes=["10.99.0.0/24"]), SECRETS) as service:
            interface, own, peer = service.up("office")
            assert (own, peer) == ("10.9.0.10", there.local)
            there.up()
            assert "10.99.0.0/24 dev office" in cpe.run("ip", "route").out
            (before,) = sessions(cpe)
            assert_passes(cpe, own, lns, peer, 1_000_000)
            (after,) = sessions(cpe)
            assert min(after[2] - before[2], after[3] - before[3]) > 500
            assert min(packets(cpe, interface)) > 500
            call = service.status()["laclet"]["calls"]["vpn"]
            assert (call["interface"], call["plane"]) == ("office", "kernel")
            assert (call["session"]["local_session"], call["session"]["peer_session"]) == after[:2]
            assert min(call["session"]["tx_packets"], call["session"]["rx_packets"]) > 500
            assert service.faults() == []
            assert_nothing_left(cpe, service)
        there.down()
    assert_well_formed(capture.path, cpe.address, ("l2tp", "lcp", "chap", "ipcp", "icmp", "tcp"))


def test_the_kernel_encrypts_with_the_keys_we_have_negotiated(lns, cpe):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns, "mschap-v2", pppd=("silent", "require-mppe-128")) as there:
        config = client(lns.address, auth=["mschap-v2"], mppe="require")
        with Laclet(cpe, config, SECRETS) as service:
            interface, own, peer = service.up("ppp[0-9]+")
            there.up()
            there.pppd_said("MPPE 128-bit stateless compression enabled")
            assert_passes(cpe, own, lns, peer, 1_000_000)
            assert min(packets(cpe, interface)) > 500
            status = service.status()["laclet"]["calls"]["vpn"]
            assert status["ppp"]["options"]["ccp"]["mppe"] == ["01000040", "01000040"]
            assert (status["plane"], status["mtu"], status["ppp"]["drops"].get("MPPE packet garbled")) == (
                "kernel",
                1396,
                None,
            )
            assert service.faults() == []
            assert_nothing_left(cpe, service)


# pppd fragments a packet for all links that are idle.
MULTILINK = ("multilink", "mrru 1500", "lcp-echo-interval 2", "lcp-echo-failure 2")


def test_the_kernel_has_a_bundle_over_two_tunnels(lns, cpe):
    need("xl2tpd", "pppd")
    config = client(lns.address, multilink=True, tunnels=["nas", "two"], lcp_echo_interval=2, lcp_echo_failure=2)
    del config["call"]["vpn"]["tunnel"]
    config["tunnel"]["two"] = {"server": lns.address}
    with Xl2tpdLns(lns, pppd=("silent", *MULTILINK)) as there, Laclet(cpe, config, SECRETS) as service:
        service.said("links: 2")
        interface, own, peer = service.up("ppp[0-9]+")
        there.up()
        before = sessions(cpe)
        assert_passes(cpe, own, lns, peer, 500_000)
        after = sessions(cpe)
        assert len(after) == 2 and min(packets(cpe, interface)) > 250
        for old, new in zip(sorted(before), sorted(after), strict=True):
            assert min(new[2] - old[2], new[3] - old[3]) > 100, (before, after)
        legs = service.status()["laclet"]["calls"]["vpn"]["legs"]
        assert all(min(leg["session"]["tx_packets"], leg["session"]["rx_packets"]) > 100 for leg in legs)
        assert service.faults() == []
        assert_nothing_left(cpe, service)


def test_a_bundle_of_the_kernel_loses_a_link_and_has_it_back(lns, cpe):
    need("xl2tpd", "pppd")
    config = client(lns.address, multilink=True, tunnels=["nas", "two"], lcp_echo_interval=2, lcp_echo_failure=2)
    del config["call"]["vpn"]["tunnel"]
    config["tunnel"]["two"] = {"server": lns.address, "redial_timeout": 2}
    with Xl2tpdLns(lns, pppd=("silent", *MULTILINK)) as there, Laclet(cpe, config, SECRETS) as service:
        service.said("links: 2")
        _, own, peer = service.up("ppp[0-9]+")
        there.up()
        # pppd gives up a bundle with its first link, which need not be the first one here.
        first = bundle_of(lns)
        legs = service.status()["laclet"]["calls"]["vpn"]["legs"]
        (last,) = [leg["tunnel"] for leg in legs if leg["session"]["peer_session"] != first]
        service.command("down", last)
        service.said(f"tunnel.{last}.*closed")
        there.pppd_said("Link terminated", timeout=20.0)  # until then it sends into the dead link
        assert_passes(cpe, own, lns, peer)
        assert len(sessions(cpe)) == 1
        service.command("up", last)
        service.said("links: 2", count=2)
        assert_passes(cpe, own, lns, peer)
        assert len(sessions(cpe)) == 2
        assert_nothing_left(cpe, service)


@pytest.mark.parametrize("numbered", [False, True])
def test_xl2tpd_calls_us_and_the_kernel_has_the_session(lns, cpe, numbered):
    """Numbered: pppd at the other end numbers its packets as soon as it is told, and so do we."""
    need("xl2tpd", "pppd")
    pppd = ("pppol2tp_send_seq",) if numbered else ()
    with Laclet(lns, server(), USERS) as service, Xl2tpdClient(cpe, lns.address, pppd=pppd) as caller:
        caller.dial()
        _, own, peer = caller.up()
        assert (own, peer) == ("10.11.0.10", LOCAL)
        interface, *_ = service.up("ppp[0-9]+")
        assert_passes(cpe, own, lns, peer, 1_000_000)
        ((_, _, sent, received),) = sessions(lns)
        assert min(sent, received, *packets(lns, interface)) > 500
        (call,) = service.status()["laclet"]["lns"]["callers"]
        assert min(call["session"]["tx_packets"], call["session"]["rx_packets"]) > 500
        assert service.faults() == []
        caller.hang_up()
        lns.no_interface("ppp[0-9]+")
        assert_nothing_left(lns, service)


def test_two_callers_at_one_port_each_have_a_tunnel_of_the_kernel(lns, cpe):
    need("xl2tpd", "pppd")
    one, two = [Xl2tpdClient(cpe, lns.address, name=f"client{port}", port=port) for port in (1701, 1702)]
    with Laclet(lns, server(), USERS) as service, one, two:
        one.dial()
        service.said("is up: address 10.11.0.10")
        two.dial()
        service.said("is up: address 10.11.0.11")
        assert len(sessions(lns)) == 2
        for own in ("10.11.0.10", "10.11.0.11"):
            exchange(cpe, own, lns, LOCAL, 100_000)
        one.hang_up()
        service.said("call ended")
        exchange(cpe, "10.11.0.11", lns, LOCAL, 100_000)
        assert_nothing_left(lns, service)


def test_pppd_calls_us_through_two_tunnels_of_the_kernel(lns, cpe):
    need("xl2tpd", "pppd")
    one, two = [
        Xl2tpdClient(cpe, lns.address, pppd=MULTILINK, name=f"client{port}", port=port) for port in (1701, 1702)
    ]
    with Laclet(lns, server(multilink=True), USERS) as service, one, two:
        one.dial()
        _, own, peer = one.up()
        two.dial()
        service.said("links: 2")
        assert_passes(cpe, own, lns, peer, 500_000)
        counted = sessions(lns)
        assert len(counted) == 2 and min(min(each[2:]) for each in counted) > 100, counted
        assert_nothing_left(lns, service)


def test_a_kernel_without_ppp_is_named_and_the_next_plane_has_the_packets(lns, here):
    need("xl2tpd", "pppd")
    assert here.run("test -e /dev/ppp", check=False).rc, "this machine's kernel has PPP"
    with Xl2tpdLns(lns), Laclet(here, client(lns.address, data_plane="auto"), SECRETS) as service:
        service.up()
        service.said(r"data plane tun \(kernel: there is no /dev/ppp \(modprobe ppp_generic")
    service = Laclet(here, client(lns.address), SECRETS, name="insists")
    path = here.write("insists/laclet.toml", tomlkit.dumps(service.config))
    here.write("insists/secrets.toml", tomlkit.dumps(service.secrets))
    refused = here.run(LACLET, "run", path, check=False, env={"LACLET_RUN_DIR": f"{here.directory}/insists"})
    assert refused.rc == 7
    assert "data plane kernel: there is no /dev/ppp (modprobe ppp_generic" in refused.err
    assert "Traceback" not in refused.err


def test_a_guest_without_the_module_or_the_right_is_told_how(cpe):
    """By name, and with the way out, whatever is missing."""
    need("modprobe", "setpriv")
    probe = "from laclet_linux.plane.kernel import why_not; print(why_not({'mppe': 'none'}))"
    words = ["env", f"PYTHONPATH={TREE}/firmware", sys.executable, "-c", probe]
    assert cpe.run(*words).out == "None\n"
    assert cpe.run("setpriv", "--bounding-set=-net_admin", *words).out == "it takes root, or CAP_NET_ADMIN\n"
    cpe.run("mv", "/dev/ppp", "/dev/ppp.away")
    assert cpe.run(*words).out.startswith("there is no /dev/ppp (modprobe ppp_generic")
    cpe.run("mv", "/dev/ppp.away", "/dev/ppp")
    modprobe = cpe.run("cat", "/proc/sys/kernel/modprobe").out.strip()
    cpe.run("rmmod", "l2tp_ppp")
    cpe.run("echo /bin/false >/proc/sys/kernel/modprobe")
    assert cpe.run(*words).out == "the kernel has no L2TP (modprobe l2tp_ppp)\n"
    cpe.run(f"echo {modprobe} >/proc/sys/kernel/modprobe")
    assert cpe.run(*words).out == "None\n"
