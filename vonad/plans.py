"""Plans: what a session will be, by the wake first, then its satellite's table, then the defaults."""

from collections.abc import Mapping
from dataclasses import replace

from vonad.errors import VonadError
from vonad.interjections import BACK_CHANNELS, STOP_WORDS, in_language
from vonad.plan import (
    AS_SET,
    PATIENCE,
    REFUSALS,
    BargeIn,
    Budget,
    Endpointing,
    Overrides,
    Plan,
    Purpose,
    Refusal,
    Style,
    Wake,
)
from vonad.settings import Settings
from vonad.settings.tables import Satellite, SessionDefaults

FULL = frozenset({"session_limit", "overload"})
"""Errors of a session that does not open because there are too many."""


def own_settings(settings: Settings, satellite: str | None) -> Satellite:
    """The satellite's table; an empty one where it has none."""
    return settings.satellites.get(satellite or "", Satellite())


def plan_wake(settings: Settings, wake: Wake) -> Plan:
    """What a wake becomes."""
    return plan_session(
        settings,
        wake.satellite,
        purpose="listen" if wake.text is None else "text",
        text=wake.text,
        overrides=Overrides(backend=wake.backend, follow_up=wake.follow_up),
    )


def vetted(wake: Wake, planned: Plan | Refusal) -> Plan | Refusal:
    """What a policy made of a wake, held to what it may decide: not for which satellite, and no reason of its own."""
    if isinstance(planned, Plan):
        return replace(planned, satellite=wake.satellite)
    known = planned.reason in REFUSALS
    return planned if known else Refusal("hook_denied", f"{planned.reason}: {planned.detail}".removesuffix(": "))


def unopened(error: VonadError) -> Refusal:
    """Why a wake opens no session. What has no reason of its own comes of a plan that a plugin made."""
    if error.code in FULL:
        return Refusal("overload", error.message)
    return Refusal("backend_unavailable" if error.code == "backend_unavailable" else "hook_denied", error.message)


def plan_session(
    settings: Settings,
    satellite: str | None,
    *,
    purpose: Purpose,
    text: str | None = None,
    overrides: Overrides = AS_SET,
) -> Plan:
    """What a session for this purpose becomes. Raises malformed for a wish that there is no such thing for."""
    own, defaults = own_settings(settings, satellite), settings.session
    _check(overrides)
    wanted = overrides.greeting if overrides.greeting is not None else own.greeting
    greeting = defaults.greeting if wanted is None else wanted
    barge_in = defaults.barge_in if own.barge_in is None else own.barge_in
    language = own.language or settings.node.language
    follow_up = overrides.follow_up
    habit = own.follow_up or defaults.follow_up
    return Plan(
        satellite=satellite,
        backends=(overrides.backend,) if overrides.backend else tuple(own.backends or defaults.backends),
        language=language,
        purpose=purpose,
        text=text,
        follow_up=habit if follow_up is None else "always" if follow_up else "never",
        endpointing=_endpointing(defaults, own, overrides.endpointing),
        barge_in=BargeIn(
            enabled=barge_in if overrides.barge_in is None else overrides.barge_in,
            words=defaults.barge_in_words,
            speech_s=defaults.barge_in_speech_s,
            need=defaults.barge_in_need,
            stop_words=_said(defaults.barge_in_stop_words, STOP_WORDS, language),
            back_channels=_said(defaults.barge_in_back_channels, BACK_CHANNELS, language),
            resume_s=defaults.barge_in_resume_s,
            margin_db=defaults.barge_in_margin_db,
        ),
        budget=overrides.budget or _budget(defaults, own),
        preemptive=defaults.preemptive,
        filler=defaults.filler,
        filler_s=defaults.filler_s,
        greeting=greeting or None,
        metadata=overrides.metadata,
        greeting_prompt=defaults.greeting_prompt if wanted is None else None,
        skills=_skills(own) if overrides.skills is None else overrides.skills,
        style=overrides.style or (Style() if own.style is None else Style(**own.style.model_dump(exclude_none=True))),
    )


def _said(own: list[str] | None, known: Mapping[str, tuple[str, ...]], language: str) -> tuple[str, ...]:
    return tuple(own) if own is not None else in_language(known, language)


def _check(overrides: Overrides) -> None:
    """What is wanted must exist. Raises malformed."""
    patience = overrides.endpointing
    if patience is not None and patience not in PATIENCE:
        raise VonadError("malformed", f"endpointing {patience!r:.40}: it is one of {', '.join(PATIENCE)}", op="session")


def _budget(defaults: SessionDefaults, own: Satellite) -> Budget:
    calls = defaults.turn_skill_calls if own.turn_skill_calls is None else own.turn_skill_calls
    return Budget(
        tokens=own.turn_tokens or defaults.turn_tokens, seconds=own.turn_s or defaults.turn_s, skill_calls=calls
    )


def _skills(own: Satellite) -> tuple[str, ...] | None:
    return None if own.skills is None else tuple(own.skills)


def _endpointing(defaults: SessionDefaults, own: Satellite, wanted: str | None) -> Endpointing:
    """A preset, with what was set instead of it; no pause of a sentence's middle is shorter than one behind it."""
    preset = PATIENCE[wanted or own.endpointing or defaults.endpointing]
    general = None if own.endpointing else defaults.silence_s  # a satellite's preset is closer to it than a default
    silence_s = preset.silence_s if wanted else own.silence_s or general or preset.silence_s
    return Endpointing(
        complete_s=min(preset.complete_s, silence_s),
        silence_s=silence_s,
        partial_s=max(preset.partial_s, silence_s),
        no_speech_s=defaults.no_speech_s,
        maximum_s=defaults.maximum_s,
    )
