"""Equipment: all that a session is given to work with, taken from the parts that run."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from vonad.backend import Backend
from vonad.brought import Brought
from vonad.clock import Clock
from vonad.engine import Exchange, TurnDetector, VoiceActivityDetector
from vonad.errors import VonadError
from vonad.events import Event
from vonad.frame import Frame
from vonad.history import Journal
from vonad.parts import Parts
from vonad.plan import Plan, Style
from vonad.policy import Policy
from vonad.resilience import BreakerState
from vonad.roster import Roster
from vonad.session.means import Cues, Limits, Means
from vonad.settings import Settings
from vonad.skills.catalogue import Catalogue
from vonad.skills.desk import Desk
from vonad.streams import closing


class Equipment:
    """The same for every session, but for what its plan names.

    publish: told every event of a session.
    cues:    sounds and spoken phrases that are ready.
    """

    def __init__(
        self,
        parts: Parts,
        policy: Policy,
        *,
        journal: Journal,
        clock: Clock,
        publish: Callable[[Event], object],
        breaker_changed: Callable[[str, BreakerState], None],
        backend_told: Callable[[str, str], None],
        cues: Cues,
    ) -> None:
        self.roster = Roster(parts, clock, breaker_changed, told=backend_told)
        self._cues = cues
        self._parts = parts
        self._policy = policy
        self._journal = journal
        self._clock = clock
        self._publish = publish
        self._desk = self._new_desk(parts.catalogue, policy)

    def backend(self, plan: Plan) -> tuple[str, Backend]:
        """The first of the plan's backends that runs. Raises backend_unavailable."""
        first: VonadError | None = None
        for name in plan.backends:
            try:
                component = self._parts.get("backends", name).component
            except VonadError as error:
                first = first or error
            else:
                assert isinstance(component, Backend)
                return name, component
        raise first or VonadError("backend_unavailable", "the plan names no backend")

    def check_style(self, plan: Plan) -> None:
        """Raises capability_unsupported where none of the plan's backends that run lets a style be heard."""
        running = self._running(plan)
        if running and not any(backend.capabilities.style_conditioning for _, backend in running):
            raise unstyled(running[0][0], "session")

    def check_voice_style(self, plan: Plan) -> None:
        """Raises capability_unsupported where whoever speaks the house's own words lets no style be heard."""
        voices = [(name, backend) for name, backend in self._running(plan) if type(backend).speak is not Backend.speak]
        if voices and not voices[0][1].capabilities.style_conditioning:
            raise unstyled(voices[0][0], "say")

    def _running(self, plan: Plan) -> list[tuple[str, Backend]]:
        found: list[tuple[str, Backend]] = []
        for name in plan.backends:
            try:
                component = self._parts.get("backends", name).component
            except VonadError:
                continue
            assert isinstance(component, Backend)
            found.append((name, component))
        return found

    def means(
        self,
        plan: Plan,
        settings: Settings,
        group: asyncio.TaskGroup,
        history: tuple[Exchange, ...],
        *,
        session_id: str,
        brought: Brought = Brought(),  # noqa: B008  (frozen)
        skills_wanted: bool = False,
    ) -> Means:
        """What a session of this plan works with.

        history: what was said before in its conversation.
        brought: what it has besides, of its caller's.

        skills_wanted: somebody has asked for just the skills of the plan, and is to know if one does not run.

        Raises skill_not_found for such a one, and what Brought raises.
        """
        limits = settings.session
        catalogue, policy, desk = self._parts.catalogue, self._policy, self._desk
        if brought or plan.skills is not None:
            names = plan.skills
            if names is not None and not skills_wanted:
                names = tuple(name for name in names if catalogue.find(name) is not None)
            policy = brought.policy(policy, session_id)
            catalogue = brought.catalogue(catalogue, names, session_id, self._parts.host)
            desk = self._new_desk(catalogue, policy)
        self.roster.cool_off_s = limits.cool_off_s
        return Means(
            clock=self._clock,
            publish=self._publish,
            journal=self._journal,
            policy=policy,
            desk=desk,
            voice=lambda text, language, style: self.speak(plan.backends, text, language=language, style=style),
            backends=self.roster,
            cues=self._cues,
            group=group,
            history=history,
            detector=lambda: self._parts.lease(VoiceActivityDetector, "vad", limits.vad),
            judge=self._judge(limits.turn),
            sentences=lambda: catalogue.sentences,
            limits=limits_of(settings),
        )

    def _new_desk(self, catalogue: Catalogue, policy: Policy) -> Desk:
        return Desk(catalogue, policy=policy, journal=self._journal, clock=self._clock)

    def _judge(self, name: str | None) -> Callable[[], AbstractAsyncContextManager[TurnDetector]] | None:
        if name is None or name not in self._parts.engines("turn"):
            return None
        return lambda: self._parts.lease(TurnDetector, "turn", name)

    async def speak(self, backends: tuple[str, ...], text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        """The house's own words, by the first of these backends that can speak them. Raises the last one's error."""
        last: VonadError | None = None
        for name in backends:
            sounded = False
            try:
                component = self._parts.get("backends", name).component
                assert isinstance(component, Backend)
                async with closing(component.speak(text, language=language, style=style)) as frames:
                    async for frame in frames:
                        sounded = True
                        yield frame
            except VonadError as error:
                if sounded:
                    raise
                last = error
            else:
                return
        raise last or VonadError("backend_unavailable", f"none of the backends {', '.join(backends)} can speak")


def unstyled(backend: str, op: str) -> VonadError:
    """Why a style is refused."""
    why = f"backend {backend} sounds as it sounds: leave style out, or choose another backend"
    return VonadError("capability_unsupported", why, op=op)


def limits_of(settings: Settings) -> Limits:
    """What the owner may set of a session's limits; the rest is as it is."""
    session = settings.session
    return Limits(
        processing_s=session.processing_s,
        away_s=session.away_s,
        cool_off_s=session.cool_off_s,
        keep_alive_s=session.keep_alive_s,
        compaction_tokens=session.compaction_tokens,
        idle_timeout_s=session.idle_timeout_s,
        max_duration_s=session.max_duration_s,
    )
