# ruff: noqa: F821 (the names come from the firmware build)
# MicroPython with laclet in it: make VARIANT=standard FROZEN_MANIFEST=<this file>
include("$(PORT_DIR)/variants/manifest.py")
include("../../manifest.py")
