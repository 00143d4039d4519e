"""What `vonad.testing` offers, for type checkers. A test compares it with `__init__.py`."""

from vonad.testing.agent import ScriptedAgent as ScriptedAgent
from vonad.testing.agent import ScriptedDesk as ScriptedDesk
from vonad.testing.backend import ScriptedBackend as ScriptedBackend
from vonad.testing.backend import ScriptedDialogue as ScriptedDialogue
from vonad.testing.clock import ManualClock as ManualClock
from vonad.testing.clock import settle as settle
from vonad.testing.frontend import ScriptedFrontend as ScriptedFrontend
from vonad.testing.host import ScriptedHost as ScriptedHost
from vonad.testing.host import ScriptedStore as ScriptedStore
from vonad.testing.host import ScriptedVoice as ScriptedVoice
from vonad.testing.line import ScriptedLine as ScriptedLine
from vonad.testing.skill import EchoSkill as EchoSkill
from vonad.testing.sound import chirp as chirp
from vonad.testing.sound import noise as noise
from vonad.testing.sound import pieces as pieces
from vonad.testing.sound import quiet as quiet
from vonad.testing.sound import ramp as ramp
from vonad.testing.sound import speech as speech
from vonad.testing.sound import tone as tone
from vonad.testing.stt import ScriptedSpeechToText as ScriptedSpeechToText
from vonad.testing.transport import ScriptedTransport as ScriptedTransport
from vonad.testing.tts import ScriptedTextToSpeech as ScriptedTextToSpeech
from vonad.testing.turn import ScriptedTurnDetector as ScriptedTurnDetector
from vonad.testing.vad import LoudnessDetector as LoudnessDetector
from vonad.testing.wake import ScriptedWakeWordDetector as ScriptedWakeWordDetector

__all__: list[str]
