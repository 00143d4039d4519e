"""check and plugins: what is known without a daemon."""

import pytest

from tests.cli_run import Cli, directories


@pytest.fixture
def cli(tmp_path, capsys, monkeypatch):
    directories(tmp_path, monkeypatch)
    return Cli(tmp_path, capsys)


def test_a_good_configuration_is_said_to_be_good(cli):
    path = cli.directory / "vonad.toml"
    path.write_text('[transports.desk]\nkind = "wav"\n')
    ended = cli("check", "--config", str(path))
    assert ended.status == 0
    assert f"{path}: no problems" in ended.out
    assert "no problems" in cli("check").out


def test_all_problems_are_printed_with_their_lines_and_78(cli):
    path = cli.directory / "vonad.toml"
    path.write_text('[mqtt]\nprot = 1\n[web]\nport = "x"\n[transports.desk]\nkind = "wave"\n')
    ended = cli("check", "--config", str(path))
    assert ended.status == 78
    assert f"{path}:2: [mqtt] prot" in ended.out
    assert "port" in ended.out
    assert f"{path}:4: " in ended.out
    assert "[transports.desk] kind: no plugin offers a transport 'wave'; did you mean wav?" in ended.out
    assert ended.out.endswith("3 problems\n")
    path.write_text('[transports.desk]\nkind = "wave"\n')
    ended = cli("check", "--config", str(path))
    assert ended.status == 78
    assert "did you mean wav?" in ended.out
    assert ended.out.endswith("1 problem\n")


def test_a_file_that_is_not_there_is_a_problem(cli):
    ended = cli("check", "--config", str(cli.directory / "nowhere.toml"))
    assert ended.status == 78
    assert "nowhere.toml" in ended.out


def test_plugins_are_found_without_a_daemon_and_a_broken_one_says_why(cli):
    drop_ins = cli.directory / "plugins"
    drop_ins.mkdir()
    (drop_ins / "broken.py").write_text("import nothing_of_this_name\n")
    ended = cli("plugins", "--json")
    found = {one["name"]: one for one in ended.json}
    assert found["clock"]["origin"] == "bundled"
    assert found["clock"]["running"] is True
    assert found["broken"]["origin"] == "drop-in"
    assert found["broken"]["running"] is False
    assert "nothing_of_this_name" in found["broken"]["reason"]
    assert "not running: " in cli("plugins", "list").out


def test_a_bad_configuration_is_told_by_plugins_and_run_too(cli):
    path = cli.directory / "vonad.toml"
    path.write_text("[mqtt]\nprot = 1\n")
    for command in ("plugins", "run"):
        ended = cli(command, "--config", str(path))
        assert ended.status == 78
        assert f"{path}:2: [mqtt] prot" in ended.out + ended.err


def test_a_list_with_one_bad_name_keeps_nothing_else_from_being_checked(cli):
    path = cli.directory / "vonad.toml"
    path.write_text(
        '[session]\nbackends = [1]\n[policy]\nplugins = ["brige", "espeak"]\n'
        '[engines.espeak]\nvoise = "en"\n[satellites.Desk]\nlanguage = "en"\n'
    )
    ended = cli("check", "--config", str(path))
    told = ended.out.replace(f"{path}:", "").splitlines()
    assert told[0] == "2: [session] backends[0]: must be text, in quotes, not 1"
    assert told[1] == "4: [policy] plugins[0]: no plugin 'brige'; did you mean bridge?"
    assert told[2] == "6: [engines.espeak] voise: unknown key; did you mean voice?"
    assert told[3].startswith("7: [satellites.Desk]: a name here is made of a-z")
    assert told[4:] == ["4 problems"]


def test_a_house_that_could_not_hear_or_speak_is_no_good_configuration(cli):
    path = cli.directory / "vonad.toml"
    path.write_text(
        '[node]\nlanguage = "de"\n[wake]\nwords = ["okay_nabo"]\n[engines.espeak]\nvoice = "klingonn"\n'
        '[transports.desk]\nkind = "wav"\nmicrophone = ["nope.wav"]\n[satellites.desk]\nwake_words = ["alexa", "x"]\n'
    )
    ended = cli("check", "--config", str(path))
    assert ended.status == 78
    told = ended.out.replace(f"{path}:", "").splitlines()
    assert told[0] == "2: [node] language: no engine hears 'de': pocketsphinx cannot; name one that does"
    assert told[1] == "4: [wake] words[0]: microwakeword knows no wake word 'okay_nabo'; did you mean okay_nabu?"
    assert told[2].startswith("5: [engines.espeak]: espeak: there is no voice 'klingonn'; near are ")
    assert told[3].startswith("9: [transports.desk] microphone[0]: there is no file /")
    assert told[4].startswith("11: [satellites.desk] wake_words[1]: microwakeword knows no wake word 'x'; known here: ")
    assert told[5:] == ["5 problems"]


def test_a_satellite_s_language_is_held_against_the_engines_of_its_backends(cli):
    path = cli.directory / "vonad.toml"
    path.write_text('[satellites.desk]\nlanguage = "tt"\n[satellites.bath]\nlanguage = "xx"\n')
    told = cli("check", "--config", str(path)).out.replace(f"{path}:", "").splitlines()
    assert told == [
        "2: [satellites.desk] language: no engine hears 'tt': pocketsphinx cannot; name one that does",
        "4: [satellites.bath] language: no engine hears 'xx': pocketsphinx cannot; name one that does",
        "4: [satellites.bath] language: no engine speaks 'xx': espeak cannot; name one that does",
        "3 problems",
    ]
