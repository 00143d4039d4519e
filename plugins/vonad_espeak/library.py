"""The native library: eSpeak NG through ctypes, which lets go of the GIL while it computes."""

import ctypes
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vonad import VonadError
from vonad_espeak.voices import Voice, Voices

RATE = 22_050
"""Hz of what it makes."""

PIECE_MS = 60
"""Of sound in one call of the callback: the least that eSpeak knows."""

LONGEST_PATH = 159
"""Bytes of the path to its data, beyond which eSpeak cuts it off."""

SYNCHRONOUS = 2
NEVER_EXIT = 0x8000
"""Without it, eSpeak ends the process when its data is missing."""

UTF8 = 1
IPA = 2

Emit = Callable[[bytes], bool]
"""Takes int16 samples; whether more is wanted."""


class _VoiceRecord(ctypes.Structure):
    """espeak_VOICE of speak_lib.h, as far as it is read."""

    _fields_ = (("name", ctypes.c_char_p), ("languages", ctypes.c_void_p), ("identifier", ctypes.c_char_p))


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How it speaks.

    voice:  as eSpeak calls it.
    rate:   words a minute.
    pitch:  0..99, as spread, the range of the melody.
    volume: 0..200, 100 is usual.
    """

    voice: str
    rate: int
    pitch: int
    spread: int
    volume: int

    @property
    def parameters(self) -> tuple[tuple[int, int], ...]:
        """As espeak_PARAMETER numbers them."""
        return ((1, self.rate), (2, self.volume), (3, self.pitch), (4, self.spread))


class Library:
    """The process's only eSpeak. Several may have it open; one at a time speaks. Methods block: call them in a thread.

    All of eSpeak is global: who speaks next sets voice and manner anew.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._holders = 0
        self._lib: ctypes.CDLL | None = None
        self._voices: Voices | None = None
        self._bridge: tempfile.TemporaryDirectory[str] | None = None
        self._callback: object = None
        self._emit: Emit | None = None
        self._fault: BaseException | None = None

    def open(self) -> Voices:
        """Load it, or share what is loaded; the voices it has. Raises backend_start_failed. Each open needs a close."""
        with self._turn:
            if self._lib is None or self._voices is None:
                self._lib, self._voices = self._started()
            self._holders += 1
            return self._voices

    def close(self) -> None:
        """The last to close ends it."""
        with self._turn:
            self._holders -= 1
            if self._holders or self._lib is None:
                return
            self._lib.espeak_Terminate()
            self._forget()

    def speak(self, text: str, delivery: Delivery, emit: Emit) -> None:
        """Synthesise a piece of text. Raises backend_step_failed, and what `emit` raises."""
        with self._turn:
            lib = self._prepared(delivery.voice)
            for number, value in delivery.parameters:
                lib.espeak_SetParameter(number, value, 0)
            spoken = text.encode("utf-8", "replace")
            self._emit = emit
            try:
                status = lib.espeak_Synth(spoken, len(spoken) + 1, 0, 0, 0, UTF8, None, None)
            finally:
                self._emit = None
                fault, self._fault = self._fault, None
            if fault is not None:
                raise fault
            if status:
                raise _failed(f"it refused to speak {text[:40]!r} (status {status})")

    def phonemes(self, text: str, voice: str) -> str:
        """The IPA of a piece of text, clause by clause with a blank between. Raises backend_step_failed."""
        with self._turn:
            lib = self._prepared(voice)
            spoken = ctypes.create_string_buffer(text.encode("utf-8", "replace"))
            rest = ctypes.c_void_p(ctypes.addressof(spoken))
            clauses = []
            while rest.value:
                clauses.append(lib.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, IPA) or b"")
            return " ".join(clause.decode("utf-8", "replace").strip() for clause in clauses).strip()

    def _prepared(self, voice: str) -> ctypes.CDLL:
        if self._lib is None:
            raise _failed("it is closed")
        if status := self._lib.espeak_SetVoiceByName(os.fsencode(voice)):
            raise _failed(f"it cannot load the voice {voice!r} (status {status})")
        return self._lib

    def _heard(self, samples: int | None, count: int, _events: int | None) -> int:
        """Called by eSpeak with 60 ms of sound; what it returns other than 0 stops the synthesis."""
        if not samples or count <= 0 or self._emit is None:
            return 0
        try:
            return 0 if self._emit(ctypes.string_at(samples, count * 2)) else 1
        except BaseException as fault:  # an exception cannot cross C: it goes on in `speak`
            self._fault = fault
            return 1

    def _started(self) -> tuple[ctypes.CDLL, Voices]:
        lib, data = _loaded()
        short = self._shortened(data)
        rate = lib.espeak_Initialize(SYNCHRONOUS, PIECE_MS, os.fsencode(short), NEVER_EXIT)
        if rate != RATE or lib.espeak_SetVoiceByName(b"en"):
            self._forget()
            raise _not_started(f"it does not initialise with its data in {data} (rate {rate})")
        callback = self._callback = _CALLBACK(self._heard)
        lib.espeak_SetSynthCallback(callback)
        variants = [path.name for path in (data / "voices" / "!v").iterdir()]
        return lib, Voices(_listed(lib), variants)

    def _shortened(self, data: Path) -> Path:
        """A path to the data that eSpeak does not cut off."""
        if len(os.fsencode(data)) <= LONGEST_PATH:
            return data
        self._bridge = tempfile.TemporaryDirectory(prefix="vonad-espeak-")
        link = Path(self._bridge.name) / "espeak-ng-data"
        link.symlink_to(data, target_is_directory=True)
        return link

    def _forget(self) -> None:
        self._lib = self._voices = self._callback = None
        if self._bridge is not None:
            self._bridge.cleanup()
            self._bridge = None


LIBRARY = Library()


def _loaded() -> tuple[ctypes.CDLL, Path]:
    """The library with its functions declared, and the folder of its data."""
    try:
        import espeakng_loader

        lib = ctypes.CDLL(espeakng_loader.get_library_path())
        data = Path(espeakng_loader.get_data_path())
    except (ImportError, OSError, RuntimeError) as error:
        raise _not_started(str(error)) from error
    if not (data / "phontab").is_file():
        raise _not_started(f"its data is not in {data}")
    lib.espeak_Initialize.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
    lib.espeak_SetSynthCallback.argtypes = (_CALLBACK,)
    lib.espeak_SetVoiceByName.argtypes = (ctypes.c_char_p,)
    lib.espeak_SetParameter.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int)
    lib.espeak_Synth.argtypes = (
        *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint),
        *(ctypes.c_void_p, ctypes.c_void_p),
    )
    lib.espeak_TextToPhonemes.argtypes = (ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int)
    lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
    lib.espeak_ListVoices.argtypes = (ctypes.c_void_p,)
    lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceRecord))
    return lib, data


def _listed(lib: ctypes.CDLL) -> list[Voice]:
    records = lib.espeak_ListVoices(None)
    voices = []
    at = 0
    while records[at]:
        record = records[at].contents
        voices.append(Voice(record.name.decode(), record.identifier.decode(), _languages(record.languages)))
        at += 1
    return voices


def _languages(address: int) -> tuple[tuple[int, str], ...]:
    """espeak_VOICE.languages: a byte of rank and a name ended by 0, again and again, ended by a rank of 0."""
    languages = []
    while rank := ctypes.string_at(address, 1)[0]:
        code = ctypes.string_at(address + 1)
        languages.append((rank, code.decode()))
        address += 1 + len(code) + 1
    return tuple(languages)


def _not_started(why: str) -> VonadError:
    return VonadError(
        "backend_start_failed",
        f"espeak: {why}; install it anew: pip install --force-reinstall 'espeakng-loader>=0.2.4'",
        op="espeak.open",
    )


def _failed(why: str) -> VonadError:
    return VonadError("backend_step_failed", f"espeak: {why}", op="espeak.speak", retryable=True)
