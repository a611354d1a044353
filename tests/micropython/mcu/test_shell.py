# heap: 192K
"""Two shells in one asyncio program: a LAC client calls an LNS on loopback."""

import asyncio

from laclet.node.config import check
from laclet_mcu import aio
from laclet_mcu.shell import Shell

PORT = 43110
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
    "tunnel": {"lns": {"server": f"127.0.0.1:{PORT}"}},
    "call": {"lns": {"tunnel": "lns", "username": "anna", "password": "secret"}},
    "log": {"level": "error"},
}


def shell(tree):
    config, problems = check(tree, True)
    assert not problems, problems
    return Shell(config)


async def until(true, what):
    for _ in range(400):
        if true():
            return
        await asyncio.sleep_ms(10)
    raise AssertionError(what)


async def end(task):
    task.cancel()
    try:
        await task
        raise AssertionError("it hides its cancellation")
    except asyncio.CancelledError:
        return


def test_client_and_lns_beside_each_other():
    lns, client = shell(LNS), shell(CLIENT)

    async def main():
        tasks = [asyncio.create_task(aio.run(each)) for each in (lns, client)]
        call = client.node.calls["lns"]
        await until(lambda: call.settings, "the call is up")
        assert call.settings["remote"] == bytes([10, 7, 0, 1])
        host = call.interface
        sequence = host.ping(bytes([10, 7, 0, 1]), client.now())
        assert sequence > 0
        await until(lambda: not host._pings, "the ping is answered")
        await end(tasks[1])
        await until(lambda: not lns.node.tunnels() or lns.node.stopped(lns.now()), "the LNS saw it go")
        await end(tasks[0])

    asyncio.run(main())
    assert lns._ports == [] and client._ports == [], "everything is closed"


def test_a_name_that_is_unknown_is_a_fault_and_tried_again():
    tunnel = {"server": "no.such.name.invalid", "holdoff": 1}
    served = shell({"tunnel": {"lns": tunnel}, "call": CLIENT["call"], "log": LNS["log"]})
    served.start()
    served.turn(0)
    fault = served.node.dialers["lns"].fault
    assert fault.layer == "dns" and "no.such.name.invalid" in fault.cause
    assert served.node.poll_at() is not None, "it will dial again"
    served.node.close()
