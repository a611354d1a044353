"""LNS in a program of your own: takes calls, and says how many there are."""

import asyncio

from laclet_mcu.aio import Laclet

CONFIG = {
    "lns": {
        "address": "10.64.64.1",
        "pool": "10.64.64.2-10.64.64.9",
        "tunnel_secret": "shared",
        "users": {"cpe-17": "wonder"},
    }
}


async def main(config=CONFIG):
    laclet = Laclet(config)
    laclet.start()
    try:
        async for name, what in laclet.events():
            print(name, "callers:", what)
    finally:
        await laclet.stop()


if __name__ == "__main__":
    asyncio.run(main())
