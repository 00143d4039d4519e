"""Structured output: the JSON Schema that a reply must fit, and what is wrong with one that does not."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import NoReturn

from jsonschema import Draft7Validator, Draft201909Validator, Draft202012Validator, SchemaError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from vonad.errors import VonadError

LONGEST_SCHEMA = 16 << 10
"""Bytes of a schema as JSON: a model has to read it."""

LONGEST_REPLY = 64 << 10
"""Characters of a reply that is judged."""

STEPS = 10_000
"""References that judging one reply may follow: a few that name each other could otherwise take for ever."""

LONGEST_VALUE = 200
"""Characters of a value, or of what was wanted, in a message."""

DRAFTS = {
    str(draft.META_SCHEMA["$id"]).rstrip("#"): draft
    for draft in (Draft202012Validator, Draft201909Validator, Draft7Validator)
}
DEFAULT = next(iter(DRAFTS))

Keyword = Callable[..., Iterable[object] | None]
"""What jsonschema has for a keyword: of (validator, the keyword's value, instance, schema) it yields what is wrong."""

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
VALUES = frozenset({"const", "enum", "default", "examples"})
"""Keywords that hold values, in which nothing is a schema."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A reply that fits. value: what it says."""

    value: object


@dataclass(frozen=True, slots=True)
class Misfit:
    """What is wrong with a reply.

    path:   where in it: "$.rooms[0].name".
    wanted: what the schema wants there.
    value:  what is there, shortened: the reply's own words.
    """

    path: str
    wanted: str
    value: str

    @property
    def fault(self) -> str:
        """A sentence for whoever made the reply."""
        return f"{self.path}: {self.value} does not fit, wanted is {self.wanted}"


class _Endless(Exception):  # noqa: N818  (a misfit, not an error)
    """Judging took too many steps."""


class OutputSchema:
    """A JSON Schema: an object, at most 16 KiB, whose references stay within it. Draft 2020-12 unless it says another.

    schema: as it was given, copied.

    Raises malformed for any other, naming the path.
    """

    def __init__(self, schema: object) -> None:
        self.schema = _plain(schema)
        named = self.schema.get("$schema", DEFAULT)
        draft = DRAFTS.get(named.rstrip("#")) if isinstance(named, str) else None
        if draft is None:
            raise _malformed(
                "$.$schema", f"{named!r:.80} is no known draft: leave it out, or one of {', '.join(DRAFTS)}"
            )
        self._steps = 0
        try:
            draft.check_schema(self.schema)
            self._check_references()
            counted = {name: self._counted(draft.VALIDATORS[name]) for name in REFERENCES if name in draft.VALIDATORS}
            self._validator = extend(draft, counted)(
                self.schema, registry=Registry(), format_checker=draft.FORMAT_CHECKER
            )
            self._first(None)
        except SchemaError as error:
            raise _malformed(path_of(error.absolute_path), f"{error.message:.{LONGEST_VALUE}}") from None
        except (_Endless, RecursionError):
            raise _malformed("$", "it is nested too deeply, or refers to itself without end") from None

    def judge(self, reply: str) -> Fit | Misfit:
        """Whether a whole reply is JSON that fits."""
        if len(reply) > LONGEST_REPLY:
            return Misfit("$", f"at most {LONGEST_REPLY} characters", f"a reply of {len(reply)}")
        try:
            value: object = json.loads(reply, parse_constant=_no_constant, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            wanted = f"JSON that fits the schema, and nothing around it ({error!s:.80})"
            return Misfit("$", wanted, _shown(reply) if reply.strip() else "an empty reply")
        try:
            return self._first(value) or Fit(value)
        except (_Endless, RecursionError, ArithmeticError) as error:
            return Misfit("$", "something simpler to judge", f"a reply that ended in {type(error).__name__.strip('_')}")

    def _first(self, value: object) -> Misfit | None:
        """The misfit that explains most."""
        self._steps = 0
        error = best_match(self._validator.iter_errors(value))
        if error is None:
            return None
        wanted = json.dumps({error.validator: error.validator_value}, ensure_ascii=False, default=str)[1:-1]
        return Misfit(path_of(error.absolute_path), f"{wanted:.{LONGEST_VALUE}}", _shown(error.instance))

    def _counted(self, keyword: Keyword) -> Keyword:
        def follow(*about: object) -> Iterable[object]:
            self._steps += 1
            if self._steps > STEPS:
                raise _Endless
            yield from keyword(*about) or ()

        return follow

    def _check_references(self) -> None:
        resolver = Registry().resolver_with_root(DRAFT202012.create_resource(self.schema))
        for path, table in _schemas(self.schema, ()):
            if path and isinstance(table.get("$id", table.get("id")), str):
                raise _malformed(path_of(path), "only the whole schema may have an $id")
            for keyword in REFERENCES:
                reference = table.get(keyword)
                if not isinstance(reference, str):
                    continue
                where = path_of((*path, keyword))
                if not reference.startswith("#"):
                    why = f"{reference!r:.80} is not within the schema: nothing is fetched; put it under $defs"
                    raise _malformed(where, why)
                try:
                    resolver.lookup(reference)
                except Unresolvable:
                    raise _malformed(where, f"{reference!r:.80} is not there") from None


def path_of(steps: Iterable[object]) -> str:
    """Where in a JSON value: "$.rooms[0].name"."""
    path = "$"
    for step in steps:
        plain = isinstance(step, str) and step.replace("$", "").replace("-", "_").isidentifier()
        path += f".{step}" if plain else f"[{json.dumps(step, ensure_ascii=False)}]"
    return path


def _plain(schema: object) -> dict[str, object]:
    """A copy that is JSON and nothing else."""
    if not isinstance(schema, Mapping):
        raise _malformed("$", f"it must be an object, as {{'type': 'object', …}}: got {schema!r:.80}")
    try:
        text = json.dumps(dict(schema), allow_nan=False)
        size = len(text.encode())
        copy: object = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise _malformed("$", f"{error}: only what JSON can hold") from None
    if size > LONGEST_SCHEMA or not isinstance(copy, dict):
        raise _malformed("$", f"{size} bytes of JSON: at most {LONGEST_SCHEMA}")
    return copy


def _schemas(node: object, path: tuple[object, ...]) -> Iterator[tuple[tuple[object, ...], dict[str, object]]]:
    """Every object in a schema that may be one itself, with its path."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            if key not in VALUES or (path and path[-1] in {"properties", "patternProperties", "$defs", "definitions"}):
                yield from _schemas(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _schemas(value, (*path, index))


def _shown(value: object) -> str:
    return f"{json.dumps(value, ensure_ascii=False, default=str):.{LONGEST_VALUE}}"


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _no_constant(f"{text:.20}")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _malformed(path: str, why: str) -> VonadError:
    return VonadError("malformed", f"output_schema: {path}: {why}", op="output_schema", details={"path": path})
