"""The program ``laclet``."""

import signal


def main() -> None:
    """Run it. While its modules are loaded there is nothing to put in order: Ctrl-C ends it without a word."""
    waiting = signal.getsignal(signal.SIGINT)
    if waiting is signal.default_int_handler:  # and nobody has had it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli import main as commands

    signal.signal(signal.SIGINT, waiting)
    commands()


if __name__ == "__main__":
    main()
