# heap: 144K
# The flash is in it, with 48K.
"""The power cut 1,000 times at a random write, while configurations are saved and updates made, on one flash."""

import random

from flash import Flash, Mounted
from updatedesk import Life

from laclet_mcu.update import Refused

CUTS = 1000
_WRITES_MAX = 150  # before the cut; an update needs about as many


def test_a_board_lives_through_a_thousand_power_cuts():
    random.seed(4)
    flash = Flash(96)
    with Mounted(flash) as root:
        Life(root, random.randrange, -1, 0).save()
    config = version = 0
    cuts = during_boot = 0
    while cuts < CUTS:
        started = False
        try:
            with Mounted(flash, 1 + random.randrange(_WRITES_MAX)) as root:
                life = Life(root, random.randrange, config, version)
                life.boot()
                started = True
                while True:
                    config, version = life.config, life.version
                    life.work()
        except (OSError, Refused):
            pass
        config, version = life.config, life.version
        assert flash.writes >= flash.cut
        cuts += 1
        during_boot += not started
    with Mounted(flash) as root:
        Life(root, random.randrange, config, version).boot()
    print(f"{cuts} cuts, {during_boot} of them in a boot; {config} saves, {version} updates")
    assert during_boot > 10 and config > 100 and version > 50
