"""Running `vonad` in tests: in this process, on a thread, so that a house served here can answer it."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from vonad.cli import main


@dataclass
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class Cli:
    """Runs commands in directories of their own."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ended:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(arguments)
        out, err = self._capsys.readouterr()
        return Ended(int(end.value.code or 0), out, err)

    async def beside(self, *arguments: str) -> Ended:
        """While the loop goes on."""
        return await asyncio.to_thread(self, *arguments)


def directories(directory: Path, patch: pytest.MonkeyPatch) -> None:
    """Point everything that vonad keeps below `directory`."""
    for name in ("STATE", "RUNTIME", "CACHE", "CONFIGURATION"):
        patch.setenv(f"{name}_DIRECTORY", str(directory))
    patch.setenv("HOME", str(directory))
    for name in ("VONAD_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        patch.delenv(name, raising=False)
