"""Who this node is: made once from the host name, kept in the state directory, never derived again."""

import json
import os
import re
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from vonad.errors import VonadError
from vonad.plan import SATELLITE_ID
from vonad.settings.tables import Node

FILE = "node.json"


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """id: one level of every topic; uuid: what identifiers elsewhere are made of, for good; name: for people."""

    id: str
    uuid: str
    name: str


def identity(state_dir: Path, node: Node, hostname: str) -> NodeIdentity:
    """Who this node is. What the configuration names wins over what was kept, but for the UUID.

    Makes the state directory (mode 0700) and node.json (0600) the first time. Raises store_error when the file cannot
    be made, or is not what was written there.
    """
    path = state_dir / FILE
    kept = _read(path) or _keep(path, _made(hostname))
    return NodeIdentity(id=node.id or kept.id, uuid=kept.uuid, name=node.name or kept.name)


def _made(hostname: str) -> NodeIdentity:
    host = hostname.split(".", maxsplit=1)[0]
    word = re.sub(r"[^a-z0-9_-]+", "-", host.lower()).strip("-")[:64]
    if word in {"", "localhost"}:
        host = word = "vonad"
    return NodeIdentity(id=word, uuid=str(uuid.uuid4()), name=host)


def _read(path: Path) -> NodeIdentity | None:
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unusable(path, f"cannot be read ({error.strerror})") from error
    try:
        kept = json.loads(raw)
        found = NodeIdentity(id=kept["id"], uuid=str(uuid.UUID(kept["uuid"])), name=kept["name"])
        if SATELLITE_ID.fullmatch(found.id) and isinstance(found.name, str):
            return found
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise _unusable(path, "is not what vonad wrote")


def _keep(path: Path, made: NodeIdentity) -> NodeIdentity:
    """Write it whole or not at all; of two processes that try at once, both get what the first one made."""
    draft = path.with_name(f"{FILE}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(made), file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return _read(path) or made
        finally:
            draft.unlink()
    except OSError as error:
        raise VonadError(
            "store_error",
            f"{path} cannot be written ({error.strerror}): the state directory must belong to the user vonad runs as",
            op="identity",
        ) from error
    return made


def _unusable(path: Path, what: str) -> VonadError:
    return VonadError(
        "store_error",
        f"{path} {what}: restore it from a backup; without it this node gets a new identity, and so do its devices",
        op="identity",
    )
