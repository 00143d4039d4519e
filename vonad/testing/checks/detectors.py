"""The promises of VoiceActivityDetector, TurnDetector and WakeWordDetector."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

import numpy as np

from vonad.engine import (
    Detection,
    TurnDetector,
    VoiceActivity,
    VoiceActivityDetector,
    WakeStream,
    WakeWordDetector,
)
from vonad.errors import VonadError
from vonad.frame import Frame, Samples
from vonad.sentences import Sentences
from vonad.testing.checks.promise import nothing_left, promise, streams
from vonad.testing.sound import chirp, noise, quiet

HOLDS_S = 0.02
"""For which a call may hold the interpreter."""

STEP = 512
"""Samples of one call, 32 ms."""

UNEVEN = (1, 333, 0, 512, 4_000, 7)
"""Lengths of pushes."""


def cut(samples: Samples, sizes: Iterable[int] = ()) -> list[Samples]:
    """Samples in pushes of these lengths, over and over; by default of STEP."""
    lengths, pushes, at = list(sizes) or [STEP], list[Samples](), 0
    while at < len(samples):
        size = lengths[len(pushes) % len(lengths)]
        pushes.append(samples[at : at + size])
        at += size
    return pushes


def quick(push: Callable[[], object], words: str, *, times: int = 15) -> None:
    """A call takes no more than HOLDS_S, most of the time: a busy machine may be late once."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        push()
        taken.append(time.perf_counter() - begun)
    half = median(taken)
    promise(half < HOLDS_S, f"{words} takes less than {HOLDS_S * 1000:g} ms: it takes {half * 1000:.1f} ms")


async def check_voice_activity_detector(detector: VoiceActivityDetector, *, voice: Frame | None = None) -> None:
    """An open detector. voice: a recording of somebody speaking, 16 kHz."""
    who = "VoiceActivityDetector"
    promise(isinstance(detector, VoiceActivityDetector), f"it is a {who}: got {type(detector).__name__}")
    streams(detector, who)
    window = detector.window
    promise(isinstance(window, int) and window > 0, f"{who}.window is a number of samples: got {window!r}")
    promise(detector.stream() is not detector.stream(), f"{who}.stream gives a fresh stream each time")
    made = (chirp(0.3), quiet(0.21), noise(0.2), quiet(0.33))
    sound = voice.samples if voice is not None else np.concatenate([part.samples for part in made])
    async with nothing_left(who):
        whole = _probabilities(detector.stream(), [sound])
        promise(
            len(whole) == len(sound) // window,
            f"push gives one probability for each window of {window} samples that is complete: "
            f"got {len(whole)} for {len(sound)} samples",
        )
        promise(not _probabilities(detector.stream(), [sound[:0]]), "push gives nothing for no samples")
        for sizes in ((STEP,), UNEVEN):
            again = _probabilities(detector.stream(), cut(sound, sizes))
            promise(
                _alike(whole, again),
                "push gives the same for the same sound, in whatever pieces, on every fresh stream",
            )
        one, other = detector.stream(), detector.stream()
        mixed: list[float] = []
        for piece in cut(sound):
            mixed += _probabilities(one, [piece])
            _probabilities(other, [quiet(0.1).samples])
        promise(_alike(whole, mixed), "streams know nothing of each other")
        silent = _probabilities(detector.stream(), cut(quiet(1.0).samples))
        promise(max(silent, default=0.0) < 0.5, f"digital silence is no speech: got {max(silent, default=0.0):.2f}")
        if voice is not None:
            promise(max(whole, default=0.0) > 0.5, f"a voice is speech: got {max(whole, default=0.0):.2f} at most")
        stream = detector.stream()
        quick(lambda: stream.push(quiet(STEP / 16_000).samples), "push of 32 ms")


def _probabilities(stream: VoiceActivity, pushes: Iterable[Samples]) -> list[float]:
    told: list[float] = []
    for samples in pushes:
        told += [float(value) for value in stream.push(samples)]
    promise(all(0.0 <= value <= 1.0 for value in told), f"probabilities are 0..1: got {told}")
    return told


def _alike(one: list[float], other: list[float]) -> bool:
    return len(one) == len(other) and np.allclose(one, other, atol=1e-3)


async def check_turn_detector(
    detector: TurnDetector,
    *,
    sentences: Sentences = Sentences(),  # noqa: B008  (frozen)
    whole: Sequence[str] = (),
    begun: Sequence[str] = (),
    language: str = "en",
) -> None:
    """An open detector, with what may be said.

    whole: whole sentences.
    begun: beginnings of some, that do not ask for the same already.
    """
    who = "TurnDetector.judge"
    promise(isinstance(detector, TurnDetector), f"it is a TurnDetector: got {type(detector).__name__}")
    streams(detector, "TurnDetector")

    def judged(words: str) -> str:
        answer = detector.judge(words, sentences=sentences, language=language)
        known = ("complete", "open", "partial", "unknown")
        promise(answer in known, f"{who} answers one of {', '.join(known)}: got {answer!r} for {words!r}")
        promise(
            detector.judge(words, sentences=sentences, language=language) == answer,
            f"{who} judges the same words alike: {words!r}",
        )
        return answer

    async with nothing_left(who):
        for words in ("", " ", "colourless green ideas", "?", "la " * 500):
            promise(
                judged(words) not in {"complete", "open"} or words in whole,
                f"{who} takes no nonsense for a whole sentence: {words[:40]!r}",
            )
        for words in whole:
            promise(judged(words) in {"complete", "open"}, f"{who} finds {words!r} whole: got {judged(words)}")
        for words in begun:
            promise(judged(words) in {"partial", "open"}, f"{who} finds {words!r} unfinished: got {judged(words)}")
        for words in (*whole, *begun, "colourless green ideas"):
            quick(lambda said=words: detector.judge(said, sentences=sentences, language=language), who)  # type: ignore[misc]  # a default


async def check_wake_word_detector(
    detector: WakeWordDetector, *, recordings: Mapping[str, Sequence[Frame]] | None = None
) -> None:
    """An open detector. recordings: wake word → recordings of it, 16 kHz."""
    who = "WakeWordDetector"
    promise(isinstance(detector, WakeWordDetector), f"it is a {who}: got {type(detector).__name__}")
    streams(detector, who)
    words = list(detector.words())
    promise(bool(words) and len(set(words)) == len(words), f"{who}.words names each word it knows once: got {words}")
    async with nothing_left(who):
        _check_unknown(detector, words)
        for what, sound in {"silence": quiet(2.0), "noise": noise(2.0), "a chirp": chirp(2.0, last=400.0)}.items():
            found = _detected(detector.stream(words[:1]), sound, words[:1])
            promise(not found, f"{who} finds no wake word in {what}: got {found}")
        promise(detector.stream(words[:1]).push(quiet(0).samples) is None, "push finds nothing in no samples")
        for word, frames in (recordings or {}).items():
            for frame in frames:
                _check_found(detector, word, frame)
        stream = detector.stream(words[:1])
        quick(lambda: stream.push(quiet(STEP / 16_000).samples), "push of 32 ms")


def _check_unknown(detector: WakeWordDetector, words: list[str]) -> None:
    try:
        detector.stream(["no_such_word"])
    except VonadError as error:
        promise(error.code == "invalid_config", f"an unknown wake word is invalid_config: got {error.code}")
        promise(words[0] in error.message, f"the error names the words it knows: got {error.message!r}")
    else:
        raise AssertionError("WakeWordDetector.stream raises invalid_config for a word it does not know")


def _check_found(detector: WakeWordDetector, word: str, frame: Frame) -> None:
    promise(
        detector.stream([word]) is not detector.stream([word]), "WakeWordDetector.stream gives a fresh stream each time"
    )
    stream = detector.stream([word])
    rest = quiet(1.5)
    found = [*_detected(stream, frame, [word]), *_detected(stream, rest, [word])]
    promise(len(found) == 1, f"WakeWordDetector finds {word} in a recording of it, once: found it {len(found)} times")
    stream.reset()
    promise(not _detected(stream, rest, [word]), "WakeStream.reset forgets what was heard")
    again = [*_detected(stream, frame, [word], UNEVEN), *_detected(stream, rest, [word])]
    promise(len(again) == 1, f"WakeWordDetector finds {word} in whatever pieces it comes: found it {len(again)} times")


def _detected(stream: WakeStream, frame: Frame, words: Sequence[str], sizes: Iterable[int] = ()) -> list[Detection]:
    found = [detection for samples in cut(frame.samples, sizes) if (detection := stream.push(samples)) is not None]
    for detection in found:
        promise(isinstance(detection, Detection), f"push gives a Detection or None: got {detection!r}")
        promise(detection.phrase in words, f"a Detection names a word that was waited for: got {detection.phrase!r}")
        for score in (detection.score, detection.cutoff, detection.speaker_score):
            promise(score is None or 0.0 <= score <= 1.0, f"a score is 0..1: got {score}")
    return found
