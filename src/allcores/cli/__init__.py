"""The command ``allcores``: ``allcores demo`` shows what it gains here, ``allcores doctor`` what it sees."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    import argparse

    import allcores

    parser = argparse.ArgumentParser(
        prog="allcores", description="Runs the loop you already have on every core."
    )
    parser.add_argument("--version", action="version", version=f"allcores {allcores.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    demo = commands.add_parser(
        "demo", help="real jobs, as a loop and with allcores: what is gained on this machine"
    )
    demo.add_argument(
        "--quick", action="store_true", help="smaller inputs and one round: seconds instead of minutes"
    )
    demo.add_argument(
        "--rounds", type=_at_least_one, help="rounds of each row; medians are shown (default: 3)"
    )
    demo.add_argument("--rows", type=_names, metavar="NAME,...", help="only these rows")
    demo.add_argument("--json", metavar="FILE", help="write everything that was measured to FILE")
    demo.set_defaults(run=_demo)

    doctor = commands.add_parser(
        "doctor", help="what allcores sees here, what its parts cost, and what to look at"
    )
    doctor.add_argument(
        "--json", metavar="FILE", nargs="?", const="-", help="as JSON, to FILE or standard output"
    )
    doctor.set_defaults(run=_doctor)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from allcores.cli import demo

    return demo.run(options.quick, options.rounds, options.rows, options.json)


def _doctor(options: argparse.Namespace) -> int:
    from allcores.cli import doctor

    return doctor.run(options.json)


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]
