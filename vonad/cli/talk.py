"""ask, say, listen, stop: talking to the house from a keyboard."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from vonad.cli.client import Daemon, record, records, segment
from vonad.cli.exits import Failure
from vonad.cli.house import no_satellite
from vonad.cli.output import print_json

ANSWER_S = 120.0
"""Seconds that a reply may take by default: a slow model's, with sound."""

Words = Annotated[list[str], typer.Argument(metavar="TEXT...", help="What is said; quotes are not needed.")]
At = Annotated[str | None, typer.Option("--satellite", "-s", metavar="ID", help="The satellite that is meant.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog='Example: vonad ask "what time is it"')(ask)
    app.command(epilog='Example: vonad say "dinner is ready" --satellite kitchen')(say)
    app.command(epilog="Example: vonad listen --satellite kitchen")(listen)
    app.command(epilog="Example: vonad stop")(stop)


def ask(
    text: Words,
    satellite: At = None,
    queue: Annotated[
        bool,
        typer.Option("--queue", help="With --satellite: wait for the turn that runs there."),
    ] = False,
    as_json: AsJson = False,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, max=300, help="How long to wait for the reply.")
    ] = ANSWER_S,
) -> None:
    """Ask something and print the reply.

    With --satellite the reply is also spoken there; without, nothing is played. Where vonad asks back whether it shall
    do something, the answer is read from the terminal, or heard at the satellite; without either nothing is done.
    """
    said = {"text": _words(text), "on_busy": "queue" if queue else "refuse"}
    with Daemon() as daemon:
        reply = _at(daemon, satellite, said, timeout) if satellite else _in_a_session(daemon, said, timeout)
    if as_json:
        # No schema was asked for, and no question is left open.
        print_json({key: value for key, value in reply.items() if key not in {"output", "confirm"}})
    elif reply["reply"]:
        print(reply["reply"])
    if not satellite and str(reply["reply"] or "").rstrip().endswith("?"):
        print("vonad: this cannot be answered here: ask with --satellite ID", file=sys.stderr)
    if reply["outcome"] == "failed":
        raise Failure("the turn failed: `vonad history` and the daemon's log say more")


def say(
    text: Words,
    satellite: At = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it has been played.")] = False,
    interrupt: Annotated[bool, typer.Option("--interrupt", help="Cut short what plays.")] = False,
    preannounce: Annotated[bool, typer.Option("--preannounce", help="Play a chime first.")] = False,
    durable: Annotated[
        bool, typer.Option("--durable", help="Keep it until the satellite is there, over a restart too.")
    ] = False,
) -> None:
    """Speak an announcement at a satellite."""
    body = {"text": _words(text), "interrupt": interrupt, "preannounce": preannounce, "durable": durable}
    with Daemon() as daemon:
        where = satellite or _the_only(daemon)
        answer = record(daemon.post(f"/api/satellites/{segment(where)}/say", body, wait=ANSWER_S if wait else None))
    if wait and not answer.get("ok"):
        raise Failure(f"the announcement was not played to its end at {where} ({answer.get('reason') or 'no reason'})")


def listen(satellite: At = None) -> None:
    """Open a satellite's microphone, as its wake word would."""
    with Daemon() as daemon:
        where = satellite or _the_only(daemon)
        daemon.post(f"/api/satellites/{segment(where)}/wake", {})
    print(f"{where} is listening")


def stop(satellite: At = None) -> None:
    """Be quiet: end what is spoken, and the turn. Without --satellite everywhere."""
    with Daemon() as daemon:
        places = [satellite] if satellite else _online(daemon)
        answers = {place: record(daemon.post(f"/api/satellites/{segment(place)}/stop")) for place in places}
    stopped = [place for place, answer in answers.items() if answer.get("stopped")]
    print(f"stopped: {', '.join(stopped)}" if stopped else "there was nothing to stop")


def _words(text: Sequence[str]) -> str:
    said = " ".join(text)
    if not said.strip():
        raise Failure("there are no words in it", status=2)
    return said


def _at(daemon: Daemon, satellite: str, said: Mapping[str, object], timeout: float) -> dict[str, object]:
    """A turn at a satellite, as if spoken there."""
    try:
        return record(daemon.post(f"/api/satellites/{segment(satellite)}/text", said, wait=timeout))
    except Failure as failure:
        if failure.code != "session_busy" or said["on_busy"] == "queue":
            raise
        mend = f"`vonad stop --satellite {satellite}` ends it, --queue waits for it"
        raise Failure(f"{satellite} is busy with a turn: {mend}", status=failure.status) from None


def _in_a_session(daemon: Daemon, said: Mapping[str, object], timeout: float) -> dict[str, object]:
    """A turn in a session of its own, text only, which is closed again."""
    session = segment(str(record(daemon.post("/api/sessions", {"initial_turn": "defer"}))["session_id"]))
    try:
        reply = record(daemon.post(f"/api/sessions/{session}/turns", said, wait=timeout))
        if reply.get("confirm"):
            answer = {"text": _answered(str(reply["reply"]))}
            reply = record(daemon.post(f"/api/sessions/{session}/turns", answer, wait=timeout))
        return reply
    finally:
        # On a connection of its own: the other one may have been left in the middle of an answer.
        with Daemon() as again:
            again.delete(f"/api/sessions/{session}")


def _answered(question: str) -> str:
    """What somebody at the terminal says to this: it closes with the session, and nobody else could answer."""
    if not sys.stdin.isatty():
        why = "nothing was done, as nobody is at a terminal to say yes: ask in one, or with --satellite"
        raise Failure(f"{question} ({why})")
    try:
        return input(f"{question} (yes/no) ").strip() or "no"
    except EOFError:
        return "no"


def _online(daemon: Daemon) -> list[str]:
    return [str(one["id"]) for one in records(daemon.get("/api/satellites")) if one.get("online")]


def _the_only(daemon: Daemon) -> str:
    """The satellite that is meant when none is named."""
    places = _online(daemon)
    if not places:
        raise Failure(no_satellite(daemon))
    if len(places) > 1:
        raise Failure(f"there are several satellites, say which one: --satellite {'|'.join(places)}")
    return places[0]
