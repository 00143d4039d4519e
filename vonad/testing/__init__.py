"""For tests of plugins, and of vonad itself: stand-ins that keep the contracts' promises, and checks that others do.

Names are imported when first used, as in the facade: pytest loads this package wherever vonad is installed.
`__init__.pyi` tells type checkers the same; a test holds the two together.
"""

from importlib import import_module

_HOME = {
    "agent": "ScriptedAgent ScriptedDesk",
    "backend": "ScriptedBackend",
    "checks.agent": "check_agent",
    "checks.backend": "check_backend",
    "checks.component": "check_component",
    "checks.detectors": "check_turn_detector check_voice_activity_detector check_wake_word_detector",
    "checks.frontend": "check_frontend",
    "checks.skill": "check_skill",
    "checks.speech_to_text": "check_speech_to_text",
    "checks.text_to_speech": "check_text_to_speech",
    "checks.transport": "check_line check_transport",
    "assistant": "Answer Assistant open_assistant",
    "clock": "CalendarClock ManualClock settle",
    "dialogue": "ScriptedDialogue",
    "frontend": "ScriptedFrontend",
    "host": "ScriptedHost ScriptedStore ScriptedVoice",
    "line": "ScriptedLine",
    "skill": "EchoSkill",
    "sound": "chirp noise pieces quiet ramp speech tone",
    "stt": "ScriptedSpeechToText",
    "transport": "ScriptedTransport",
    "tts": "ScriptedTextToSpeech",
    "turn": "ScriptedTurnDetector",
    "vad": "LoudnessDetector",
    "wake": "ScriptedWakeWordDetector",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)  # noqa: PLE0605


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'vonad.testing' has no attribute {name!r}")
    value: object = getattr(import_module(f"vonad.testing.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
