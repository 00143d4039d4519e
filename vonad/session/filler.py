"""The filler: while the user waits, says so. Never part of the reply, and over with its first sound."""

from collections.abc import Sequence
from dataclasses import replace

from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.session.floor import Floor
from vonad.session.machine import State
from vonad.session.mouth import Mouth
from vonad.session.turn import Turn

WAITING = frozenset({State.PROCESSING, State.EXECUTING_SKILL})
"""States in which the user waits."""

PAUSE = 4
"""How many times as long as before the first filler it stays quiet before the next."""

AHEAD_S = 0.2
"""A clip is handed to the line only so much before it is heard: the reply that comes then waits no longer than that."""


class Filler:
    """As the plan says: nothing, a clip, or what the backend makes of it if it can."""

    def __init__(self, floor: Floor, mouth: Mouth) -> None:
        self._floor = floor
        self._mouth = mouth
        self._turn: Turn | None = None

    def entered(self, state: State, turn: Turn | None) -> None:
        """The session has changed its state; a wait that goes on in the same turn counts from its beginning."""
        floor = self._floor
        if state not in WAITING or turn is None:
            self._turn = None  # there is something to hear, or nothing to wait for
            floor.drop_timer("filler")
            return
        if floor.plan.filler == "none" or floor.line is None or turn is self._turn:
            return
        self._turn = turn
        floor.after("filler", floor.plan.filler_s, lambda: self._begin(turn))

    def _wanted(self, turn: Turn) -> bool:
        floor = self._floor
        waits = floor.turn is turn is self._turn and floor.state in WAITING
        return waits and turn.outcome is None and turn.structure is None and not self._mouth.sounded

    def _begin(self, turn: Turn) -> None:
        floor = self._floor
        if self._wanted(turn):
            floor.spawn(self._fill(turn), "filler")
            floor.after("filler", PAUSE * floor.plan.filler_s, lambda: self._begin(turn))

    async def _fill(self, turn: Turn) -> None:
        if await self._by_backend():
            return
        cues = self._floor.means.cues
        clip = cues.cue("filler") or cues.spoken("filler", self._floor.plan.language)
        if clip:
            self._floor.tell("filler.started", {"kind": "static_clip"})
            await self._play(turn, clip)

    async def _by_backend(self) -> bool:
        """Whether the backend makes one; its frames come among its replies."""
        floor = self._floor
        dialogue = floor.dialogue
        if floor.plan.filler != "backend_generated" or not floor.capabilities.fills or dialogue is None:
            return False
        try:
            async with floor.clock.deadline(floor.plan.filler_s):
                await dialogue.fill()
        except TimeoutError:
            error = VonadError("timeout", f"backend {floor.backend} made no filler in time", op=floor.backend)
            floor.tell_error(error, "backend")
            return False
        except VonadError as error:
            floor.tell_error(error, "backend")
            return False
        floor.tell("filler.started", {"kind": "backend_generated"})
        return True

    async def _play(self, turn: Turn, clip: Sequence[Frame]) -> None:
        clock = self._floor.clock
        begun, sent = clock.monotonic(), 0.0
        for frame in clip:
            early = sent - AHEAD_S - (clock.monotonic() - begun)
            if early > 0:
                await clock.sleep(early)
            utterance = self._mouth.speech(turn) if self._wanted(turn) else None
            if utterance is None:
                return
            await utterance.put(replace(frame, turn=turn.number, filler=True))
            sent += frame.seconds
