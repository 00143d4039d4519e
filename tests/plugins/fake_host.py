"""The Host of the bundled plugins' tests: the one that every plugin's author has."""

from vonad.testing import ScriptedHost as FakeHost
from vonad.testing import ScriptedStore as FakeStore
from vonad.testing import ScriptedVoice as FakeVoice

__all__ = ["FakeHost", "FakeStore", "FakeVoice"]
