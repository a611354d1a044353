"""``micropython -m laclet_mcu.main config.json``; on a board: ``from laclet_mcu.main import run`` and ``run()``."""

import sys

from .store import load

_CONFIG_INVALID = 3  # exit code, as of the host's tools


def shell(path="/config.json"):
    """A Shell with the configuration at ``path``; None when it has faults, which are printed."""
    config, problems = load(path)
    for line in problems:
        print(line)
    if problems:
        return None
    from .shell import Shell

    return Shell(config)


def run(path="/config.json"):
    """Serve the configuration at ``path`` until Ctrl-C; returns False when it has faults."""
    served = shell(path)
    if served is None:
        return False
    served.run()
    return True


if __name__ == "__main__":
    try:
        sys.exit(0 if run(sys.argv[1]) else _CONFIG_INVALID)
    except KeyboardInterrupt:
        sys.exit(130)
