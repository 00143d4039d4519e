"""Every component of every bundled plugin keeps the promises of its contract, loaded as a third party's would be."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.parts.sound import Sound
from vonad import Frame, Role, Sentences, read_wav
from vonad.plugins import Plugins
from vonad.sentences import sentences_of
from vonad.skill import Skill
from vonad.testing import (
    ScriptedHost,
    check_agent,
    check_backend,
    check_component,
    check_skill,
    check_speech_to_text,
    check_text_to_speech,
    check_transport,
    check_turn_detector,
    check_voice_activity_detector,
    check_wake_word_detector,
)
from vonad.transport import Transport

AUDIO = Path(__file__).parent.parent / "audio"

TIME, DATE = "what time is it", "what's the date today"


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    """All of them, by their entry points."""
    loaded = Plugins(drop_ins=None)
    loaded.load()
    return loaded


class House:
    """Opens what is offered, each with a host of its own."""

    def __init__(self, plugins: Plugins, folder: Path) -> None:
        self.plugins = plugins
        self.folder = folder
        self.engines: dict[Role, dict[str, object]] = {}
        self.sentences = Sentences()

    def opener(self, group: str, kind: str, **settings: object) -> Callable[[], AbstractAsyncContextManager[object]]:
        offer = self.plugins.offer(group, kind)
        model = offer.settings.model_validate(settings)
        host = ScriptedHost(self.folder, name=kind, engines=self.engines, sentences=self.sentences)
        return lambda: offer.factory(model, host)

    @asynccontextmanager
    async def furnished(self) -> AsyncIterator["House"]:
        """With the bundled skills' sentences, and the engines that the bridge wants."""
        async with AsyncExitStack() as stack:
            groups = []
            for group, kind in self.plugins.offers:
                if group == "skills":
                    skill = await stack.enter_async_context(self.opener("skills", kind)())
                    assert isinstance(skill, Skill)
                    groups.append(sentences_of(skill.name, skill.sentences, skill.lists))
            self.sentences = Sentences(tuple(groups))
            for role, kind in (("tts", "espeak"), ("agent", "sentences"), ("stt", "pocketsphinx")):
                engine = await stack.enter_async_context(self.opener("engines", kind)())
                self.engines.setdefault(role, {})[kind] = engine
            yield self


@pytest.fixture
def house(plugins: Plugins, tmp_path: Path) -> House:
    return House(plugins, tmp_path)


def recording(name: str, *, quiet_s: float = 0.4) -> Frame:
    """One of the recordings of people, with a pause behind it."""
    sound = read_wav((AUDIO / f"{name}.wav").read_bytes(), name=name)
    assert sound.rate == 16_000
    return Frame(np.concatenate((sound.samples, np.zeros(round(quiet_s * 16_000), np.int16))), 16_000)


async def pocketsphinx(house: House) -> None:
    async with house.furnished(), house.opener("engines", "pocketsphinx")() as engine:
        heard = {TIME: recording("what_time_is_it"), DATE: recording("whats_the_date_today")}
        await check_speech_to_text(engine, sentences=house.sentences, recordings=heard)


async def espeak(house: House) -> None:
    async with house.opener("engines", "espeak")() as engine:
        await check_text_to_speech(engine)


async def sentences(house: House) -> None:
    async with house.furnished(), house.opener("engines", "sentences")() as agent:
        said = [TIME, "repeat that", "What's the date?"]
        await check_agent(agent, sentences=house.sentences, understood=said, calls=said)


async def sentences_turn(house: House) -> None:
    async with house.furnished(), house.opener("engines", "sentences_turn")() as detector:
        whole, begun = [TIME, "never mind"], ["what time", "what's the", "tell me the"]
        await check_turn_detector(detector, sentences=house.sentences, whole=whole, begun=begun)


async def silero(house: House) -> None:
    async with house.opener("engines", "silero")() as detector:
        await check_voice_activity_detector(detector, voice=recording("this_is_a_test"))


async def microwakeword(house: House) -> None:
    async with house.opener("engines", "microwakeword")() as detector:
        spoken = {w: [recording(f"wake_{w}_{n}") for n in (1, 2)] for w in ("okay_nabu", "hey_jarvis")}
        await check_wake_word_detector(detector, recordings=spoken)


async def bridge(house: House) -> None:
    async with house.furnished(), house.opener("backends", "bridge")() as backend:
        await check_backend(backend, text=TIME, sentences=house.sentences, recording=recording("what_time_is_it"))


async def skill(house: House, kind: str) -> None:
    async with house.opener("skills", kind)() as opened:
        await check_skill(opened)


async def transport(open_: Callable[[], AbstractAsyncContextManager[object]]) -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Transport]:
        async with open_() as component:
            assert isinstance(component, Transport)
            yield component

    await check_transport(opened)


CHECKS: Mapping[tuple[str, str], Callable[[House], object]] = {
    ("engines", "pocketsphinx"): pocketsphinx,
    ("engines", "espeak"): espeak,
    ("engines", "sentences"): sentences,
    ("engines", "sentences_turn"): sentences_turn,
    ("engines", "silero"): silero,
    ("engines", "microwakeword"): microwakeword,
    ("backends", "bridge"): bridge,
    ("skills", "clock"): lambda house: skill(house, "clock"),
    ("skills", "words"): lambda house: skill(house, "words"),
}
APART = {("transports", "wav"), ("transports", "local_audio")}
"""Checked further down: they need files, or devices."""


def test_every_component_of_every_bundled_plugin_is_checked(plugins: Plugins) -> None:
    bundled = {status.name for status in plugins.statuses if status.origin == "bundled"}
    assert all(status.running for status in plugins.statuses if status.origin == "bundled")
    offered = {key for key, offer in plugins.offers.items() if offer.plugin in bundled}
    assert offered == CHECKS.keys() | APART


@pytest.mark.parametrize("key", CHECKS, ids="-".join)
async def test_beluga_providers_each_bundled_one_keeps_the_promises_of_its_contract(
    house: House, key: tuple[str, str]
) -> None:
    await CHECKS[key](house)


@pytest.mark.parametrize("key", sorted({*CHECKS, *APART}), ids="-".join)
async def test_a_bundled_component_opens_and_closes_again_and_again(house: House, key: tuple[str, str]) -> None:
    await check_component(house.opener(*key))


@pytest.mark.parametrize("realtime", [False, True], ids=["at once", "in realtime"])
async def test_the_wav_transport_keeps_its_promises(house: House, tmp_path: Path, realtime: bool) -> None:
    settings = {
        "microphone": [AUDIO / "what_time_is_it.wav"],
        "speaker": tmp_path / "out.wav",
        "realtime": realtime,
    }
    await transport(house.opener("transports", "wav", **settings))


@pytest.mark.real("audio")
async def test_the_local_audio_transport_keeps_its_promises(
    house: House, sound: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sound.env.items():
        monkeypatch.setenv(name, value)
    await transport(house.opener("transports", "local_audio"))
