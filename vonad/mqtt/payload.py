"""Payloads: bytes that anybody may have sent become text, an object, or a sentence about what is wrong. No I/O."""

import json
import math
from difflib import get_close_matches
from typing import Generic, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from vonad.errors import VonadError
from vonad.mqtt.message import PAYLOAD_LIMIT
from vonad.mqtt.topics import shown

DIGITS = 19
"""Of a whole number: more than 64 bits hold serves nobody, and costs quadratic time."""

SAYS = {
    "missing": "must be given",
    "bool_type": "true or false",
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "dict_type": "a JSON object",
    "string_unicode": "valid Unicode",
    "string_too_short": "at least 1 character",
    "string_too_long": "at most 128 characters",
}
"""What is allowed, where pydantic's own words are unclear: the words of HTTP."""

M = TypeVar("M", bound="Fields")


class Fields(BaseModel):
    """What an object may hold. Strict: nothing is converted, nothing unknown is ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Surface(Generic[M]):
    """One place where payloads come in. name: as in messages; fields: of the object form."""

    def __init__(self, name: str, fields: type[M]) -> None:
        self.name = name
        self._fields = fields

    def read(self, payload: bytes) -> M | str:
        """The object form, or the plain text form ("" when there is nothing). Raises malformed."""
        if len(payload) > PAYLOAD_LIMIT:
            raise self.malformed("too large", "payload", f"at most {PAYLOAD_LIMIT} bytes")
        try:
            text = payload.decode()
        except UnicodeDecodeError as error:
            raise self.malformed("not UTF-8", f"byte {error.start}", "UTF-8 text, or a JSON object") from None
        if "\0" in text:
            raise self.malformed("a NUL character", f"character {text.index(chr(0))}", "text without NUL")
        if not text.startswith("{"):
            return text.strip()
        return self._object(self._json(text))

    def malformed(self, what: str, where: str, allowed: str) -> VonadError:
        """`surface: what was wrong: where: what is allowed`"""
        op = self.name.lower().replace(" ", ".")
        return VonadError("malformed", f"{self.name}: {what}: {where}: {allowed}", op=op)

    def _json(self, text: str) -> dict[str, object]:
        try:
            value: dict[str, object] = json.loads(
                text,
                object_pairs_hook=self._without_duplicates,
                parse_constant=self._no_constant,
                parse_int=self._whole,
                parse_float=self._finite,
            )
        except json.JSONDecodeError as error:
            place = f"line {error.lineno} column {error.colno}"
            raise self.malformed(f"not valid JSON ({error.msg})", place, "a JSON object, or plain text") from None
        except RecursionError:
            raise self.malformed("nested too deeply", "payload", "a flat JSON object") from None
        return value

    def _object(self, value: dict[str, object]) -> M:
        try:
            return self._fields.model_validate(value)
        except ValidationError as error:
            raise self._wrong(error.errors(include_url=False, include_input=False)[0]) from None

    def _wrong(self, detail: ErrorDetails) -> VonadError:
        key = shown(str(detail["loc"][0])) if detail["loc"] else "payload"
        name = str(detail["loc"][0]) if detail["loc"] else ""
        if detail["type"] != "extra_forbidden":
            said = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            return self.malformed("wrong value", key, SAYS.get(detail["type"], said))
        known = list(self._fields.model_fields)
        near = get_close_matches(name, known, n=1)
        allowed = f"{', '.join(known)} are known" if known else "an empty object"
        return self.malformed("unknown key", key, f"{allowed}; did you mean {near[0]}?" if near else allowed)

    def _without_duplicates(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        value = dict(pairs)
        if len(value) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise self.malformed("a key twice", shown(twice), "each key once")
        return value

    def _no_constant(self, name: str) -> NoReturn:
        raise self.malformed("not a JSON number", name, "finite numbers")

    def _whole(self, digits: str) -> int:
        if len(digits) > DIGITS:
            raise self.malformed("a huge number", f"{digits[:8]}… ({len(digits)} digits)", f"at most {DIGITS} digits")
        return int(digits)

    def _finite(self, digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            raise self.malformed("not a finite number", shown(digits), "finite numbers")
        return value
