"""How commands end: the statuses a script can branch on, and the sentence for everybody else."""

OK = 0
FAILED = 1
NO_DAEMON = 69
"""No daemon answers (EX_UNAVAILABLE)."""
ALREADY_RUNNING = 75
"""Another daemon has the place (EX_TEMPFAIL)."""
BAD_CONFIGURATION = 78
"""The configuration cannot be used (EX_CONFIG)."""
INTERRUPTED = 130


class Failure(Exception):  # noqa: N818  (an end, told to the user as a sentence)
    """A command cannot go on. status: what the process ends with; code: the daemon's, where it has refused."""

    def __init__(self, message: str, *, status: int = FAILED, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def status_of(code: str) -> int:
    """The exit status of an error's code."""
    return BAD_CONFIGURATION if code == "invalid_config" else FAILED
