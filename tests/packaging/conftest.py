"""A wheel built from this checkout, and a fresh environment that has nothing of the zoo but it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def python(*arguments: str | Path, cwd: Path | None = None) -> None:
    """Run this interpreter; on failure show all that it said."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def build(source: Path, destination: Path, what: str) -> Path:
    python("-m", "build", f"--{what}", "--no-isolation", "--outdir", destination, source, cwd=destination)
    (built,) = (
        path for path in destination.iterdir() if path.suffix == {"wheel": ".whl", "sdist": ".gz"}[what]
    )
    return built


@pytest.fixture(scope="package")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"), "wheel")


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel, where any use of the network fails."""

    folder: Path
    site: Path

    def run(self, *command: str, cwd: Path, home: Path) -> subprocess.CompletedProcess[str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "HF_", "ZOO_"))
        }
        program = self.folder / "bin" / command[0]
        return subprocess.run(
            [program, *command[1:]],
            cwd=cwd,
            env=kept | {"HOME": str(home), "ZOO_HOME": str(home / "zoo")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


NO_NETWORK = '''
"""Makes every attempt to reach another machine fail, and leave a trace."""
import pathlib, socket, sys

def refuse(*arguments, **named):
    pathlib.Path(__file__).with_suffix(".attempts").write_text(repr(arguments))
    raise RuntimeError(f"the network was used: {arguments}")

socket.getaddrinfo = socket.create_connection = socket.gethostbyname = refuse
socket.socket.connect = socket.socket.connect_ex = refuse
'''


@pytest.fixture(scope="package")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "installed_base": str(folder)}))
    pip = ("-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet", "--no-index")
    python(*pip, "--no-deps", wheel)
    # The libraries come from the environment of the tests. Path files in it, like that of an editable
    # install, are not followed from here.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    (site / "no_network.py").write_text(NO_NETWORK, encoding="utf-8")
    (site / "no_network.pth").write_text("import no_network\n", encoding="utf-8")
    yield Installed(folder, site)
    assert not (site / "no_network.attempts").exists(), (site / "no_network.attempts").read_text()
