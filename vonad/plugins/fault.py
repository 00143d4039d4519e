"""Why a plugin does not run: whatever its code raised, as a sentence with the remedy."""

import re
import sys
import traceback
from pathlib import Path

from vonad import __version__
from vonad.errors import VonadError
from vonad.plugins.origin import Candidate

OWN = str(Path(__file__).parent.parent)
"""The core: what lies below it in a traceback is the plugin's."""

LIMIT = 500
"""Characters of an exception's own text."""

_MISSING_NAME = re.compile(r"cannot import name '(\w+)' from '(vonad[\w.]*)'")


def sentence(error: BaseException, candidate: Candidate) -> str:
    """The reason to show."""
    if isinstance(error, VonadError):
        return error.message
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _missing_module(error.name, candidate)
    if isinstance(error, ImportError) and (missing := _MISSING_NAME.match(str(error))):
        return f"{missing[2]} {__version__} has no {missing[1]}: it was written for another version of vonad"
    if isinstance(error, SyntaxError):
        return f"not Python: {error.msg} ({error.filename}:{error.lineno})"
    if isinstance(error, SystemExit):
        return f"it tried to end the program ({_text(error)}){_where(error)}"
    return f"{_text(error)}{_where(error)}"


def _missing_module(name: str, candidate: Candidate) -> str:
    top = name.split(".", maxsplit=1)[0]
    if top == candidate.module_name.split(".")[0]:
        return f"its module {name} is missing: install {candidate.distribution or candidate.name} again"
    if top == "vonad":
        return f"vonad {__version__} has no module {name}: it was written for another version of vonad"
    return f"needs the Python module {top}, which is not installed: {sys.executable} -m pip install {top}"


def _text(error: BaseException) -> str:
    try:
        said = str(error)
    except Exception:
        said = ""
    kind = type(error).__name__
    return f"{kind}: {said}"[:LIMIT] if said else kind


def _where(error: BaseException) -> str:
    """The place its author will look at: the innermost line, but none of vonad's own."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and not frame.filename.startswith(OWN)
    ]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
