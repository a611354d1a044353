"""The shell of boards."""

import sys


def forget(package, *names):
    """Let modules of a package be collected."""
    holder = sys.modules[package]
    for name in names:
        sys.modules.pop(package + "." + name, None)
        if hasattr(holder, name):
            delattr(holder, name)
