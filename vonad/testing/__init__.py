"""For tests of plugins, and of vonad itself: stand-ins that keep the contracts' promises."""

from vonad.testing.backend import ScriptedBackend as ScriptedBackend
from vonad.testing.backend import ScriptedDialogue as ScriptedDialogue
from vonad.testing.clock import ManualClock as ManualClock
from vonad.testing.clock import settle as settle
from vonad.testing.line import ScriptedLine as ScriptedLine
from vonad.testing.vad import LoudnessDetector as LoudnessDetector
from vonad.testing.vad import quiet as quiet
from vonad.testing.vad import speech as speech

__all__ = [
    "LoudnessDetector",
    "ManualClock",
    "ScriptedBackend",
    "ScriptedDialogue",
    "ScriptedLine",
    "quiet",
    "settle",
    "speech",
]
