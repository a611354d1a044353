# ruff: noqa: F821 (the names come from the firmware build)
# MicroPython with laclet in it: make BOARD=NUCLEO_H743ZI FROZEN_MANIFEST=<this file>
include("$(PORT_DIR)/boards/manifest.py")
require("bundle-networking")
include("../../manifest.py")
