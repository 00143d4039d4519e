"""What the demo tells while it happens: in colour on a terminal, plain elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

STAGES: Mapping[str, str] = {
    "wake": "woken",
    "endpoint": "the sentence, and the silence after it",
    "stt": "words recognised",
    "skill": "skill has answered",
    "agent_first_token": "reply begins",
    "tts_first_audio": "voice begins",
    "playback_started": "first sound of the reply",
    "playback_finished": "reply played to its end",
}
"""Stage of a turn → how people call it."""


class Account:
    """Prints. Every line is something that was seen, none is made up."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def title(self, text: str) -> None:
        """A new chapter."""
        self._print(("\n" + text, "bold"))

    def fact(self, name: str, value: str) -> None:
        """Something that is so."""
        self._print((f"  {name:<12}", "dim"), (value, ""))

    def message(self, after_s: float, topic: str, text: str, *, ours: bool = False) -> None:
        """A message on MQTT. ours: the demo has published it."""
        arrow = "→" if ours else "←"
        self._print((f"  {after_s:7.3f} s ", "dim"), (f"{arrow} {topic} ", "cyan"), (text, "bold" if ours else "green"))

    def said(self, who: str, words: str) -> None:
        """Somebody's words."""
        self._print((f"  {who:<12}", "dim"), (f"“{words}”", "bold yellow"))

    def latency(self, stages: Mapping[str, float], first_audio_ms: float | None) -> None:
        """How long each stage took; what was prepared while somebody spoke took nobody's time."""
        ended, before = stages.get("endpoint", 0.0), 0.0
        since_wake = 0.0 - stages.get("wake", 0.0)
        for stage, ms in sorted(stages.items(), key=lambda item: item[1]):
            name = STAGES.get(stage, stage)
            spent = 0.0 - ms if stage == "wake" else ms - before  # a wake comes before the turn begins
            at_ms = since_wake + (ms if stage != "wake" else 0.0)
            took = "prepared" if stage != "wake" and ms < ended else f"{spent:+.1f} ms"
            self._print((f"  {at_ms / 1000:7.3f} s ", "dim"), (f"{name:<40}", ""), (f"{took:>12}", "magenta"))
            before = ms if ms >= ended else before
        if first_audio_ms is not None:
            self._print(("  last word → first sound of the reply: ", "dim"), (f"{first_audio_ms:.0f} ms", "bold"))

    def rows(self, rows: Sequence[Sequence[object]]) -> None:
        """Rows of the history."""
        for row in rows:
            self._print(("  " + " · ".join("-" if cell in (None, "") else str(cell) for cell in row), ""))

    def written(self, path: Path, seconds: float, level_db: float) -> None:
        """The replies as a file."""
        self.fact("replies", f"{path} ({seconds:.1f} s of speech, {level_db:.0f} dBFS)")

    def verdict(self, broken: Sequence[str]) -> None:
        """Whether everything happened."""
        self._console.print()
        if not broken:
            self._print(("All of it really happened.", "bold green"), (" Next: ", ""), ("vonad run", "bold"))
        for promise in broken:
            self._print(("Did not happen: ", "bold red"), (promise, ""))

    def _print(self, *pieces: tuple[str, str]) -> None:
        self._console.print(Text.assemble(*pieces))
