"""What a caller inside of the house brings along for one session: a say in its policy, and skills of its own."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from inspect import isroutine

from vonad.errors import VonadError
from vonad.host import Component, Host, NoSettings
from vonad.plugins import SessionHooks, skill_fault
from vonad.policy import Policy
from vonad.skill import AnySkill, Skill
from vonad.skills.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Brought:
    """Nothing, unless somebody brings it.

    hooks:  one object with methods under @hookimpl.
    skills: functions under @skill, or Skill objects that are open.
    """

    hooks: object | None = None
    skills: Sequence[object] = ()

    def __bool__(self) -> bool:
        return self.hooks is not None or bool(self.skills)

    def policy(self, house: Policy, session_id: str) -> Policy:
        """Its hooks are asked first. Raises plugin_error for what could never be asked."""
        if self.hooks is None:
            return house
        return house.after(SessionHooks(self.hooks, f"hooks of session {session_id}"))

    def catalogue(
        self, house: Catalogue, names: Collection[str] | None, session_id: str, host: Callable[[str], Host]
    ) -> Catalogue:
        """The house's skills of these names, as they are now, and its own. names: None: all.

        Raises skill_not_found, plugin_conflict naming both, plugin_error for what is no skill.
        """
        both = house.only([entry.skill.name for entry in house] if names is None else names)
        who = f"session {session_id}"
        for skill in self._skills(who, host):
            if other := house.find(skill.name):
                why = f"skill {skill.name!r} of {who} is already offered by {other.plugin}; give it another name"
                raise VonadError("plugin_conflict", why, op="skills")
            both.add(skill, who)
        return both

    def _skills(self, who: str, host: Callable[[str], Host]) -> Iterator[AnySkill]:
        for brought in self.skills:
            made = isinstance(brought, Skill)
            kind = type(brought) if made else brought
            if not (isinstance(kind, type) and issubclass(kind, Skill)):
                remedy = "decorate it with @skill(…)" if isroutine(brought) else "pass an object made from vonad.Skill"
                raise _fault(who, f"{brought!r:.80} is no skill: {remedy}")
            if fault := skill_fault(kind):
                raise _fault(who, f"skill {kind.__name__}: {fault}")
            if isinstance(brought, Skill):
                yield brought
            elif kind.__aenter__ is not Component.__aenter__ or kind.__init__ is not Component.__init__:
                raise _fault(
                    who, f"skill {kind.__name__}: pass an object of it that is open: whoever opens it closes it"
                )
            else:
                yield kind(NoSettings(), host(kind.name))


def _fault(who: str, why: str) -> VonadError:
    return VonadError("plugin_error", f"{who}: {why}", op="skills")
