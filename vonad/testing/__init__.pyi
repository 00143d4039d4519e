"""What `vonad.testing` offers, for type checkers. A test compares it with `__init__.py`."""

from vonad.testing.agent import ScriptedAgent as ScriptedAgent
from vonad.testing.agent import ScriptedDesk as ScriptedDesk
from vonad.testing.assistant import Answer as Answer
from vonad.testing.assistant import Assistant as Assistant
from vonad.testing.assistant import open_assistant as open_assistant
from vonad.testing.backend import ScriptedBackend as ScriptedBackend
from vonad.testing.checks.agent import check_agent as check_agent
from vonad.testing.checks.backend import check_backend as check_backend
from vonad.testing.checks.component import check_component as check_component
from vonad.testing.checks.detectors import check_turn_detector as check_turn_detector
from vonad.testing.checks.detectors import check_voice_activity_detector as check_voice_activity_detector
from vonad.testing.checks.detectors import check_wake_word_detector as check_wake_word_detector
from vonad.testing.checks.frontend import check_frontend as check_frontend
from vonad.testing.checks.skill import check_skill as check_skill
from vonad.testing.checks.speech_to_text import check_speech_to_text as check_speech_to_text
from vonad.testing.checks.text_to_speech import check_text_to_speech as check_text_to_speech
from vonad.testing.checks.transport import check_line as check_line
from vonad.testing.checks.transport import check_transport as check_transport
from vonad.testing.clock import CalendarClock as CalendarClock
from vonad.testing.clock import ManualClock as ManualClock
from vonad.testing.clock import settle as settle
from vonad.testing.dialogue import ScriptedDialogue as ScriptedDialogue
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
