"""vonad: the voice layer of a home server. This facade is all that a plugin imports: vonad's words and contracts.

Names are imported when first used, so that `import vonad` costs nothing that is not needed. `__init__.pyi` tells type
checkers the same; a test holds the two together.
"""

import sys
from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_HOME = {
    "vonad.backend": (
        "Backend BackendCapabilities Brief Diagnostic Dialogue EndOfSpeech Overheard Reply ReplyDone ReplyFailed "
        "ReplyText SkillRequest SpeechStarted Transcript"
    ),
    "vonad.backoff": "Backoff",
    "vonad.cancellation": "called_off",
    "vonad.clock": "Clock SystemClock Timer",
    "vonad.control": "Continue ControlEvent Decision FallBack FallbackReason Ignore InjectContext",
    "vonad.engine": (
        "Agent Detection Exchange Heard NotUnderstood Outcome Output Request SkillDesk SpeechToText TextToSpeech "
        "TurnDetector VoiceActivity VoiceActivityDetector WakeStream WakeWordDetector"
    ),
    "vonad.errors": "CODES VonadError first_error",
    "vonad.events": "EVENTS Event",
    "vonad.frame": "CAPTURE_RATE Blocks Frame Samples silence",
    "vonad.frontend": "Frontend",
    "vonad.hookspecs": "API_VERSION Registrar hookimpl",
    "vonad.host": "Answered Component Host NoSettings Role Store Voice",
    "vonad.mailbox": "Mailbox",
    "vonad.plan": "BargeIn Budget ContextEvent Endpointing Overrides Plan Refusal SessionView Style Wake",
    "vonad.sentences": "Sentence Sentences SkillSentences WordList",
    "vonad.skill": "Allow AnySkill Call Confirm Deny NoArgs Skill SkillCall SkillResult skill",
    "vonad.streams": "closing",
    "vonad.transport": "Line LineCapabilities Transport",
    "vonad.wav": "read_wav write_wav",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = ["__version__", *sorted(_MODULE_OF)]  # noqa: PLE0604


class _Facade(ModuleType):
    """Importing `vonad.skill` binds that module in this package, over the decorator of the same name: not here."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _MODULE_OF and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Facade


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'vonad' has no attribute {name!r}")
    value: object = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
