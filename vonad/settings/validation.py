"""What pydantic finds wrong, as sentences: the key, what it must be, what it is, or the nearest known name."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from vonad.settings.problem import suggestion

Location = tuple[str | int, ...]
"""Keys and list positions from the model validated to the value."""

_SECRET = re.compile(r"passw|passphrase|secret|token|credential|api_?key|\bkey\b", re.IGNORECASE)

_MUST_BE = {
    "string_type": "text, in quotes",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "list_type": "a list, in brackets",
    "tuple_type": "a list, in brackets",
    "path_type": "a path, in quotes",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
    "string_too_short": "at least {min_length} characters long",
    "string_too_long": "at most {max_length} characters long",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "literal_error": "{expected}",
    "enum": "{expected}",
}
_PATTERNS = {
    "[key]": "a name here is made of a-z, 0-9, _ and -, at most 64 of them",
    "language": "must be an ISO 639 code such as en or pt-BR",
    "prefix": "must be a topic: words with / between them, without + # $",
}
_NAME = "must be made of a-z, 0-9, _ and -, at most 64 of them"


def findings(
    model: type[BaseModel], values: Mapping[str, object], error: ValidationError
) -> Iterator[tuple[Location, str]]:
    """Where, and what, in these values. Those of secrets do not appear."""
    for detail in error.errors(include_url=False):
        place = _existing(values, detail["loc"])
        yield place, _sentence(model, place, detail)


def unknown_keys(model: type[BaseModel], values: Mapping[str, object]) -> Iterator[tuple[Location, str]]:
    """The keys of a table that a model which ignores such would drop without a word."""
    known = known_keys(model)
    for key, value in values.items():
        if key not in known:
            if model.model_config.get("extra") in {None, "ignore"}:
                yield (key,), _unknown(known, key, value)
        elif isinstance(value, Mapping) and (inner := _model_at(model, (key,))):
            for place, message in unknown_keys(inner, {str(name): item for name, item in value.items()}):
                yield (key, *place), message


def known_keys(model: type[BaseModel]) -> set[str]:
    """What may stand in the table of a model."""
    return {name for key, field in model.model_fields.items() for name in (key, field.alias) if name is not None}


def is_secret(model: type[BaseModel], place: Location) -> bool:
    """Whether the value there must never be shown: by its type, or for safety by its name."""
    if any(isinstance(part, str) and _SECRET.search(part) for part in place):
        return True
    names = [part for part in place if isinstance(part, str)]
    parent = _model_at(model, place[: place.index(names[-1])]) if names else None
    field = parent.model_fields.get(names[-1]) if parent else None
    return field is not None and any(
        isinstance(kind, type) and issubclass(kind, SecretStr | SecretBytes) for kind in _types(field.annotation)
    )


def _existing(values: object, location: Location) -> Location:
    """The location without what pydantic appends to it: `[key]`, and which member of a union it tried."""
    place: list[str | int] = []
    for part in location:
        if isinstance(values, Mapping) and part != "[key]":
            values = values.get(part)
        elif isinstance(values, Sequence) and not isinstance(values, str) and isinstance(part, int):
            values = values[part]
        else:
            break
        place.append(part)
    return tuple(place)


def _sentence(model: type[BaseModel], place: Location, detail: ErrorDetails) -> str:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "extra_forbidden":
        parent = _model_at(model, place[:-1])
        return _unknown(known_keys(parent) if parent else set(), str(place[-1]), value)
    if kind == "missing":
        return "is missing, and has no default"
    if kind == "string_pattern_mismatch":
        key = "[key]" if detail["loc"][-1:] == ("[key]",) else next((p for p in place[::-1] if isinstance(p, str)), "")
        return _not(_PATTERNS.get(key, _NAME), model, place, value)
    if kind in {"too_short", "too_long"}:
        return f"must have at {'least' if kind == 'too_short' else 'most'} {_length(context)}"
    if kind in _MUST_BE:
        limits = {name: _plain(limit) for name, limit in context.items()}
        return _not(f"must be {_MUST_BE[kind].format_map(limits)}", model, place, value)
    if kind in {"value_error", "assertion_error"} and "error" in context:
        return _without_secrets(model, place, value, str(context["error"]))
    return _without_secrets(model, place, value, detail["msg"][:1].lower() + detail["msg"][1:])


def _unknown(known: set[str], key: str, value: object) -> str:
    return f"unknown {'table' if isinstance(value, Mapping) else 'key'}; {suggestion(key, known)}"


def _length(context: Mapping[str, object]) -> str:
    count = context.get("min_length", context.get("max_length"))
    return "1 item" if count == 1 else f"{count} items"


def _plain(limit: object) -> object:
    """1 rather than 1.0."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _not(must: str, model: type[BaseModel], place: Location, value: object) -> str:
    if is_secret(model, place) or not isinstance(value, str | int | float):
        return must
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    return f"{must}, not {shown}" if len(shown) <= 80 else must


def _without_secrets(model: type[BaseModel], place: Location, value: object, message: str) -> str:
    """A validator's own words, unless they repeat what they should not."""
    if is_secret(model, place):
        return "is not acceptable"
    for hidden in _secrets(model, place, value):
        message = message.replace(hidden, "***")
    return message


def _secrets(model: type[BaseModel], place: Location, value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secrets(model, (*place, str(key)), item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _secrets(model, place, item)
    elif is_secret(model, place):
        yield value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _model_at(model: type[BaseModel], place: Location) -> type[BaseModel] | None:
    """The model of the table at a place."""
    kinds: list[object] = [model]
    for part in place:
        inner: list[object] = []
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                field = kind.model_fields.get(str(part))
                inner += _types(field.annotation) if field else []
            elif get_origin(kind) is not None:
                inner += _types(get_args(kind)[-1])  # the values of a dict, the items of a list
        kinds = inner
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _types(annotation: object) -> list[object]:
    """The members of a union, without their metadata."""
    if get_origin(annotation) is Annotated:
        return _types(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return [kind for member in get_args(annotation) for kind in _types(member)]
    return [annotation]
