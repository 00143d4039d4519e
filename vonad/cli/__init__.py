"""The command line. Every module imports what it needs when its command runs: `vonad ask` must feel instant."""

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point `vonad`: runs a command, says what went wrong in a sentence, and ends with its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    from vonad.cli.app import build
    from vonad.cli.exits import FAILED, INTERRUPTED, Failure, status_of
    from vonad.errors import VonadError

    try:
        build(given)(given, prog_name="vonad")
    except Failure as failure:
        status = _complain(str(failure), failure.status)
    except VonadError as error:
        status = _complain(error.message, status_of(error.code))
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:
        status = FAILED
    except Exception as defect:
        import traceback

        traceback.print_exception(defect, limit=-3)
        status = _complain("this is a defect in vonad: please report it with the lines above", FAILED)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    sys.exit(_flushed(status))


def _complain(message: str, status: int) -> int:
    sys.stdout.flush()
    print(f"vonad: {message}", file=sys.stderr)
    return status


def _flushed(status: int) -> int:
    """Write out what is left; a reader who has gone (`vonad history | head`) is no reason for a traceback."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status
