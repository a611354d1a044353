"""What a long job says while it works: bars on a terminal, lines elsewhere, nothing for programs."""

import contextlib
import sys
from collections.abc import Callable, Iterator

import click

Tell = Callable[[str, float | None], None]  # (what is being done, per cent of it or None)

_WIDE = 250  # columns where there is no terminal
_SHORT = 44  # characters beside a bar


def quiet(doing: str, percent: float | None) -> None:
    """Says nothing."""


@contextlib.contextmanager
def shown(names: list[str], silent: bool) -> Iterator[Callable[[str], Tell]]:
    """Gives a ``Tell`` for each of the jobs ``names``, shown on stderr as long as the block lasts."""
    if silent:
        yield lambda name: quiet
    elif sys.stderr.isatty():
        with _bars(names) as teller:
            yield teller
    else:
        yield lambda name: _Lines(name if len(names) > 1 else "")


class _Lines:
    """A line for each new thing that is done."""

    def __init__(self, name: str):
        self._before = f"{name}: " if name else ""
        self._last = ""

    def __call__(self, doing: str, percent: float | None) -> None:
        if doing != self._last:
            self._last = doing
            click.echo(self._before + doing, err=True)


def wide_console():
    """rich's console on stdout; tables that go to a file or a program are not folded to 80 columns."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=_WIDE)


@contextlib.contextmanager
def _bars(names: list[str]) -> Iterator[Callable[[str], Tell]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = {name: progress.add_task(name, total=None) for name in names}

        def teller(name: str) -> Tell:
            before = f"{name}: " if len(names) > 1 else ""

            def tell(doing: str, percent: float | None) -> None:
                total = None if percent is None else 100.0
                if len(doing) > _SHORT:  # a failure: it stays to be read, and leaves room for the bar
                    progress.console.print(before + doing, markup=False, highlight=False, soft_wrap=True)
                    doing = doing.split(":")[0][:_SHORT]
                progress.update(tasks[name], description=before + doing, total=total, completed=percent or 0.0)

            return tell

        yield teller
