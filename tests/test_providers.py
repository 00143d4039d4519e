"""Providers: whatever hears, speaks, answers and carries the sound may be somebody else's plugin."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest

from vonad import Registrar, hookimpl
from vonad.engine import VoiceActivity
from vonad.frame import Frame
from vonad.plan import Style
from vonad.sentences import Sentences
from vonad.testing import (
    LoudnessDetector,
    ScriptedAgent,
    ScriptedSpeechToText,
    ScriptedTextToSpeech,
    ScriptedTurnDetector,
    open_assistant,
    quiet,
    speech,
)


class Spoken(ScriptedTextToSpeech):
    """Half a second, whatever it says."""

    def __init__(self) -> None:
        super().__init__()
        self.spoken: list[str] = []

    async def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        self.spoken.append(text)
        yield quiet(0.5)


class Asked(LoudnessDetector):
    """Knows whether it was asked."""

    streamed = 0

    def stream(self) -> VoiceActivity:
        self.streamed += 1
        return super().stream()


class Judged(ScriptedTurnDetector):
    """Keeps what it was asked."""

    def __init__(self, *sentences: str) -> None:
        super().__init__(*sentences)
        self.judged: list[str] = []

    def judge(
        self, words: str, *, sentences: Sentences, language: str
    ) -> Literal["complete", "open", "partial", "unknown"]:
        self.judged.append(words)
        return super().judge(words, sentences=sentences, language=language)


def providers(**engines: object) -> ModuleType:
    """A plugin that offers an engine in each role."""
    plugin = ModuleType("providers")

    def opened(engine: object) -> Callable[[object, object], AbstractAsyncContextManager[object]]:
        @asynccontextmanager
        async def lend(settings: object, host: object) -> AsyncIterator[object]:
            yield engine

        return lend

    @hookimpl
    def register_engines(registrar: Registrar) -> None:
        for role, engine in engines.items():
            registrar.add(f"my_{role}", opened(engine), role=role)  # type: ignore[arg-type]

    vars(plugin).update(register_engines=register_engines)
    return plugin


async def test_beluga_providers_stt_agent_tts_vad_turn_detection_and_transport_are_all_a_plugin_s(
    tmp_path: Path,
) -> None:
    """The transport of a test's assistant comes in as a drop-in too."""
    stt, agent, tts = ScriptedSpeechToText("is it noon"), ScriptedAgent({"is it noon": "It is."}), Spoken()
    vad, turn = Asked(), Judged("is it noon")
    config = """
[session]
vad = "my_vad"
turn = "my_turn"
[backends.bridge]
stt = ["my_stt"]
agent = ["my_agent"]
tts = ["my_tts"]
[engines]
""" + "".join(f"my_{role} = {{}}\n" for role in ("stt", "agent", "tts", "vad", "turn"))
    plugin = providers(stt=stt, agent=agent, tts=tts, vad=vad, turn=turn)
    async with open_assistant(tmp_path, config=config, plugins=[plugin]) as assistant:
        answer = await assistant.hear(speech(1.0))
        assert (answer.transcript, answer.text, answer.outcome) == ("is it noon", "It is.", "completed")
        assert sum(frame.seconds for frame in answer.sound) == pytest.approx(0.5, abs=0.01)
        assert (len(stt.utterances), len(agent.requests), tts.spoken.count("It is.")) == (1, 1, 1)
        assert vad.streamed
        assert turn.judged
