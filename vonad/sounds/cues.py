"""Cues: the short sounds of `[sounds]`, vonad's own or the owner's files, read before they are needed."""

from pathlib import Path
from typing import get_args

from vonad.errors import VonadError
from vonad.frame import Blocks, Frame
from vonad.session.means import CueName
from vonad.settings import Sounds as Table
from vonad.wav import read_wav

BUNDLED = Path(__file__).parent
"""Made by `python -m tools.sounds`."""

NAMES: tuple[CueName, ...] = get_args(CueName)
PIECE_S = 0.02
"""What is played in small pieces can be stopped between two of them."""

LONGEST_S = 10.0
"""A cue that lasts longer is none; what a voice says of a phrase is cut there too."""

LARGEST = 16 * 2**20
"""Bytes of a file that are looked at."""

Sound = tuple[Frame, ...]


def read_cues(table: Table, folder: Path) -> tuple[dict[CueName, Sound], list[str]]:
    """Every cue, and a sentence for each of the owner's files that cannot be used: the bundled sound takes its place.

    folder: where relative paths begin. `filler` has no bundled sound: its own words are spoken instead.
    """
    cues: dict[CueName, Sound] = {}
    wrong: list[str] = []
    for name in NAMES:
        setting = setting_of(table, name)
        sound: Sound | None = None
        if setting not in {"on", "off"}:
            path = folder / Path(setting).expanduser()
            try:
                sound = read_sound(path)
            except VonadError as error:
                instead = "the spoken words are" if name == "filler" else "vonad's own sound is"
                wrong.append(f"[sounds] {name}: {error.message}; {instead} played instead")
        bundled = BUNDLED / f"{name}.wav"
        if sound is None:
            sound = read_sound(bundled) if setting != "off" and bundled.exists() else ()
        cues[name] = sound
    return cues, wrong


def setting_of(table: Table, name: CueName) -> str:
    """What the configuration says of a cue."""
    return str(getattr(table, name))


def read_sound(path: Path) -> Sound:
    """A WAV file in pieces. Raises unsupported_audio_format, with the remedy."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST)
    except OSError as error:
        why = f"{path} cannot be read ({error.strerror}): write the path of a WAV file, or on, or off"
        raise VonadError("unsupported_audio_format", why, op="sounds") from None
    whole = read_wav(content, name=str(path))
    if whole.seconds > LONGEST_S:
        why = f"{path} lasts {whole.seconds:.0f} s: a cue lasts at most {LONGEST_S:g} s; cut it"
        raise VonadError("unsupported_audio_format", why, op="sounds")
    return pieces(whole)


def pieces(whole: Frame) -> Sound:
    """The same sound in frames of 20 ms."""
    blocks = Blocks(round(whole.rate * PIECE_S))
    cut = [Frame(block, whole.rate) for block in blocks.push(whole.samples)]
    rest = blocks.flush()
    return (*cut, Frame(rest, whole.rate)) if len(rest) else tuple(cut)
