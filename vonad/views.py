"""Views: what the service shows of turns, satellites, announcements, skills, wakes. Values, as faces give them on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vonad.lines import Satellite
from vonad.session.announcement import Announcement
from vonad.settings import tables
from vonad.skills.catalogue import Entry


@dataclass(frozen=True, slots=True)
class TurnResult:
    """A turn that is over.

    output:  what the reply says, where it had to fit a schema.
    confirm: the reply asks for a yes: the next turn in the session answers, within 20 s.
    """

    turn_id: str
    session_id: str
    transcript: str
    reply: str
    heard: str
    outcome: str
    output: object = None
    confirm: bool = False


@dataclass(frozen=True, slots=True)
class SatelliteView:
    """A satellite as others see it. state: idle, listening, processing or responding."""

    id: str
    name: str
    area: str | None
    state: str
    online: bool
    transport: str
    session_id: str | None


@dataclass(frozen=True, slots=True)
class AnnouncementView:
    """Something the house was asked to say. state: queued, playing, finished, cancelled or failed; reason: why."""

    id: str
    satellite: str
    text: str
    state: str
    reason: str
    priority: int
    durable: bool


@dataclass(frozen=True, slots=True)
class SkillView:
    """A skill as others see it."""

    name: str
    description: str
    sentences: tuple[str, ...]
    risk: str
    timeout_s: float
    plugin: str


@dataclass(frozen=True, slots=True)
class WakeAnswer:
    """What became of a wake. reason: one of REFUSALS when it was refused."""

    accepted: bool
    reason: str = ""
    detail: str = ""
    session_id: str | None = None


def satellite_views(online: Sequence[Satellite], configured: Mapping[str, tables.Satellite]) -> list[SatelliteView]:
    """Those connected, and those configured that are not."""
    views = []
    for satellite in online:
        own = configured.get(satellite.id)
        session = satellite.session
        views.append(
            SatelliteView(
                satellite.id,
                (own.name if own is not None else None) or satellite.id,
                own.area if own is not None else None,
                satellite.state,
                online=True,
                transport=satellite.transport,
                session_id=session.id if session is not None and not session.over else None,
            )
        )
    there = {view.id for view in views}
    for name, own in configured.items():
        if name not in there:
            views.append(
                SatelliteView(name, own.name or name, own.area, "idle", online=False, transport="", session_id=None)
            )
    return views


def announcement_view(announcement: Announcement) -> AnnouncementView:
    """An announcement as it is now."""
    return AnnouncementView(
        announcement.id,
        announcement.satellite,
        announcement.text,
        announcement.state,
        announcement.reason,
        priority=announcement.priority,
        durable=announcement.durable,
    )


def skill_views(running: Iterable[Entry]) -> list[SkillView]:
    """The skills that run."""
    return [
        SkillView(
            entry.skill.name,
            entry.skill.description,
            tuple(sentence.template for sentence in entry.sentences.sentences),
            entry.skill.risk,
            entry.skill.timeout_s,
            entry.plugin,
        )
        for entry in running
    ]
