"""A shell inside somebody's asyncio program: ``await aio.run(shell)``, beside whatever else that program does."""

import asyncio

from micropython import const

_NAP = const(2)  # ms between looks while there is nothing to do: 23 octets at 115200 bit/s


async def run(shell):
    """Serve until cancelled; then close calls and tunnels in order."""
    node = shell.node
    shell.start()
    try:
        while True:
            # One poll serves all streams, and nothing is allocated: a task for each would allocate for every packet.
            await asyncio.sleep_ms(0 if shell.turn(0) else _NAP)
    except asyncio.CancelledError:
        node.stop(shell.now())
        while not node.stopped(shell.now()):
            shell.turn(0)
            await asyncio.sleep_ms(_NAP)
        raise
    finally:
        shell.close()
