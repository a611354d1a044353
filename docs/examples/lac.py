"""LAC in a program of your own: the PPP host at UART 1 is tunnelled; an LED, or whatever you like, shows it."""

import asyncio

from laclet_mcu.aio import Laclet

CONFIG = {
    "tunnel": {"office": {"server": "192.0.2.1", "tunnel_secret": "shared"}},
    "line": {"port": {"device": "1", "baud": 115200, "flow": "rtscts"}},
    "call": {"remote": {"tunnel": "office", "line": "port"}},
}


def show(name, what):
    """Your own business."""
    print(name, what)


async def main(config=CONFIG):
    laclet = Laclet(config)
    laclet.start()
    try:
        async for name, what in laclet.events():
            show(name, what)
    finally:
        await laclet.stop()


if __name__ == "__main__":
    asyncio.run(main())
