"""The facade: what a plugin imports."""

import pytest

import vonad


def test_every_name_it_promises_is_there() -> None:
    for name in vonad.__all__:
        assert getattr(vonad, name) is not None
    assert sorted(dir(vonad)) == sorted(vonad.__all__)


def test_a_name_it_does_not_have_is_named() -> None:
    with pytest.raises(AttributeError, match="module 'vonad' has no attribute 'Sesion'"):
        vonad.Sesion  # noqa: B018


def test_a_name_is_looked_up_once() -> None:
    assert vonad.Frame is vonad.Frame
    assert "Frame" in vars(vonad)
