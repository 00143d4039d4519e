"""why: where a turn's time went, and who was slow."""

from typing import Annotated

import typer

from vonad.cli import past
from vonad.cli.client import record, records
from vonad.cli.output import local_time, plain, print_json, print_table

BAR = 30
"""Characters that the whole turn takes; a stage has its share of them."""


WORDLESS = ("say", "greeting")
"""Sources of turns in which the user says nothing."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: vonad why last")(why)


def why(
    turn: Annotated[str, typer.Argument(metavar="TURN_ID", help="A turn's id; last is the latest.")] = ("last"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell where a turn's time went, stage by stage, and who was slow.

    The turn's ids are in `vonad history --json`.
    """
    told = past.why(turn)
    if as_json:
        print_json(told)
        return
    print(_headline(told))
    total = _ms(told["total_ms"])
    rows = [
        (
            step["stage"],
            _shown(step["at_ms"]),
            _shown(step["took_ms"]),
            step["owner"],
            _bar(_ms(step["took_ms"]), total),
        )
        for step in records(told["steps"])
    ]
    print()
    print_table(("stage", "reached", "took", "whose time", ""), rows, empty="no stage of it is known")
    attempts = [
        (one["name"], one["outcome"], _shown(one["duration_ms"]), one["detail"]) for one in records(told["attempts"])
    ]
    if attempts:
        print()
        print_table(("skill", "outcome", "took", "detail"), attempts, empty="")
    fallbacks = [
        (one["reason"], one["outcome"], _shown(one["duration_ms"]), one["from_backend"], one["to_backend"])
        for one in records(told["fallbacks"])
    ]
    if fallbacks:
        print()
        print_table(("fallback", "outcome", "took", "from", "to"), fallbacks, empty="")
    print()
    for sentence in _verdict(told):
        print(plain(sentence))


def _headline(told: dict[str, object]) -> str:
    facts = [
        f"turn {told['turn_id']}",
        str(told["satellite"] or "text only"),
        str(told["source"]),
        local_time(told["ts"]),
        str(told["outcome"] or "not over"),
    ]
    said = f": {told['transcript']}" if told["transcript"] else ""
    return plain(" · ".join(facts) + said)


def _verdict(told: dict[str, object]) -> list[str]:
    slowest = record(told["slowest"])
    sentences = []
    if told["endpoint"]:
        sentences.append(f"the user's words were taken to have ended by: {told['endpoint']}")
    if told["first_audio_ms"] is not None:
        since = "turn's beginning" if told["source"] in WORDLESS else "last word"
        sentences.append(f"from the {since} to the first sound: {_shown(told['first_audio_ms'])}")
    if slowest:
        sentences.append(f"slowest: {slowest['owner']}, {_shown(slowest['took_ms'])} until {slowest['stage']}")
    else:
        sentences.append("nothing was waited for")
    if told["degraded"]:
        sentences.append(f"degraded: {told['backend']} answered in place of the first choice")
    if told["audio_gap"]:
        sentences.append("sound was missing: some of what the microphone heard was lost on the way")
    return sentences


def _bar(ms: float, total: float) -> str:
    return "#" * max(1, round(BAR * ms / total)) if ms > 0 and total > 0 else ""


def _ms(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _shown(value: object) -> str | None:
    """Milliseconds as people read them."""
    if value is None:
        return None
    ms = _ms(value)
    return f"{ms:.0f} ms" if ms >= 10 or ms == 0 else f"{ms:.1f} ms"
