"""Real firmware is the one exception to LACLET_REQUIRE_ALL: its image cannot be installed from anywhere."""

import os

collect_ignore = ["mcu"]  # for MicroPython only: test_core runs them


def pytest_collection_modifyitems(config, items):
    """Without an image its tests are not selected where nothing may be skipped; elsewhere they are skipped by name."""
    if os.environ.get("LACLET_REQUIRE_ALL") != "1" or os.environ.get("LACLET_UF2"):
        return
    left_out = [item for item in items if item.get_closest_marker("firmware")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
