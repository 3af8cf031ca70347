import subprocess
import sys

import pytest

import allcores
from allcores import cli


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"allcores {allcores.__version__}\n"


def test_the_package_runs_as_a_command():
    done = subprocess.run(
        [sys.executable, "-m", "allcores", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("allcores ")


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["demo", "--rounds", "0"], ["demo", "--rounds", "many"]]
)
def test_what_makes_no_sense_is_refused_with_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: allcores" in capsys.readouterr().err


def test_an_interrupted_command_ends_like_any_other(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("allcores.cli.doctor.run", interrupted)
    assert cli.main(["doctor"]) == 130
