"""Structured turns: a reply that must be JSON is judged when it is complete, and asked for again if it does not fit."""

from collections.abc import Callable

from vonad.backend import ReplyDone, ReplyText
from vonad.engine import Output
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.output import LONGEST_REPLY, Fit, Misfit
from vonad.session.floor import Floor
from vonad.session.mouth import Mouth
from vonad.session.turn import Outcome, Structure, Turn

RETRIES = 2
"""How often a reply that does not fit is asked for again."""

REMEDY = "loosen the schema there, say in the text what is meant, or have a model answer that can follow it"


class Structured:
    """Nothing of such a turn is spoken, and nothing that does not fit comes out of it.

    again: told when a reply is asked for once more: the wait for it begins anew.
    """

    def __init__(self, floor: Floor, mouth: Mouth, apologise: Callable[[Turn, Outcome], None]) -> None:
        self.again: Callable[[], None] = lambda: None
        self._floor = floor
        self._mouth = mouth
        self._apologise = apologise

    async def ask(self, turn: Turn, structure: Structure, text: str) -> None:
        """Have this text, the user's, answered; whoever takes over asks again."""
        floor = self._floor
        if floor.dialogue is None:
            return
        if not floor.capabilities.structured_output:
            self.fail(turn, unsupported(floor.backend))
            return
        structure.pieces.clear()
        output = Output(schema=structure.schema.schema, before=structure.before, fault=structure.fault)
        await floor.dialogue.structure(text, output)

    async def take(self, turn: Turn, structure: Structure, item: Frame | ReplyText | ReplyDone) -> None:
        """A part of the reply. Sound is nobody's."""
        match item:
            case ReplyText(text=text):
                self._floor.mark(turn, "agent_first_token")
                if sum(map(len, structure.pieces)) <= LONGEST_REPLY:
                    structure.pieces.append(text)
            case ReplyDone():
                await self._done(turn, structure, item)

    def fail(self, turn: Turn, error: VonadError) -> None:
        """End the turn: there is no reply."""
        self._floor.tell_error(error, "output")
        self._apologise(turn, "failed")

    async def _done(self, turn: Turn, structure: Structure, item: ReplyDone) -> None:
        floor = self._floor
        turn.usage = item.usage
        if not item.understood and not structure.fault:
            self._apologise(turn, "not_understood")
            return
        floor.means.backends.succeeded(floor.backend)
        reply = "".join(structure.pieces).strip()
        judged = structure.schema.judge(reply)
        if isinstance(judged, Fit):
            structure.result = judged
            turn.generated = [reply]
            floor.tell("reply.complete", {"turn_id": turn.id, "text": turn.reply})
            await self._mouth.complete(turn)
        elif structure.retries < RETRIES:
            structure.retries += 1
            structure.before, structure.fault = reply, judged.fault
            floor.tell("retrying", {"name": floor.backend, "message": f"the reply does not fit: {_where(judged)}"})
            self.again()
            await self.ask(turn, structure, turn.said)
        else:
            self.fail(turn, _invalid(judged))


def unsupported(backend: str) -> VonadError:
    """What is told where a backend knows no schemas."""
    why = f"backend {backend} cannot answer in JSON that fits a schema: leave output_schema out, or choose another"
    return VonadError("capability_unsupported", why, op="output")


def _where(misfit: Misfit) -> str:
    """Without the reply's own words."""
    return f"{misfit.path}: wanted is {misfit.wanted}"


def _invalid(misfit: Misfit) -> VonadError:
    return VonadError(
        "structured_output_invalid",
        f"none of {1 + RETRIES} replies fits output_schema, the last one not at {_where(misfit)}; {REMEDY}",
        op="output",
        details={"path": misfit.path, "wanted": misfit.wanted, "attempts": 1 + RETRIES},
    )
