"""LAC client in a program of your own: bring the call up, ask the time through it, report as long as it is up."""

import asyncio

from laclet_mcu.aio import Laclet

CONFIG = {
    "tunnel": {"office": {"server": "192.0.2.1", "tunnel_secret": "shared"}},
    "call": {"home": {"tunnel": "office", "username": "cpe-17", "password": "wonder", "use_peer_dns": True}},
}
TIME_SERVER = "ntp.example"


async def report(laclet, every=60):
    """What belongs to this program: a datagram now and then."""
    with laclet.udp() as socket:
        while True:
            socket.sendto(b"still here", ("10.9.0.1", 5140))
            await asyncio.sleep(every)


async def main(config=CONFIG, time_server=TIME_SERVER):
    laclet = Laclet(config)
    laclet.start()
    try:
        await asyncio.wait_for(laclet.up("home"), 30)
        print("address", laclet.status()["calls"]["home"]["address"])
        print("time", (await laclet.time(time_server))[0])
        task = asyncio.create_task(report(laclet))
        await laclet.down("home")
        task.cancel()
    finally:
        await laclet.stop()


if __name__ == "__main__":
    asyncio.run(main())
