"""satellites, sessions, skills: what is there now."""

from typing import Annotated

import typer

from vonad.cli.client import Daemon, record, records
from vonad.cli.output import local_time, print_json, print_table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: vonad satellites")(satellites)
    app.command(epilog="Example: vonad sessions --json")(sessions)
    app.command(epilog="Example: vonad skills")(skills)


def satellites(as_json: AsJson = False) -> None:
    """The satellites, and what each is doing."""
    with Daemon() as daemon:
        found = records(daemon.get("/api/satellites"))
        why = "" if found or as_json else no_satellite(daemon)
    if as_json:
        print_json(found)
        return
    rows = [
        (one["id"], one["name"], one["area"], one["state"] if one["online"] else "offline", one["transport"])
        for one in found
    ]
    print_table(("id", "name", "area", "state", "transport"), rows, empty=why)


def no_satellite(daemon: Daemon) -> str:
    """Why there is none, as far as the daemon knows."""
    parts = record(record(daemon.get("/healthz")).get("parts"))
    idle = [f"{name} does not run: {why}" for name, why in parts.items() if name.startswith("[transports.")]
    remedy = "connect a sound device, or set up a transport in vonad.toml"
    return f"no satellite is connected: {'; '.join(idle) or remedy}"


def sessions(
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """The conversations open now and those closed not long ago, the latest first."""
    with Daemon() as daemon:
        found = records(daemon.get("/api/sessions", limit=limit))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["session_id"],
            one["satellite"],
            f"{one['state']}: {one['reason']}" if one["reason"] else one["state"],
            one["turn"],
            f"{one['backend']} (degraded)" if one["degraded"] else one["backend"],
            local_time(one["created"]),
        )
        for one in found
    ]
    print_table(("session", "satellite", "state", "turns", "backend", "since"), rows, empty="no sessions")


def skills(as_json: AsJson = False) -> None:
    """What can be asked for, and which sentences are understood without a network."""
    with Daemon() as daemon:
        found = records(daemon.get("/api/skills"))
    if as_json:
        print_json(found)
        return
    rows = [
        (one["name"], sentence, need)
        for one in found
        for sentence, need in _needs(one["sentences"], str(one["description"]))
    ]
    print_table(("skill", "sentence", "needs"), rows, empty="no skill runs: see `vonad plugins`")


def _needs(sentences: object, description: str) -> list[tuple[str, str]]:
    """Each sentence with what it needs. A template is in the closed grammar; what has none, only a model can find."""
    templates = [str(sentence) for sentence in sentences] if isinstance(sentences, list) else []
    return [(template, "offline") for template in templates] or [(description, "needs-LLM")]
