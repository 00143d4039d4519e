"""The voice: real sound from the real library, and everything a reply may contain."""

import asyncio
import os
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest
import vonad_espeak
from pydantic import ValidationError
from vonad_espeak.engine import SILENT, Espeak, EspeakSettings
from vonad_espeak.library import LIBRARY, RATE
from vonad_espeak.text import LONGEST, pieces

from tests.plugins.fake_host import FakeHost
from tests.plugins.footprint import footprint
from vonad import Samples, Style, VonadError

MEGABYTE = 1_000_000
PLAIN = Style()


@pytest.fixture
async def espeak(tmp_path):
    async with Espeak(EspeakSettings(pause_s=0), FakeHost(tmp_path)) as espeak:
        yield espeak


@pytest.fixture(autouse=True)
def closed_behind_itself():
    yield
    assert (LIBRARY._holders, LIBRARY._lib) == (0, None)


async def spoken(espeak: Espeak, text: str, language: str = "en", style: Style = PLAIN) -> Samples:
    frames = [frame async for frame in espeak.speak(text, language=language, style=style)]
    assert {frame.rate for frame in frames} <= {RATE}
    return np.concatenate([frame.samples for frame in frames]) if frames else np.zeros(0, np.int16)


def loudness(sound: Samples) -> float:
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))


def test_it_registers_as_a_voice():
    offers = []

    class Desk:
        def add(self, *args, **kwargs):
            offers.append((args, kwargs))

    vonad_espeak.register_engines(Desk())
    assert offers == [(("espeak", Espeak), {"role": "tts", "settings": EspeakSettings})]


def test_every_setting_is_described():
    assert all(field.description for field in EspeakSettings.model_fields.values())


async def test_a_sentence_becomes_sound(espeak):
    sound = await spoken(espeak, "It is ten past three.")
    assert 0.9 < len(sound) / RATE < 1.6
    assert loudness(sound) > 1000


@pytest.mark.parametrize("text", ["Hello.", "See you", "Feel free!", "Hmm", "<b>", "1 2 3", "😀"])
async def test_the_first_sample_is_speech(espeak, text):
    assert abs(int((await spoken(espeak, text))[0])) > SILENT


async def test_frames_are_short(espeak):
    frames = [frame async for frame in espeak.speak("It is ten past three.", language="en", style=PLAIN)]
    assert len(frames) > 15
    assert max(frame.seconds for frame in frames) <= 0.0601


async def test_the_first_frame_does_not_wait_for_the_last(espeak):
    text = "This is a sentence of some length. " * 20_000
    async with aclosing(espeak.speak(text, language="en", style=PLAIN)) as frames:
        async with asyncio.timeout(2):
            await anext(frames)


async def test_sentences_are_followed_by_a_pause(tmp_path):
    async with Espeak(EspeakSettings(pause_s=0.4), FakeHost(tmp_path)) as espeak:
        sound = await spoken(espeak, "Hello.")
    assert not np.any(sound[-round(0.4 * RATE) :])
    assert np.any(sound[-round(0.45 * RATE) :])


@pytest.mark.parametrize(
    "text",
    ["", "   ", "\n\n", "...", "\x00", "\x00\x01\x02\x7f", "\u200b\ufeff\u202e", "\ud800", "\udfff \ud83d", "\ue000"],
    ids=ascii,
)
async def test_nothing_to_say_is_silence_without_pause(tmp_path, text):
    async with Espeak(EspeakSettings(), FakeHost(tmp_path)) as espeak:
        assert len(await spoken(espeak, text)) == 0


@pytest.mark.parametrize(
    "text",
    [
        "a\x00b",
        "\x01+90Rhello",
        "\x1b[31mred\x1b[0m",
        "line\r\nline\u2028line",
        "<speak><break time='9999s'/>Tom & Jerry &amp; &#0;</speak>",
        "<audio src='file:///etc/passwd'/>",
        "[[h@l'oU]]",
        "<voice name='zz'>x</voice>",
        "😀👩‍👩‍👧‍👦🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "a" + "\u0301" * 2000,
        "%s%n%p {} \\x00 \\",
        "東京 Москва القاهرة דוד ไทย",
        "9" * 500,
        "don't-stop_believing@example.com https://example.com/?a=b&c=d",
        "lone \ud83d surrogate",
    ],
    ids=lambda text: ascii(text)[:24],
)
async def test_odd_text_is_spoken_as_text(espeak, text):
    async with asyncio.timeout(10):
        assert 0 < len(await spoken(espeak, text)) / RATE < 90


@pytest.mark.parametrize("text", [" ", "\x00", "\u200b", "\n", "\ud800"], ids=ascii)
async def test_a_megabyte_of_nothing_is_nothing(espeak, text):
    async with asyncio.timeout(10):
        assert len(await spoken(espeak, text * MEGABYTE)) == 0


@pytest.mark.parametrize(
    "unit", ["hello world ", "a", "1", "😀", "<", "[[", ".", "!?", "a\u0301", "字", "hello.", "\n."], ids=ascii
)
async def test_a_megabyte_starts_at_once_and_stops_at_once(espeak, unit):
    text = unit * (MEGABYTE // len(unit))
    async with asyncio.timeout(30):
        async with aclosing(espeak.speak(text, language="en", style=PLAIN)) as frames:
            heard = 0
            async for _ in frames:
                heard += 1
                if heard == 3:
                    break
        assert len(await spoken(espeak, "Done.")) > 0


async def test_a_cancelled_listener_stops_the_synthesis(espeak):
    async def listen():
        async for _ in espeak.speak("word " * 100_000, language="en", style=PLAIN):
            heard.set()

    heard = asyncio.Event()
    task = asyncio.create_task(listen())
    await heard.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(2):
        assert len(await spoken(espeak, "Done.")) > 0


async def test_a_listener_who_stops_listening_holds_nobody_up(espeak):
    async with aclosing(espeak.speak("word " * 100_000, language="en", style=PLAIN)) as slow:
        await anext(slow)
        async with asyncio.timeout(2):
            assert len(await spoken(espeak, "Hello.")) > 0


async def test_many_speak_at_once_each_in_its_own_way(espeak):
    fast, slow = Style(pace=1.0), Style(pace=0.0)
    alone = [len(await spoken(espeak, "One two three four.", style=style)) for style in (fast, slow)]
    together = await asyncio.gather(
        *(spoken(espeak, "One two three four.", style=style) for style in (fast, slow) * 5),
    )
    assert [len(sound) for sound in together] == pytest.approx(alone * 5, rel=0.05)


async def test_the_loop_goes_on_while_it_speaks(espeak):
    longest, done = 0.0, False

    async def watch():
        nonlocal longest
        while not done:
            before = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - before)

    watching = asyncio.create_task(watch())
    await spoken(espeak, "This sentence is spoken while somebody looks at the clock. " * 40)
    done = True
    await watching
    assert longest < 0.25


@pytest.mark.parametrize(
    ("language", "voice"),
    [
        ("en", "gmw/en"),
        ("de", "gmw/de"),
        ("en-US", "gmw/en-US"),
        ("en_us", "gmw/en-US"),
        ("en-AU", "gmw/en"),
        ("de-AT", "gmw/de"),
        ("fr", "roa/fr"),
        ("pt-BR", "roa/pt-BR"),
        ("zh", "sit/cmn"),
        ("zh-TW", "sit/cmn"),
    ],
)
async def test_the_language_chooses_the_voice(espeak, language, voice):
    assert str(espeak._voices.choose(language, None)) == voice
    assert len(await spoken(espeak, "2", language)) > 0


@pytest.mark.parametrize("language", ["xx", "", "klingon", "\x00", "../de"])
async def test_a_language_nobody_speaks_names_those_there_are(espeak, language):
    with pytest.raises(VonadError, match=r"af, am, .* de, .* en, ") as caught:
        await spoken(espeak, "Hello", language)
    assert caught.value.code == "capability_unsupported"
    with pytest.raises(VonadError, match="no voice for the language"):
        await espeak.phonemes("Hello", language=language)


async def test_every_voice_there_is_can_speak(espeak):
    voices = set(espeak._voices._named.values())
    assert len(voices) > 100
    for voice in voices:
        sound: list[bytes] = []
        delivery = espeak._delivery("en", PLAIN)
        LIBRARY.speak("1", type(delivery)(**_fields(delivery) | {"voice": voice.identifier}), _keep(sound))
        assert sound, voice


def _fields(delivery) -> dict[str, object]:
    return {name: getattr(delivery, name) for name in type(delivery).__dataclass_fields__}


def _keep(sound: list[bytes]):
    def emit(piece: bytes) -> bool:
        sound.append(piece)
        return True

    return emit


@pytest.mark.parametrize(
    ("voice", "language", "chosen"),
    [
        ("en-us", "en", "gmw/en-US"),
        ("English (Scotland)", "en", "gmw/en-GB-scotland"),
        ("gmw/en-US+f3", "en-GB", "gmw/en-US+f3"),
        ("en-us+F3", "de", "gmw/de+f3"),
        ("German", "en", "gmw/en"),
    ],
)
async def test_a_voice_can_be_set_for_its_language(tmp_path, voice, language, chosen):
    async with Espeak(EspeakSettings(voice=voice), FakeHost(tmp_path)) as espeak:
        assert espeak._delivery(language, PLAIN).voice == chosen
        assert len(await spoken(espeak, "Hello", language)) > 0


@pytest.mark.parametrize(
    ("voice", "near"),
    [("en-uss", "en-us"), ("en+f33", r"en\+f3"), ("en+../../x", r"en\+"), ("Siri", "sindarin"), ("!", "af")],
)
async def test_a_voice_there_is_not_is_a_problem_of_the_configuration(tmp_path, voice, near):
    with pytest.raises(VonadError, match=f"near are .*{near}") as caught:
        await Espeak(EspeakSettings(voice=voice), FakeHost(tmp_path)).__aenter__()
    assert caught.value.code == "invalid_config"
    assert voice in str(caught.value)


@pytest.mark.parametrize("table", [{"rate": 10}, {"pitch": 100}, {"volume": -1}, {"pause_s": 9}, {"speed": 1}], ids=str)
def test_impossible_settings_are_refused(table):
    with pytest.raises(ValidationError):
        EspeakSettings(**table)


async def test_settings_shape_the_sound(tmp_path):
    async def said(**settings) -> Samples:
        async with Espeak(EspeakSettings(pause_s=0, **settings), FakeHost(tmp_path)) as espeak:
            return await spoken(espeak, "One two three four five six.")

    usual = await said()
    assert len(await said(rate=300)) < len(usual) * 0.75
    assert len(await said(rate=90)) > len(usual) * 1.3
    assert loudness(await said(volume=30)) < loudness(usual) * 0.5


async def test_a_style_shades_the_settings_and_may_name_a_voice(espeak):
    usual = espeak._delivery("en", PLAIN)
    assert (usual.rate, usual.pitch, usual.spread) == (165, 50, 50)
    warm = espeak._delivery("en", Style(warmth=1.0, pace=0.0, expressiveness=0.0))
    assert warm.pitch < usual.pitch
    assert warm.rate < usual.rate
    assert warm.spread == 0
    assert espeak._delivery("en", Style(voice="en-us+m2")).voice == "gmw/en-US+m2"
    assert espeak._delivery("en", Style(voice="somebody-elses")).voice == usual.voice
    assert espeak._delivery("en", Style(pace=1.0)).rate == 268


@pytest.mark.parametrize(
    ("text", "language", "ipa"),
    [
        ("hello", "en", "həlˈəʊ"),  # noqa: RUF001
        ("hello", "en-us", "həlˈoʊ"),  # noqa: RUF001
        ("Hello, world.", "en", "həlˈəʊ wˈɜːld"),  # noqa: RUF001
        ("21", "en", "twˈɛnti wˈɒn"),  # noqa: RUF001
        ("Straße", "de", "ʃtɾˈɑːsə"),  # noqa: RUF001
        ("", "en", ""),
        ("\x00 \u200b", "en", ""),
    ],
)
async def test_phonemes_are_ipa(espeak, text, language, ipa):
    assert await espeak.phonemes(text, language=language) == ipa


async def test_phonemes_do_not_say_which_language_a_word_was_spelt_in(espeak):
    assert "(" not in await espeak.phonemes("das Meeting, der Computer, die Website, le garçon", language="de")


async def test_phonemes_of_a_long_text_end(espeak):
    async with asyncio.timeout(10):
        assert len(await espeak.phonemes("hello world " * 2000, language="en")) > 20_000


async def test_two_engines_share_the_library(tmp_path):
    async with Espeak(EspeakSettings(), FakeHost(tmp_path)) as one:
        async with Espeak(EspeakSettings(voice="de+f2"), FakeHost(tmp_path)) as other:
            sounds = await asyncio.gather(spoken(one, "Hello."), spoken(other, "Hallo.", "de"))
            assert all(len(sound) for sound in sounds)
        assert len(await spoken(one, "Hello.")) > 0


async def test_an_opening_that_is_cancelled_holds_nothing(tmp_path):
    espeak = Espeak(EspeakSettings(), FakeHost(tmp_path))
    opening = asyncio.create_task(espeak.__aenter__())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await asyncio.to_thread(espeak._thread.shutdown)
    assert LIBRARY._holders == 0
    async with Espeak(EspeakSettings(), FakeHost(tmp_path)) as later:
        assert len(await spoken(later, "Hello.")) > 0


async def refused(tmp_path) -> str:
    with pytest.raises(VonadError) as caught:
        await Espeak(EspeakSettings(), FakeHost(tmp_path)).__aenter__()
    assert caught.value.code == "backend_start_failed"
    assert "pip install" in str(caught.value)
    return str(caught.value)


async def test_without_the_package_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    await refused(tmp_path)


async def test_without_the_library_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: str(tmp_path / "libespeak-ng.so"))
    assert "libespeak-ng.so" in await refused(tmp_path)


async def test_without_its_data_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path))
    assert str(tmp_path) in await refused(tmp_path)


async def test_with_damaged_data_the_remedy_is_named_and_a_later_opening_works(tmp_path, monkeypatch):
    data = tmp_path / "espeak-ng-data"
    data.mkdir()
    (data / "phontab").write_bytes(b"no phonemes")
    with monkeypatch.context() as damaged:
        damaged.setattr(espeakng_loader, "get_data_path", lambda: str(data))
        assert "does not initialise" in await refused(tmp_path)
    async with Espeak(EspeakSettings(), FakeHost(tmp_path)) as espeak:
        assert len(await spoken(espeak, "Hello.")) > 0


async def test_a_path_too_long_for_the_library_is_shortened(tmp_path, monkeypatch):
    far = tmp_path / ("deep" * 50)
    far.mkdir()
    (far / "espeak-ng-data").symlink_to(espeakng_loader.get_data_path())
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(far / "espeak-ng-data"))
    async with Espeak(EspeakSettings(), FakeHost(tmp_path)) as espeak:
        bridge = LIBRARY._bridge
        assert bridge is not None
        assert len(os.fsencode(bridge.name)) < 120
        assert len(await spoken(espeak, "Hallo.", "de")) > 0
    assert not Path(bridge.name).exists()


async def test_opening_and_closing_leaks_neither_threads_nor_memory(tmp_path):
    async def once():
        async with Espeak(EspeakSettings(), FakeHost(tmp_path)) as espeak:
            assert len(await spoken(espeak, "Hello.")) > 0
            await espeak.phonemes("hello", language="en")

    for _ in range(5):
        await once()
    before = footprint()
    for _ in range(50):
        await once()
    after = footprint()
    assert after.threads <= before.threads + 1  # the last one may still be on its way out
    assert after.memory - before.memory < 2e6


def test_importing_the_plugin_loads_no_library():
    code = "import sys, vonad_espeak; print('espeakng_loader' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(
    "text",
    [
        "Short.",
        "One sentence. " * 100,
        "no stops at all " * 100,
        "x" * 1000,
        "clause, clause; " * 90,
        "字。" * 400,
        "Two lines\n\nof text" * 60,
    ],
    ids=lambda text: text[:14],
)
def test_pieces_lose_nothing_and_are_short(text):
    cut = list(pieces(text))
    assert max(map(len, cut)) <= LONGEST
    assert "".join("".join(cut).split()) == "".join(text.split())


def test_pieces_end_where_sentences_do():
    cut = list(pieces("This is a sentence, with a comma. " * 30))
    assert all(piece.endswith(".") for piece in cut)


def test_a_short_text_is_one_piece():
    assert list(pieces("  Tom\x00 &  Jerry.  Who?\nMe. ")) == ["Tom & Jerry. Who? Me."]
