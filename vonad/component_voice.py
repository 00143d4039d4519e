"""What a component may ask of the house: to say something, and to hold a conversation of its own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from vonad.admission import QueuedTurn
from vonad.errors import VonadError
from vonad.host import Answered, Voice
from vonad.plan import AS_SET, Overrides, SessionView
from vonad.session.announcement import Announcement, new_announcement
from vonad.session.turn import Turn


class TurnOver(Protocol):
    """A turn that is over."""

    @property
    def turn_id(self) -> str:
        """Its id in the history."""

    @property
    def reply(self) -> str:
        """What was answered."""

    @property
    def outcome(self) -> str:
        """How it ended."""

    @property
    def output(self) -> object:
        """What the reply says, if it had to fit a schema."""


class Conversations(Protocol):
    """The service of conversations, as far as components have a part in it."""

    async def create(
        self,
        *,
        satellite: str | None,
        overrides: Overrides,
        resume: str | None,
        hooks: object | None,
        skills: Sequence[object],
    ) -> SessionView:
        """A new session."""

    async def start_turn(
        self, session_id: str, text: str, *, output_schema: Mapping[str, object] | None
    ) -> Turn | QueuedTurn:
        """A turn from text."""

    async def wait(self, turn_id: str, seconds: float) -> TurnOver:
        """A turn once it is over."""

    async def archive(self, session_id: str) -> None:
        """End a session."""


class ComponentVoice(Voice):
    """conversations: the service; None until there is one."""

    def __init__(self, say: Callable[[Announcement], Announcement]) -> None:
        self.conversations: Conversations | None = None
        self._say = say

    async def say(self, satellite: str, text: str) -> str:
        return self._say(new_announcement(text, satellite=satellite)).id

    async def open(
        self,
        *,
        satellite: str | None = None,
        overrides: Overrides = AS_SET,
        resume: str | None = None,
        hooks: object | None = None,
        skills: Sequence[object] = (),
    ) -> str:
        view = await self._service().create(
            satellite=satellite, overrides=overrides, resume=resume, hooks=hooks, skills=skills
        )
        return view.session_id

    async def ask(
        self,
        session_id: str,
        text: str,
        *,
        output_schema: Mapping[str, object] | None = None,
        within_s: float = 60.0,
    ) -> Answered:
        service = self._service()
        turn = await service.start_turn(session_id, text, output_schema=output_schema)
        over = await service.wait(turn.id, within_s)
        return Answered(over.turn_id, over.reply, over.outcome, over.output)

    async def close(self, session_id: str) -> None:
        await self._service().archive(session_id)

    def _service(self) -> Conversations:
        if self.conversations is None:
            why = "the house has only begun to open: no session can open before its parts have"
            raise VonadError("backend_unavailable", why, op="session", retryable=True)
        return self.conversations
