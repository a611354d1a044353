# ruff: noqa: F821 (the names come from the firmware build)
# MicroPython with laclet in it: make BOARD=RPI_PICO_W FROZEN_MANIFEST=<this file>
include("$(PORT_DIR)/boards/manifest.py")
require("bundle-networking")
include("../../manifest.py")
