# ruff: noqa: F821 (the names come from the firmware build)
# The packages frozen into a firmware, without asserts and line numbers: include() this file in a board's manifest.
metadata(
    description="L2TP and PPP at the customer's premises",
    version="0.1.0",
    license="MIT",
)
package("laclet", base_path="firmware", opt=3)
package("laclet_mcu", base_path="firmware", opt=3)
package("laclet_slots", base_path="firmware", opt=3)
