"""The ``zoo`` command.

Exit codes: 0 done, 1 a bug of ours, 2 bad input, 3 a check failed, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

INTERRUPTED = 130


def main() -> None:
    """Entry point: runs a command and turns every foreseen failure into one paragraph on stderr."""
    from zoo.cli.app import app
    from zoo.cli.output import fail
    from zoo.errors import ZooError

    warnings.showwarning = _show
    try:
        app(prog_name="zoo")
    except ZooError as problem:
        sys.exit(fail(str(problem), type(problem).__name__, problem.exit_code))
    except SystemExit as done:
        if done.code == INTERRUPTED:  # Ctrl-C, which the command's framework takes and says nothing about
            fail("interrupted; call the same command again to go on.", "Interrupted", INTERRUPTED)
        raise
    except BrokenPipeError:  # the reader of our output has gone, as in `zoo list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as problem:
        if os.environ.get("ZOO_TRACEBACK"):
            raise
        text = f"{type(problem).__name__}: {problem}. This is a bug; set ZOO_TRACEBACK=1 to see where."
        sys.exit(fail(text, type(problem).__name__, 1))


def _show(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any, **more: Any
) -> None:
    """Ours as a sentence, without the line of code that it came from; others as Python shows them."""
    from zoo.errors import ZooWarning

    if issubclass(category, ZooWarning):
        print(f"warning: {message}", file=sys.stderr)
    else:
        print(warnings.formatwarning(message, category, filename, lineno), end="", file=sys.stderr)
