"""The service of conversations: open them, speak in them, interrupt, inform, read, follow and close them."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Literal

from vonad.admission import OnBusy, QueuedTurn
from vonad.brought import Brought
from vonad.bus import MAILBOX, Subscription
from vonad.clock import Clock
from vonad.errors import VonadError
from vonad.history import SessionRecord
from vonad.opened import Opened
from vonad.output import OutputSchema
from vonad.plan import AS_SET, Budget, ContextEvent, InjectMode, Overrides, SessionView
from vonad.runtime import Runtime
from vonad.session.turn import Turn
from vonad.settings.problem import suggestion
from vonad.views import TurnResult

REMEMBERED = 256
"""Turns that can be waited for after they ended."""

LONGEST_EVENT = 16 << 10
"""Characters of what is injected, as JSON: a model has to read it."""


class SessionService:
    """Conversations: create, start_turn, wait, interrupt, inject, compact, read, list, archive, subscribe."""

    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        self._bus = runtime.bus
        self._journal = runtime.journal
        runtime.voice.conversations = self
        self._turns: OrderedDict[str, tuple[str, Turn | QueuedTurn]] = OrderedDict()

    async def create(
        self,
        *,
        satellite: str | None = None,
        initial_turn: Literal["run_immediately", "defer"] = "defer",
        text: str | None = None,
        backend: str | None = None,
        overrides: Overrides = AS_SET,
        resume: str | None = None,
        output_schema: Mapping[str, object] | None = None,
        hooks: object | None = None,
        skills: Sequence[object] = (),
    ) -> SessionView:
        """A new session; its first turn, if one is wanted, may fail: the session is there.

        initial_turn: run_immediately answers the text, or without one listens to the satellite; defer takes none.
        overrides: what is wanted otherwise than it is set. backend: the same as the one in there.
        resume:    a session that is over, or a conversation, which goes on in this one.
        output_schema: what the reply to the text must fit, as in start_turn.
        hooks:     an object with methods under @hookimpl, asked before all plugins in this session only.
        skills:    functions under @skill, or Skill objects that are open, for this session only.

        Raises malformed, not_found, session_limit, session_busy, backend_unavailable, capability_unsupported,
        session_not_found, session_already_active; plugin_error for hooks or skills that are none, plugin_conflict for a
        skill whose name is taken.
        """
        at_once = initial_turn == "run_immediately"
        if at_once and not text and satellite is None:
            why = "initial_turn run_immediately needs a text, or a satellite to listen to"
            raise VonadError("malformed", why, op="create")
        if output_schema is not None and not (at_once and text):
            why = "output_schema is for the reply to a text: give one, with initial_turn run_immediately"
            raise VonadError("malformed", why, op="create")
        if text and not at_once:
            why = "text: nobody answers it while initial_turn is defer: say run_immediately, or take a turn later"
            raise VonadError("malformed", why, op="create")
        if backend is not None:
            overrides = replace(overrides, backend=backend)
        self._check_named(overrides.backend)
        session, turn = await self._runtime.reception.create(
            satellite,
            overrides,
            resume=resume,
            text=(text or None) if at_once else None,
            output=OutputSchema(output_schema) if output_schema is not None else None,
            brought=Brought(hooks, tuple(skills)),
            purpose="listen" if at_once and not text else "idle",
        )
        if turn is not None:
            self.remember(session.id, turn)
        return session.view()

    def _check_named(self, backend: str | None) -> None:
        """Raises not_found for a backend that nobody has configured: waiting does not bring it."""
        known = [part.name for part in self._runtime.parts.all("backends")]
        if backend is not None and backend not in known:
            raise VonadError("not_found", f"there is no backend {backend!r}; {suggestion(backend, known)}", op="create")

    async def start_turn(
        self,
        session_id: str,
        text: str,
        *,
        on_busy: OnBusy = "refuse",
        follow_up: bool | None = None,
        budget: Budget | None = None,
        output_schema: Mapping[str, object] | None = None,
    ) -> Turn | QueuedTurn:
        """A turn from text, now or, with `queue`, as the next one; its id is known at once.

        follow_up: listen afterwards; None leaves that to the session.
        budget:    what it may cost; None: what the session's turns may.
        output_schema: a JSON Schema: the reply is JSON that fits it. Nothing of such a turn is spoken.

        Raises session_not_found, session_expired, session_busy (also when one waits already), rate_limited; malformed
        for a schema that is none, capability_unsupported where the backend knows no schemas.
        """
        output = OutputSchema(output_schema) if output_schema is not None else None
        if output is not None and follow_up:
            raise VonadError("malformed", "follow_up: nobody is listened to after an output_schema", op="text")
        opened = await self._open(session_id)
        turn = self._runtime.reception.ask(
            opened, text, on_busy=on_busy, follow_up=follow_up, output=output, budget=budget
        )
        return self.remember(session_id, turn)

    def first_turn(self, session_id: str) -> str | None:
        """The id of the turn that a session was created with, if it can still be waited for."""
        return next((turn_id for turn_id, (of, _) in self._turns.items() if of == session_id), None)

    def session_of(self, turn_id: str) -> str:
        """The session of a turn that can be waited for. Raises not_found."""
        return self._find(turn_id)[0]

    async def wait(self, turn_id: str, seconds: float) -> TurnResult:
        """A turn's result once it is over.

        Raises not_found, timeout; what a turn with an output_schema failed with, as structured_output_invalid.
        """
        session_id, turn = self._find(turn_id)
        try:
            async with self._clock.deadline(seconds):
                outcome = await asyncio.shield(turn.ended)
        except TimeoutError:
            raise VonadError("timeout", f"turn {turn_id} is not over after {seconds:g} s", op="wait") from None
        result = turn.structure.result if turn.structure is not None else None
        if outcome == "failed" and turn.structure is not None and turn.structure.error is not None and result is None:
            raise turn.structure.error
        output = result.value if result is not None else None
        said = turn.transcript or ""
        return TurnResult(turn_id, session_id, said, turn.reply, turn.heard, outcome, output, turn.confirm)

    async def interrupt(self, session_id: str) -> None:
        """End the running turn, or the one about to run.

        Raises session_not_found, session_not_active for a session that is over, session_not_running.
        """
        (await self._active(session_id, "interrupt")).admission.interrupt("interrupt")

    async def inject(self, session_id: str, event: ContextEvent, mode: InjectMode = "queue") -> str:
        """Make something known to whoever answers; what happened: queued, said, steered or interrupted.

        Raises session_not_found, session_not_active, malformed, capability_unsupported, overload,
        backend_inject_failed.
        """
        try:
            size = len(json.dumps(dict(event.payload), allow_nan=False)) + len(event.spoken_summary or "")
        except (TypeError, ValueError, RecursionError) as error:
            raise VonadError("malformed", f"payload: {error}: only what JSON can hold", op="inject") from None
        if size > LONGEST_EVENT or not event.source.strip():
            why = f"payload: {size} characters: at most {LONGEST_EVENT}" if event.source.strip() else "source is empty"
            raise VonadError("malformed", why, op="inject")
        return await (await self._active(session_id, "inject")).session.inject(event, mode)

    async def compact(self, session_id: str) -> tuple[int, int]:
        """Sum up what was said, but for the last exchanges; about how many tokens it was, and is.

        Raises session_not_found, session_not_active, compaction_disabled, session_busy, and what the backend raises.
        """
        return await (await self._active(session_id, "compact")).session.compact()

    def busy(self) -> bool:
        """Whether any session is open."""
        return len(self._runtime.sessions) > 0

    async def read(self, session_id: str) -> SessionView:
        """A snapshot, also of one that is over. Raises session_not_found."""
        view = self._runtime.sessions.view(session_id)
        return view if view is not None else _view(await self._kept(session_id))

    async def list(self, *, limit: int = 50, offset: int = 0) -> "list[SessionView]":
        """Sessions that are open, then those that are over, newest first."""
        limit, offset = max(0, limit), max(0, offset)
        views = list(islice(self._runtime.sessions.views(), offset, offset + limit))
        if len(views) < limit and self._journal.enabled:
            known = self._runtime.sessions.known()
            beyond = max(0, offset - len(known))
            kept = await self._journal.sessions(but=known, limit=limit - len(views), offset=beyond)
            views += [_view(record) for record in kept]
        return views

    async def archive(self, session_id: str) -> None:
        """Close it; it stays readable, and takes no more turns. Raises session_not_found."""
        await self.read(session_id)
        for opened in self._runtime.sessions.opened:
            if opened.id == session_id:
                opened.close("user_ended")

    @contextmanager
    def subscribe(self, session_id: str | None = None, *, limit: int = MAILBOX) -> Iterator[Subscription]:
        """What happens from now on; in one session, until it has closed. Too slow a reader misses some, and is told."""
        with self._bus.subscribe(limit=limit, session_id=session_id) as subscription:
            if session_id is not None and not self._runtime.sessions.is_open(session_id):
                subscription.close()
            yield subscription

    def remember(self, session_id: str, turn: Turn | QueuedTurn) -> Turn | QueuedTurn:
        """Keep a turn, so that it can be waited for."""
        self._turns[turn.id] = (session_id, turn)
        while len(self._turns) > REMEMBERED:
            self._turns.popitem(last=False)
        return turn

    def forget(self) -> None:
        """What was said in turns and sessions that are over is no longer to be known here."""
        self._runtime.sessions.forget()
        over = [turn_id for turn_id, (_, turn) in self._turns.items() if turn.ended.done()]
        for turn_id in over:
            del self._turns[turn_id]

    def _find(self, turn_id: str) -> tuple[str, Turn | QueuedTurn]:
        if turn_id in self._turns:
            return self._turns[turn_id]
        raise VonadError("not_found", f"no turn {turn_id!r:.100} to wait for", op="wait")

    async def _active(self, session_id: str, op: str) -> Opened:
        """One that something is to be done to. Raises session_not_active for one that is over, session_not_found."""
        try:
            return await self._open(session_id)
        except VonadError as error:
            if error.code != "session_expired":
                raise
            why = f"session {session_id} is closed: no {op} reaches it; resume it to go on"
            raise VonadError("session_not_active", why, op=op) from None

    async def _open(self, session_id: str) -> Opened:
        """One that takes turns. Raises session_expired for one that is over, session_not_found."""
        try:
            return self._runtime.sessions.get(session_id)
        except VonadError as error:
            if error.code != "session_not_found":
                raise
        await self._kept(session_id)
        why = f"session {session_id} is closed; resume it to go on"
        raise VonadError("session_expired", why, op="session")

    async def _kept(self, session_id: str) -> SessionRecord:
        """One that is over, from the history. Raises session_not_found."""
        if not self._journal.enabled:
            raise VonadError("session_not_found", f"no session {session_id!r:.100}", op="session")
        return await self._journal.session(session_id)


def _view(record: SessionRecord) -> SessionView:
    return SessionView(
        session_id=record.session_id,
        conversation_id=record.conversation_id,
        satellite=record.satellite,
        state="closed",
        turn=record.turn,
        backend=record.backend,
        created=record.created,
        degraded=record.degraded,
        tokens=record.tokens,
        reason=record.reason,
        last_transcript=record.last_transcript,
        last_reply=record.last_reply,
    )
