"""The recogniser on recordings of people: every command, nothing else, whatever the microphone adds."""

# ruff: noqa: RUF001  (the phonetic alphabet is made of letters that look like others)

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

import numpy as np
import pytest
import vonad_clock
import vonad_pocketsphinx
import vonad_words
from vonad_pocketsphinx.decoders import Decoders
from vonad_pocketsphinx.engine import GRAMMARS, PocketSphinx
from vonad_pocketsphinx.settings import PocketSphinxSettings

from tests.plugins.fake_host import FakeHost
from vonad import (
    Frame,
    Heard,
    Samples,
    Sentence,
    Sentences,
    SkillSentences,
    Style,
    TextToSpeech,
    VonadError,
    WordList,
    read_wav,
    silence,
)

COMMANDS = {
    "what_time_is_it": "what time is it",
    "whats_the_date_today": "what's the date today",
    "turn_on_the_lamp": "turn on the lamp",
    "set_timer": "set a timer for ten minutes",
}
CHATTER = (
    "this_is_a_test",
    "play_the_beatles",
    "wake_okay_nabu_1",
    "wake_okay_nabu_2",
    "wake_hey_jarvis_1",
    "wake_hey_jarvis_2",
)


def skill(name: str, *sentences: str, **lists: WordList) -> SkillSentences:
    return SkillSentences(name, tuple(map(Sentence, sentences)), tuple(lists.values()))


def words(name: str, *values: str) -> WordList:
    return WordList(name, values=tuple((value, value) for value in values))


SMALL = Sentences(
    (
        SkillSentences("clock", tuple(vonad_clock.Clock.sentences)),
        SkillSentences("words", tuple(vonad_words.Words.sentences)),
    )
)
HOUSE = Sentences(
    (
        *SMALL.skills,
        skill("lamp", "turn (on|off) [the] {thing}", thing=words("thing", "lamp", "kitchen light[s]", "fan")),
        skill("timer", "set a timer for {minutes} minutes", minutes=WordList("minutes", span=(1, 120, 1))),
    )
)


class Tutor(TextToSpeech):
    """Knows how some words are pronounced."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self.known = known
        self.asked: list[str] = []

    def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        raise AssertionError("nobody asks this voice to speak: it is asked how words are pronounced")

    async def phonemes(self, text: str, *, language: str) -> str:
        self.asked.append(text)
        return self.known.get(text, "")


class Mute(TextToSpeech):
    """Cannot tell how anything is pronounced, as most engines."""

    def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        raise AssertionError("nobody asks this voice to speak: it is asked how words are pronounced")


@pytest.fixture
async def engine(tmp_path):
    async with PocketSphinx(PocketSphinxSettings(), FakeHost(tmp_path, name="pocketsphinx")) as engine:
        yield engine


@pytest.fixture
def recording(audio):
    return lambda name: read_wav((audio / f"{name}.wav").read_bytes()).samples


def noise(count: int, level: float, seed: int = 0) -> Samples:
    return (np.random.default_rng(seed).normal(0, 1, count) * level).astype(np.int16)


def with_noise(samples: Samples, decibels: float) -> Samples:
    """At so many decibels below the voice, pauses not counted."""
    loudness = np.abs(samples.astype(float))
    voice = np.sqrt(np.square(samples[loudness > loudness.max() / 20].astype(float)).mean())
    return np.clip(samples.astype(int) + noise(len(samples), voice / 10 ** (decibels / 20)), -32768, 32767).astype(
        np.int16
    )


async def frames(samples: Samples, length: int = 320, rate: int = 16_000) -> AsyncIterator[Frame]:
    for start in range(0, len(samples), length):
        yield Frame(samples[start : start + length].copy(), rate)


async def listen(engine: PocketSphinx, samples: Samples, sentences: Sentences = HOUSE) -> list[Heard]:
    heard = [text async for text in engine.listen(frames(samples), language="en", sentences=sentences)]
    assert [text.final for text in heard] == [False] * (len(heard) - 1) + [True]
    return heard


async def understood(engine: PocketSphinx, samples: Samples, sentences: Sentences = HOUSE) -> str:
    return (await listen(engine, samples, sentences))[-1].text


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_command_is_understood_word_by_word(engine, recording, name):
    heard = [text.text for text in await listen(engine, recording(name))]

    assert heard[-1] == COMMANDS[name]
    assert heard[-2] == COMMANDS[name], "it was known before the end"
    assert heard[0] == COMMANDS[name].split()[0].partition("'")[0]


async def test_words_that_still_stand_are_told_again_so_that_a_pause_finds_them_current(engine, recording):
    sound = np.concatenate([recording("turn_on_the_lamp")[: round(1.87 * 16_000)], silence(0.5)])
    fed = 0

    async def feed() -> AsyncIterator[Frame]:
        nonlocal fed
        async for frame in frames(sound):
            fed += len(frame.samples)
            yield frame

    told = [(fed / 16_000, text.text) async for text in engine.listen(feed(), language="en", sentences=HOUSE)]

    gaps = [after - before for (before, _), (after, _) in itertools.pairwise(told)]
    assert max(gaps) <= 0.2
    in_pause = [text for at, text in told[:-1] if 1.9 < at <= 1.99]
    assert in_pause, "within 100 ms of the end of speech"
    assert set(in_pause) == {"turn on the lamp"}


@pytest.mark.parametrize("name", CHATTER)
async def test_what_is_no_command_is_speech_but_none_of_ours(engine, recording, name):
    assert await understood(engine, recording(name)) == ""


@pytest.mark.parametrize("name", ["turn_on_the_lamp", "set_timer"])
async def test_a_command_that_no_skill_has_is_none_of_ours(engine, recording, name):
    assert await understood(engine, recording(name), SMALL) == ""


@pytest.mark.parametrize("threshold", [-0.0018, 0.0003])
async def test_commands_and_chatter_are_far_apart(tmp_path, recording, threshold):
    settings = PocketSphinxSettings(threshold=threshold)

    async with PocketSphinx(settings, FakeHost(tmp_path)) as engine:
        texts = {name: await understood(engine, recording(name)) for name in (*COMMANDS, *CHATTER)}

    assert texts == COMMANDS | dict.fromkeys(CHATTER, "")


@pytest.mark.parametrize("name", COMMANDS)
async def test_noise_20_db_below_the_voice_changes_nothing(engine, recording, name):
    assert await understood(engine, with_noise(recording(name), 20)) == COMMANDS[name]


@pytest.mark.parametrize(("before", "after"), [(0.3, 0.6), (5.0, 1.0)])
async def test_silence_around_a_command_changes_nothing(engine, recording, before, after):
    samples = np.concatenate((silence(before), recording("set_timer"), silence(after)))
    chatter = np.concatenate((silence(before), recording("this_is_a_test"), silence(after)))

    assert await understood(engine, samples) == COMMANDS["set_timer"]
    assert await understood(engine, chatter) == ""


@pytest.mark.parametrize("gain", [0.2, 4.0])
async def test_soft_and_loud_voices_are_understood(engine, recording, gain):
    for name, text in COMMANDS.items():
        samples = np.clip(recording(name) * gain, -32768, 32767).astype(np.int16)
        assert await understood(engine, samples) == text


async def test_a_command_within_other_speech_is_none_of_ours(engine, recording):
    both = np.concatenate((recording("what_time_is_it"), recording("play_the_beatles")))

    assert await understood(engine, both) == ""


async def test_the_beginning_of_a_command_is_no_command(engine, recording):
    half = recording("set_timer")[: int(1.5 * 16_000)]
    heard = await listen(engine, np.concatenate((half, silence(0.6))))

    assert heard[-2].text.startswith("set a timer")
    assert heard[-1].text == ""


@pytest.mark.parametrize(
    "samples",
    [silence(2.0), noise(16_000 * 6, 400), np.zeros(0, np.int16), noise(1, 100), noise(479, 4000)],
    ids=["silence", "noise", "nothing", "one sample", "less than a piece"],
)
async def test_no_speech_is_no_text(engine, samples):
    assert await listen(engine, samples) == [Heard("", final=True)]


async def test_frames_may_have_any_length(engine, recording):
    samples = recording("turn_on_the_lamp")
    lengths = np.random.default_rng(1).integers(0, 2_000, 200)

    async def odd() -> AsyncIterator[Frame]:
        start = 0
        for length in lengths:
            yield Frame(samples[start : start + length].copy(), 16_000)
            start += length

    heard = [text async for text in engine.listen(odd(), language="en-GB", sentences=HOUSE)]

    assert heard == await listen(engine, samples)


async def test_sound_of_another_rate_is_refused(engine):
    with pytest.raises(VonadError, match="16000 Hz, not 22050 Hz") as refused:
        await anext(engine.listen(frames(silence(1.0), rate=22_050), language="en", sentences=HOUSE))
    assert refused.value.code == "unsupported_audio_format"


async def test_another_language_is_refused_with_the_remedy(engine):
    with pytest.raises(VonadError, match=r"hears English, not 'de'.*\[backends.bridge\] stt") as refused:
        await anext(engine.listen(frames(silence(1.0)), language="de", sentences=HOUSE))
    with pytest.raises(VonadError, match="not 'fr-CA'"):
        await engine.prepare(HOUSE, "fr-CA")
    assert refused.value.code == "capability_unsupported"


@pytest.mark.parametrize("sentences", [Sentences(), Sentences((skill("lamp", "{nothing}", "[maybe]"),))])
async def test_without_sentences_everything_is_none_of_ours(engine, recording, sentences):
    await engine.prepare(Sentences(), "en")

    assert await understood(engine, recording("what_time_is_it"), Sentences()) == ""


async def test_an_utterance_left_in_the_middle_leaves_no_trace(engine, recording):
    samples = recording("what_time_is_it")
    usual = await listen(engine, samples)

    async with aclosing(engine.listen(frames(recording("play_the_beatles")), language="en", sentences=SMALL)) as left:
        async for _ in left:
            break
    cancelled = asyncio.create_task(understood(engine, recording("set_timer")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)

    assert await listen(engine, samples) == usual


async def test_of_two_utterances_at_once_the_first_is_over(engine, recording):
    first = engine.listen(frames(recording("set_timer")), language="en", sentences=HOUSE)
    await anext(first)

    assert await understood(engine, recording("turn_on_the_lamp")) == COMMANDS["turn_on_the_lamp"]
    with pytest.raises(VonadError, match="another utterance has begun"):
        await anext(first)


async def test_what_is_prepared_is_not_compiled_again(engine, recording, monkeypatch):
    await engine.prepare(HOUSE, "en")
    await engine.prepare(SMALL, "en")
    monkeypatch.setattr(Decoders, "load", None)

    assert await understood(engine, recording("set_timer")) == COMMANDS["set_timer"]
    assert await understood(engine, recording("what_time_is_it"), SMALL) == COMMANDS["what_time_is_it"]


async def test_grammars_not_used_for_long_are_compiled_anew(engine, recording):
    await engine.prepare(HOUSE, "en")
    for number in range(GRAMMARS):
        await engine.prepare(Sentences((skill("answer", f"{{{number}..{number + 1}:n}} please"),)), "en")

    assert HOUSE not in engine._grammars
    assert await understood(engine, recording("set_timer")) == COMMANDS["set_timer"]
    assert len(engine._grammars) == GRAMMARS


WEIRD = skill(
    "lamp",
    "turn (on|off) [the] {thing}",
    "ask {anything} about {nobody}",
    "turn (on",
    thing=words("thing", "lamp", "Hue 21", "aurélie", "roomba", "tradfri", "💡", "Lamp (old", "R2-D2", "naïve 灯"),
)
SOUNDS = {"roomba": "ɹˈuːmbə", "tradfri": "tɹˈædfɹi", "aurélie": "ˈɔːɹeɪli", "灯": "(zh)tˈɤŋ˥", "naïve": "naɪˈiːv"}


async def test_words_without_pronunciation_silence_nobody_else(engine, recording, caplog):
    sentences = Sentences((WEIRD, *HOUSE.skills[:2]))

    assert await understood(engine, recording("turn_on_the_lamp"), sentences) == COMMANDS["turn_on_the_lamp"]
    assert await understood(engine, recording("what_time_is_it"), sentences) == COMMANDS["what_time_is_it"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    for word in ("aurélie", "roomba", "tradfri", "naïve", "灯"):
        (warning,) = (text for text in warnings if f"skill lamp: {word!r}" in text)
        assert "pronunciations.txt" in warning
    assert any("'ask {anything} about {nobody}'" in text and "no list {anything}" in text for text in warnings)
    assert any("'turn (on'" in text and "brackets" in text for text in warnings)
    assert len(warnings) == 7
    assert {"hue twenty one", "r two d two", "lamp old"} <= said(engine, sentences)


async def test_a_voice_of_the_house_tells_how_they_are_pronounced(tmp_path, recording, caplog):
    tutor = Tutor(SOUNDS)
    host = FakeHost(tmp_path, engines={"tts": {"mute": Mute(), "tutor": tutor}})
    sentences = Sentences((WEIRD,))

    async with PocketSphinx(PocketSphinxSettings(), host) as engine:
        assert await understood(engine, recording("turn_on_the_lamp"), sentences) == COMMANDS["turn_on_the_lamp"]
        assert {"aurélie", "roomba", "tradfri", "naïve 灯"} <= said(engine, sentences)
    assert sorted(tutor.asked) == sorted(SOUNDS)
    assert not any("pronunciation" in record.getMessage() for record in caplog.records)


async def test_a_voice_that_comes_later_is_asked_then(tmp_path):
    voices: dict[str, object] = {}
    sentences = Sentences((WEIRD,))

    async with PocketSphinx(PocketSphinxSettings(), FakeHost(tmp_path, engines={"tts": voices})) as engine:
        await engine.prepare(sentences, "en")
        assert "roomba" not in said(engine, sentences)
        voices["tutor"] = Tutor(SOUNDS)
        await engine.prepare(sentences, "en")
        assert "roomba" in said(engine, sentences)


async def test_the_owners_pronunciations_come_first(tmp_path, caplog):
    config = tmp_path / "config"
    config.mkdir()
    own = "# mine\nRoomba R UW1 M B AH0\nroomba r uh m b a\n\nlamp L AE M P  # as ever\ntradfri\n"
    (config / "pronunciations.txt").write_text(own)
    tutor = Tutor(SOUNDS)
    sentences = Sentences((WEIRD,))

    async with PocketSphinx(PocketSphinxSettings(), FakeHost(tmp_path, engines={"tts": {"t": tutor}})) as engine:
        await engine.prepare(sentences, "en")
        assert {"roomba", "lamp", "tradfri"} <= said(engine, sentences)

    assert "roomba" not in tutor.asked
    faults = [record.getMessage() for record in caplog.records]
    assert any("pronunciations.txt:3: there is no sound 'A'" in fault for fault in faults)
    assert any("pronunciations.txt:6: 'tradfri' has no sounds" in fault for fault in faults)


async def test_a_house_of_300_names_is_understood(engine, recording):
    rooms = ("kitchen", "bedroom", "office", "garage", "attic", "cellar", "garden", "bathroom", "nursery", "hall")
    kinds = ("light", "fan", "heater", "socket", "blind", "speaker", "window", "door", "sensor", "camera")
    names = ["lamp", *(f"{room} {kind} {number}" for room in rooms for kind in kinds for number in (1, 2, 21))]
    house = skill(
        "house",
        "(turn|switch) (on|off) [the] {thing}",
        "turn [the] {thing} (on|off)",
        "dim [the] {thing} to {0..100:level}%",
        "is [the] {thing} (on|off|open)",
        thing=words("thing", *names),
    )
    sentences = Sentences((*SMALL.skills, house))

    assert await understood(engine, recording("turn_on_the_lamp"), sentences) == COMMANDS["turn_on_the_lamp"]
    assert await understood(engine, recording("this_is_a_test"), sentences) == ""


async def test_nothing_is_written_to_the_terminal(tmp_path, recording, capfd):
    sentences = Sentences((WEIRD,))

    async with PocketSphinx(PocketSphinxSettings(), FakeHost(tmp_path)) as engine:
        await understood(engine, recording("wake_hey_jarvis_2"), sentences)
        await understood(engine, silence(1.0), Sentences())

    assert capfd.readouterr() == ("", "")


async def test_the_plugin_offers_an_engine_that_hears(tmp_path):
    offered = {}

    class Desk:
        def add(self, kind, factory, *, settings, role):
            offered[kind] = (role, settings, factory)

    vonad_pocketsphinx.register_engines(Desk())

    role, settings, factory = offered["pocketsphinx"]
    assert role == "stt"
    assert all(field.description for field in settings.model_fields.values())
    async with factory(settings(), FakeHost(tmp_path)) as engine:
        assert engine.streams == 1


def said(engine: PocketSphinx, sentences: Sentences) -> set[str]:
    """The things that may be turned on."""
    every = {" ".join(words) for words in engine._grammars[sentences].grammar.sentences()}
    return {text.removeprefix("turn on the ") for text in every if text.startswith("turn on the ")}
