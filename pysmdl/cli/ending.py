"""How a command ends: its exit code, and what it says of an error.

0: all is done. 1: something failed, and was said; or a bug of pysmdl. 2: the command cannot do what was asked. 128 and
the signal's number: Ctrl-C (130), SIGTERM (143).
"""

from __future__ import annotations

import dis
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from pysmdl.cli.console import err, printable, say
from pysmdl.cli.stopping import stoppable
from pysmdl.errors import PysmdlError, described

BUG = "this is a bug of pysmdl: please report it, with the traceback that --debug shows"


class Ending:
    """Turns how what runs inside ends into an exit code.

    Attributes:
        debug: Whether errors come with their traceback.
    """

    debug = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Around a command."""
        came: list[int] = []
        try:
            with stoppable() as came:
                yield
        except KeyboardInterrupt:
            err.print("stopped")
            raise typer.Exit(128 + (came or [signal.SIGINT])[0]) from None
        except typer.Exit:
            raise
        except Exception as error:
            raise typer.Exit(self.said(error)) from None

    def said(self, error: Exception) -> int:
        """Say an error in a line; returns the exit code."""
        if self.debug:
            err.print(printable("".join(traceback.format_exception(error))), soft_wrap=True)
        if is_mistake(error):
            say("error", str(error) or type(error).__name__)
            return 2
        say("error", f"{described(error)}; {BUG}")
        return 1


ending = Ending()


def is_mistake(error: Exception) -> bool:
    """Whether an error is a user's: one that pysmdl raises by name, or the machine's (files, memory)."""
    if isinstance(error, (PysmdlError, OSError, MemoryError)):
        return True
    return isinstance(error, (ValueError, TypeError)) and _raised_here(error)


def _raised_here(error: Exception) -> bool:
    """Whether a raise statement of pysmdl's made it; what comes out of a call was foreseen by nobody."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or last.tb_frame.f_globals.get("__name__", "").partition(".")[0] != "pysmdl":
        return False
    return dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"
