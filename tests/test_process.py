"""The process: its signals, its lock, its exit status, and what it tells the service manager."""

import signal
import sqlite3
from pathlib import Path

import pytest

from tests.daemon_process import daemon_process


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short: a Unix socket's path has 107 bytes."""
    return tmp_path_factory.mktemp("d")


async def test_a_daemon_says_that_it_is_ready_answers_and_stops_cleanly(folder: Path) -> None:
    async with daemon_process(folder) as daemon:
        await daemon.until_told("READY=1")
        status, output = await daemon.cli("ask", "what time is it")
        assert (status, output[:6]) == (0, "It is ")
        daemon.signal(signal.SIGTERM)
        await daemon.until_told("STOPPING=1")
        assert await daemon.ended() == 0
    assert "Traceback" not in daemon.log()
    assert not (folder / "vonad.sock").exists()


async def test_ctrl_c_is_a_clean_stop_too(folder: Path) -> None:
    async with daemon_process(folder) as daemon:
        await daemon.until_told("READY=1")
        daemon.signal(signal.SIGINT)
        assert await daemon.ended() == 0
    assert "Traceback" not in daemon.log()


async def test_a_second_instance_exits_75_and_names_the_first(folder: Path) -> None:
    async with daemon_process(folder) as first:
        await first.until_told("READY=1")
        status, output = await first.cli("run")
        assert status == 75
        assert f"already running (pid {first.process.pid})" in output


async def test_a_second_daemon_below_the_same_topics_exits_75(tmp_path_factory: pytest.TempPathFactory) -> None:
    one, other = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
    async with daemon_process(one) as first:
        await first.until_told("READY=1")
        await first.until_logged("connected to")
        port = (one / "embedded_broker_port").read_text()
        async with daemon_process(other, mqtt=f"host = '127.0.0.1'\nport = {port}") as second:
            assert await second.ended() == 75
        assert "already lives below vonad/home" in second.log()
        assert "Traceback" not in second.log()


async def test_the_lock_of_a_killed_daemon_keeps_nobody_out(folder: Path) -> None:
    async with daemon_process(folder) as first:
        await first.until_told("READY=1")
        first.signal(signal.SIGKILL)
        await first.ended()
    async with daemon_process(folder) as second:
        await second.until_told("READY=1")


async def test_a_bad_configuration_exits_78_with_every_problem(folder: Path) -> None:
    async with daemon_process(
        folder, "[sesion]\nx = 1\n[wake]\nwords = 3\n[transports.desk]\nkind = 'waw'\n"
    ) as daemon:
        assert await daemon.ended() == 78
    assert "did you mean session?" in daemon.log()
    assert "[wake] words" in daemon.log()


async def test_component_settings_that_a_plugin_refuses_exit_78(folder: Path) -> None:
    async with daemon_process(folder, "[transports.desk]\nkind = 'wav'\nmicrofone = []\n") as daemon:
        assert await daemon.ended() == 78
    assert "did you mean microphone?" in daemon.log()
    assert "Traceback" not in daemon.log()


async def test_sighup_takes_up_a_changed_file(folder: Path) -> None:
    async with daemon_process(folder) as daemon:
        await daemon.until_told("READY=1")
        path = folder / "vonad.toml"
        path.write_text(path.read_text() + "\n[transports.attic]\nkind = 'wav'\n[skills.clock]\nenabled = false\n")
        daemon.signal(signal.SIGHUP)
        await daemon.until_logged("reloaded: ")
        await daemon.until_logged("satellite attic is online")
        _, skills = await daemon.cli("skills")
        assert "clock" not in skills


async def test_a_reload_with_a_bad_file_changes_nothing_and_says_why(folder: Path) -> None:
    async with daemon_process(folder) as daemon:
        await daemon.until_told("READY=1")
        path = folder / "vonad.toml"
        good = path.read_text()
        path.write_text(good + "\n[transports.attic]\nkind = 'wav'\nmicrofone = []\n")
        daemon.signal(signal.SIGHUP)
        await daemon.until_logged("not reloaded, everything stays as it was")
        status, _ = await daemon.cli("ask", "what time is it")
        assert status == 0
        path.write_text(good + "\n[transports.attic]\nkind = 'wav'\n")
        daemon.signal(signal.SIGHUP)
        await daemon.until_logged("satellite attic is online")


async def test_a_skill_that_is_dropped_in_answers_after_a_reload(folder: Path) -> None:
    async with daemon_process(folder) as daemon:
        await daemon.until_told("READY=1")
        (folder / "plugins").mkdir(mode=0o755)
        plugin = folder / "plugins" / "greeter.py"
        plugin.write_text(
            "from vonad import Registrar, hookimpl, skill\n\n\n"
            "@skill('good morning')\nasync def greet(args, call):\n    '''Greets.'''\n    return 'Good morning.'\n\n\n"
            "@hookimpl\ndef register_skills(registrar: Registrar) -> None:\n    registrar.add(greet)\n"
        )
        plugin.chmod(0o644)
        path = folder / "vonad.toml"
        path.write_text(path.read_text() + "\n[skills.greet]\n")
        daemon.signal(signal.SIGHUP)
        await daemon.until_logged("reloaded: ")
        assert await daemon.cli("ask", "good morning") == (0, "Good morning.\n")


async def test_the_watchdog_is_pinged_by_the_loop(folder: Path) -> None:
    async with daemon_process(folder, WATCHDOG_USEC="200000") as daemon:
        await daemon.until_told("WATCHDOG=1")
        await daemon.until_told("READY=1")


async def test_what_is_kept_is_kept_from_others(folder: Path) -> None:
    async with daemon_process(folder) as daemon:
        await daemon.until_told("READY=1")
        for name in ("vonad.db", "vonad.lock", "node.json"):
            assert (folder / name).stat().st_mode & 0o077 == 0, name
        assert (folder / "vonad.sock").stat().st_mode & 0o007 == 0


async def test_kill_minus_nine_leaves_no_phantom_turn(folder: Path) -> None:
    config = "[transports.desk]\nkind = 'wav'\nmicrophone = []\nrealtime = true\n"
    async with daemon_process(folder, config) as daemon:
        await daemon.until_logged("satellite desk is online")
        await daemon.until_told("READY=1")
        await daemon.cli("listen", "--satellite", "desk")
        daemon.signal(signal.SIGKILL)
        await daemon.ended()
    async with daemon_process(folder, config) as daemon:
        await daemon.until_told("READY=1")
    database = sqlite3.connect(folder / "vonad.db")
    assert database.execute("SELECT count(*) FROM turns WHERE outcome IS NULL").fetchone() == (0,)
    assert database.execute("SELECT outcome FROM turns").fetchall() == [("interrupted",)]
    database.close()
