"""Runs `vonad demo` and puts what it prints into README.md: `python -m tools.transcript`."""

import os
import subprocess
import sys
import tempfile

from tools.documents import ROOT, replaced

README = ROOT / "README.md"


def transcript() -> str:
    """What a newcomer sees. Raises SystemExit with all of it when something did not happen."""
    env = {name: value for name, value in os.environ.items() if name not in {"FORCE_COLOR", "PYTHONDONTWRITEBYTECODE"}}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "vonad", "demo"]
        demo = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if demo.returncode:
        raise SystemExit(demo.stdout + demo.stderr)
    return demo.stdout.strip()


if __name__ == "__main__":
    lines = f"```\n$ vonad demo\n\n{transcript()}\n```"
    README.write_text(replaced(README.read_text(), "demo", lines))
