"""The promises of Skill."""

import asyncio
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import get_args

from pydantic import BaseModel, ValidationError

from vonad.errors import VonadError
from vonad.sentences import SkillSentences, sentences_of
from vonad.skill import AnySkill, Call, Risk, Skill, SkillResult
from vonad.testing.checks.promise import nothing_left, promise, soon
from vonad.testing.templates import Said, TemplateError, said

LONGEST_SPEECH = 20_000
"""Characters; what is longer is a defect, not an answer."""


async def check_skill(skill: AnySkill, *, language: str = "en", also: Sequence[Mapping[str, object]] = ()) -> None:
    """An open skill. Everything its sentences can ask of it is asked; also: further arguments that it takes.

    It may well answer that it cannot: what it raises fails one call. It is run for real, so give it a host and
    settings with which it does no harm.
    """
    promise(isinstance(skill, Skill), f"it is a Skill: got {type(skill).__name__}")
    who = f"skill {skill.name}"
    _check_declarations(skill, who)
    asked = [Said("", arguments) for arguments in also]
    asked += _sentences(skill, who)
    for request in asked:
        arguments = _arguments(skill, request, who)
        await _check_run(skill, arguments, _call(skill, request.text, language), who)
    if asked:
        arguments, call = _arguments(skill, asked[0], who), _call(skill, asked[0].text, language)
        async with nothing_left(f"{who} that was cancelled"):
            running = asyncio.ensure_future(skill.run(arguments, call))
            await asyncio.sleep(0)
            running.cancel()
            await soon(asyncio.wait({running}), f"{who} ends when it is cancelled")
            running.cancelled() or running.exception()  # taken note of: it may have failed
        await asyncio.gather(*(_check_run(skill, arguments, call, who) for _ in range(2)))


def _check_declarations(skill: AnySkill, who: str) -> None:
    promise(inspect.iscoroutinefunction(skill.run), f"{who}: run is an `async def`")
    promise(isinstance(skill.description, str) and bool(skill.description), f"{who} has a description")
    promise(skill.risk in get_args(Risk), f"{who}: risk is one of {', '.join(get_args(Risk))}: got {skill.risk!r}")
    promise(0 < skill.timeout_s <= 300, f"{who}: timeout_s is in seconds, above 0: got {skill.timeout_s!r}")
    schema = skill.Args
    promise(
        isinstance(schema, type) and issubclass(schema, BaseModel), f"{who}: Args is a pydantic model: got {schema!r}"
    )
    promise(
        schema.model_config.get("extra") == "forbid",
        f'{who}: Args refuses keys it does not have: model_config = ConfigDict(extra="forbid")',
    )
    try:
        json.dumps(schema.model_json_schema())
    except Exception as error:
        raise AssertionError(f"{who}: Args has a JSON schema, for a model to read: {error}") from error
    for name, field in schema.model_fields.items():
        promise(bool(field.description), f"{who}: Args.{name} has a description, for a model to read")


def _sentences(skill: AnySkill, who: str) -> list[Said]:
    try:
        known: SkillSentences = sentences_of(skill.name, skill.sentences, skill.lists)
        found = list(said(known))
    except (VonadError, TemplateError) as error:
        raise AssertionError(f"{who}: its sentences can be read: {error}") from error
    for one in found:
        promise(bool(one.text), f"{who}: a sentence has words: one of {list(skill.sentences)} can be empty")
    return list({(one.text, str(one.arguments)): one for one in found}.values())


def _arguments(skill: AnySkill, request: Said, who: str) -> BaseModel:
    try:
        skill.Args.model_validate({**request.arguments, "no_such_key": 1})
    except ValidationError:
        pass
    else:
        raise AssertionError(f"{who}: Args refuses keys it does not have: it took no_such_key")
    try:
        return skill.Args.model_validate(dict(request.arguments))
    except ValidationError as error:
        raise AssertionError(
            f"{who}: Args takes what its sentences supply: {request.text!r} gives {dict(request.arguments)}: {error}"
        ) from error


async def _check_run(skill: AnySkill, arguments: BaseModel, call: Call, who: str) -> None:
    what = f"{who} asked {call.text!r}"
    async with nothing_left(what):
        try:
            async with asyncio.timeout(skill.timeout_s):
                result: object = await skill.run(arguments, call)
        except TimeoutError:
            raise AssertionError(
                f"{what} answers within its timeout_s: it has not after {skill.timeout_s:g} s"
            ) from None
        except Exception:  # it may: that fails one call
            return
        except BaseException as error:
            raise AssertionError(f"{what} ends its own call, not the process: got {type(error).__name__}") from error
    promise(isinstance(result, str | SkillResult), f"{what} returns str or SkillResult: got {type(result).__name__}")
    speech = result.speech if isinstance(result, SkillResult) else result
    promise(isinstance(speech, str), f"{what} says words: got {speech!r}")
    promise(len(str(speech)) <= LONGEST_SPEECH, f"{what} says at most {LONGEST_SPEECH} characters")
    if isinstance(result, SkillResult) and result.payload is not None:
        try:
            json.dumps(dict(result.payload))
        except (TypeError, ValueError) as error:
            raise AssertionError(f"{what}: its payload is JSON, for a model to read: {error}") from error


def _call(skill: AnySkill, text: str, language: str) -> Call:
    return Call(
        id="call-1",
        text=text,
        satellite="desk",
        session_id="session-1",
        language=language,
        previous_reply="",
        host=skill.host,
    )
