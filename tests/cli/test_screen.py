import pytest

from allcores.cli import screen


def test_steps_are_plain_lines_where_nobody_watches(capsys):
    with screen.open_screen() as opened:
        opened.step("first")
        opened.say("done")
    assert capsys.readouterr().out == "  first ...\ndone\n"


def test_a_terminal_with_rich_gets_a_moving_line(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert isinstance(screen.open_screen(), screen.RichScreen)


def test_a_moving_line_leaves_what_was_said(capsys):
    console = pytest.importorskip("rich.console").Console(force_terminal=True, width=60)
    with screen.RichScreen(console) as opened:
        opened.step("first")
        opened.say("[brackets] stay")
    assert "[brackets] stay" in capsys.readouterr().out


def test_columns_of_a_table_are_aligned():
    lines = screen.table(["job", "time"], [["a", "1.00 s"], ["longer", "3 ms"]])
    assert lines == ["job       time", "------  ------", "a       1.00 s", "longer    3 ms"]


@pytest.mark.parametrize(
    ("value", "text"), [(119.6, "120 s"), (1.0, "1 s"), (0.9994, "999 ms"), (2e-6, "2 µs"), (0.0, "0 µs")]
)
def test_durations_have_three_digits(value, text):
    assert screen.seconds(value) == text
