"""Where the values of a configuration came from: the file and its lines, or a variable of the environment."""

from dataclasses import dataclass

from vonad.settings.config_file import ConfigFile
from vonad.settings.environment import Variable
from vonad.settings.problem import ENVIRONMENT, Problem, where
from vonad.settings.toml_lines import Place
from vonad.settings.validation import Location


@dataclass(frozen=True, slots=True)
class Sources:
    """The owner's file, if there is one, and the variables that are settings; whatever is in neither is a default."""

    file: ConfigFile | None = None
    variables: tuple[Variable, ...] = ()

    def given(self, place: Location) -> bool:
        """Whether the owner wrote this table or key."""
        names = _names(place)
        return self._in_file(names) or self.variable(place) is not None

    def exposed(self, place: Location) -> Problem | None:
        """The problem of a secret that stands in a file which every user of the machine can read."""
        names = _names(place)
        if self.file is None or not self.file.open_to_others or names not in self.file.lines:
            return None
        mend = f"every user of this machine can read it here: chmod 600 {self.file.path}"
        return Problem(str(self.file.path), self.file.lines[names], where(place), mend)

    def problem(self, place: Location, message: str) -> Problem:
        """A problem with the value at a place, put where its owner will find it."""
        if variable := self.variable(place):
            return Problem(ENVIRONMENT, None, variable.name, message)
        names = _names(place)
        lines = self.file.lines if self.file else {}
        above = [names[:depth] for depth in range(len(names), 0, -1) if names[:depth] in lines]
        if self.file and (above or not any(variable.place[:2] == names[:2] for variable in self.variables)):
            return Problem(str(self.file.path), lines[above[0]] if above else None, where(place), message)
        return Problem(ENVIRONMENT if self.variables else "defaults", None, where(place), message)

    def variable(self, place: Location) -> Variable | None:
        """The variable that set it: exactly, or the table it is in, or, where the file says nothing, a part of it."""
        names = _names(place)
        exact = [variable for variable in self.variables if variable.place == names[: len(variable.place)]]
        if exact:
            return max(exact, key=lambda variable: len(variable.place))
        if self._in_file(names):
            return None
        return next((variable for variable in self.variables if variable.place[: len(names)] == names), None)

    def _in_file(self, names: Place) -> bool:
        return self.file is not None and names in self.file.lines


def _names(place: Location) -> Place:
    """Without positions in lists: lines are known of keys."""
    names: list[str] = []
    for part in place:
        if isinstance(part, int):
            break
        names.append(part)
    return tuple(names)
