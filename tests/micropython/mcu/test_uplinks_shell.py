# heap: 192K
"""A LAC client that waits for its uplink, calls through it, and follows when another one takes over."""

import asyncio
import sys

import networkdouble as network

sys.modules["network"] = network
network.hostname = lambda *name: "board"

from run import ask  # noqa: E402

from laclet_mcu.aio import Laclet, run  # noqa: E402
from laclet_mcu.shell import Shell  # noqa: E402

PORT = 43114
LNS = {
    "lns": {
        "listen": [f"127.0.0.1:{PORT}"],
        "auth": ["chap"],
        "address": "10.7.0.1",
        "pool": "10.7.0.10-10.7.0.20",
        "users": {"anna": "secret"},
    },
    "log": {"level": "error"},
}
CLIENT = {
    "uplink": {
        "home": {"kind": "wifi", "ssid": "net", "password": "geheim"},
        "cable": {"kind": "ethernet", "metric": 1},
    },
    "tunnel": {"lns": {"server": f"127.0.0.1:{PORT}", "holdoff": 0.1}},
    "call": {"office": {"tunnel": "lns", "username": "anna", "password": "secret"}},
    "log": {"level": "error"},
}


def callers(lns):
    """Where they call from."""
    return sorted([session.tunnel.addr[0] for session in lns.node.lns.callers])


def test_a_tunnel_takes_the_uplink_that_works():
    config, problems = ask(LNS, True)
    assert not problems, problems
    lns = Shell(config)
    client = Laclet(CLIENT)

    async def main():
        serving = asyncio.create_task(run(lns))
        client.start()
        await asyncio.sleep_ms(700)
        assert network.made["WLAN"].asked == [("net", "geheim")]
        assert client.status()["tunnels"]["lns"]["state"] == "resolving", "it waits"
        network.made["LAN"].rise("127.0.0.3")
        await asyncio.wait_for(client.up("office"), 10)
        assert callers(lns) == ["127.0.0.3"] and await client.ping("10.7.0.1") is not None
        network.made["WLAN"].rise("127.0.0.2")
        await asyncio.wait_for(client.down("office"), 10)
        await asyncio.wait_for(client.up("office"), 10)
        assert callers(lns)[0] == "127.0.0.2" and client.shell.uplinks.current.name == "home"
        await client.stop()
        assert client.shell._ports == []
        serving.cancel()

    asyncio.run(main())


def test_a_new_configuration_has_uplinks_of_its_own():
    shell = Shell(ask(CLIENT, True)[0])

    def turn_until(true):
        for _ in range(400):
            if true():
                return
            shell.turn(10)
        raise AssertionError("in vain")

    shell.start()
    turn_until(lambda: "LAN" in network.made)
    network.made["LAN"].rise("127.0.0.3")
    turn_until(lambda: shell.uplinks.ready())
    before = shell.uplinks
    shell.renew(ask(dict(CLIENT, uplink={"cable": {"kind": "ethernet"}}), True)[0])
    assert shell.uplinks is not before and not shell.uplinks.ready()
    turn_until(lambda: network.made["LAN"].settings[0] == "0.0.0.0")
    network.made["LAN"].rise("127.0.0.4")
    turn_until(lambda: shell.uplinks.ready() and shell.node.dialers["lns"].state == "connecting")
    assert shell.uplinks.current.address == "127.0.0.4"
    shell.renew(ask(dict(CLIENT, uplink={}), True)[0])
    assert shell.uplinks is None
    turn_until(lambda: shell.node.dialers["lns"].state == "connecting")
    shell.end()
    assert shell._ports == []
