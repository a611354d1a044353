"""``micropython -m laclet_mcu.main config.json``; on a board: ``from laclet_mcu.main import run`` and ``run()``."""

import gc
import sys

_CONFIG_INVALID = 3  # exit codes, as of the host's tools
_INTERRUPTED = 130

# Bytes allocated between collections. Loading makes as much garbage as code: collected often, the code stays together
# and the heap in one piece. Later only what is said between calls is allocated.
_LOADING = 2048
_RUNNING = 16384


def shell(path="/config.json", safe=False, always=False):
    """A Shell with the configuration at ``path``; None when it has faults, which are printed.

    ``always``: a Shell with nothing to do instead of None; ``safe``: that in any case.
    """
    gc.threshold(_LOADING)
    config = _load(path, safe, always)
    if config is None:
        return None
    gc.collect()
    from .shell import Shell

    made = Shell(config)
    gc.collect()
    gc.threshold(_RUNNING)
    return made


def _load(path, safe, always):
    """The configuration to serve, or None; the store leaves memory again."""
    from . import forget
    from .store import load, nothing

    config, problems = (None, []) if safe else load(path)
    forget("laclet_mcu", "store")
    for line in problems:
        print(line)
    if (safe or problems) and always:
        config = nothing()
    return None if problems and not always else config


def run(path="/config.json"):
    """Serve the configuration at ``path`` until Ctrl-C; returns False when it has faults."""
    served = shell(path)
    if served is None:
        return False
    served.run()
    return True


def main(argv):
    """Serve the configuration that the command line names; ends the program."""
    try:
        sys.exit(0 if run(argv[1]) else _CONFIG_INVALID)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main(sys.argv)
