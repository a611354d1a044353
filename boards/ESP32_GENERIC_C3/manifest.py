# ruff: noqa: F821 (the names come from the firmware build)
# MicroPython with laclet in it: make BOARD=ESP32_GENERIC_C3 FROZEN_MANIFEST=<this file>
include("$(PORT_DIR)/boards/manifest.py")
include("../../manifest.py")
