"""transcribe and speak: the configured engines on real recordings, without a daemon."""

import pytest

from tests.cli_run import Cli, directories
from vonad import read_wav


@pytest.fixture
def cli(tmp_path, capsys, monkeypatch):
    directories(tmp_path, monkeypatch)
    return Cli(tmp_path, capsys)


def test_recordings_of_people_are_transcribed(cli, audio):
    ended = cli("transcribe", str(audio / "what_time_is_it.wav"))
    assert (ended.status, ended.out) == (0, "what time is it\n")


def test_what_is_not_understood_is_said_so_and_fails(cli, audio):
    ended = cli("transcribe", "--json", str(audio / "whats_the_date_today.wav"), str(audio / "this_is_a_test.wav"))
    assert ended.status == 1
    assert [(one["text"], one["engine"]) for one in ended.json] == [("what's the date today", "pocketsphinx"), ("", "")]


def test_a_text_is_spoken_into_a_file(cli):
    path = cli.directory / "spoken.wav"
    assert cli("speak", "dinner", "is", "ready", "-o", str(path)).out == f"written to {path}\n"
    sound = read_wav(path.read_bytes())
    assert 0.5 < sound.seconds < 3
    assert abs(sound.samples.astype(int)).max() > 1000


def test_what_cannot_be_read_or_written_is_told(cli, audio):
    assert "not a WAV file" in cli("transcribe", str(audio / "README.md")).err
    assert "cannot be read" in cli("transcribe", str(audio / "nothing.wav")).err
    assert "cannot be written" in cli("speak", "hello", "-o", "/nonexistent/x.wav").err


def test_without_an_engine_the_reason_is_told(cli, audio):
    path = cli.directory / "vonad.toml"
    path.write_text("[engines.pocketsphinx]\nenabled = false\n")
    ended = cli("transcribe", "--config", str(path), str(audio / "what_time_is_it.wav"))
    assert ended.status == 1
    assert "no engine for stt runs" in ended.err
