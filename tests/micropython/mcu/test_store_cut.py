"""Power cut in the middle of every write and erase of a save: the old configuration, or the new one, and never neither.

On a LittleFS in memory, whose device fails for good at the cut; then it is mounted again.
"""

import json
import os

import flash
from flash import Flash

from laclet_mcu.store import Store


def pair(number):
    """Configuration and secrets number ``number``; longer than a block, so that a save takes many writes."""
    name = f"lns{number}.example"
    tree = {
        "tunnel": {"isp": {"server": name, "hostname": "h" * 60}},
        "call": {"isp": {"tunnel": "isp", "username": "u" * 120}},
    }
    return tree, {"call": {"isp": {"password": name}}, "tunnel": {"isp": {"tunnel_secret": "s" * 100}}}


def number(content):
    """Which pair it is; both parts must be of the same."""
    tree, secrets = content
    name = tree["tunnel"]["isp"]["server"]
    assert secrets["call"]["isp"]["password"] == name, "half of one, half of the other"
    return int(name[3:-8])


class Mounted(flash.Mounted):
    """The store of a flash."""

    def __enter__(self):
        return Store(super().__enter__() + "config.json")


def with_saves(count):
    """A flash after that many saves."""
    device = Flash(40)
    with Mounted(device) as store:
        for i in range(count):
            store.save(*pair(i))
    return device


def cut_everywhere(saves, during, old, new):
    """``during(store)`` cut at every write; what counts afterwards is ``old`` or ``new``, and it stays."""
    device = with_saves(saves)
    image = bytes(device.data)
    with Mounted(device) as store:
        during(store)
        total = device.writes
    assert total > 8
    seen = set()
    for cut in range(1, total + 1):
        device.data[:] = image
        try:
            with Mounted(device, cut) as store:
                during(store)
        except OSError:
            pass
        with Mounted(device) as store:
            found = number(store.read())
            assert found in (old, new), (cut, found)
            # The board goes on: what counted counts again, and the next save works.
            assert number(store.read()) == found
            assert not [name for name in os.listdir("/cut") if name.endswith("json.new")]
            store.save(*pair(7))
            assert number(store.read()) == 7 and number(store.read(True)) == found
        seen.add(found)
    assert seen == {old, new}


def test_a_save_is_all_or_nothing():
    cut_everywhere(2, lambda store: store.save(*pair(2)), 1, 2)


def test_an_interrupted_save_may_be_interrupted_while_it_is_ended():
    device = with_saves(2)
    image = bytes(device.data)
    with Mounted(device) as store:
        store.save(*pair(2))
        total = device.writes
    ended = 0
    for first in range(total // 2, total):
        device.data[:] = image
        try:
            with Mounted(device, first) as store:
                store.save(*pair(2))
        except OSError:
            pass
        half = bytes(device.data)
        with Mounted(device) as store:
            expected = number(store.read())
            writes = device.writes
        ended += writes > 0
        for second in range(1, writes + 1):
            device.data[:] = half
            try:
                with Mounted(device, second) as store:
                    store.read()
            except OSError:
                pass
            with Mounted(device) as store:
                assert number(store.read()) == expected, (first, second)
    assert ended


def test_the_first_save_over_files_that_were_copied_to_the_board():
    device = with_saves(0)
    with Mounted(device) as store:
        tree, secrets = pair(0)
        for name, content in (("config.json", tree), ("secrets.json", secrets)):
            with open("/cut/" + name, "w") as file:
                json.dump(content, file)
        assert number(store.read()) == 0 and store.read(True) is None
        store.save(*pair(1))
        assert number(store.read()) == 1 and number(store.read(True)) == 0
