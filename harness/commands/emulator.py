"""`xencbt emulator`: an emulated host of the user's own; its options are those of the emulator's program."""

from xencbt.harness.commands import Commands
from xencbt.harness.verdicts import Exit

NAME = "emulator"


def add(commands: Commands) -> None:
    """Add `emulator` to what the help lists; its words never come to the parser (see `carry_out`)."""
    commands.add_parser(NAME, help="run an emulated host until stopped", add_help=False)


def carry_out(words: list[str]) -> int:
    """Run the emulator's program with `words`; it parses them itself, being a program of its own."""
    from xencbt.fixtures.emulator.program import main  # noqa: PLC0415  no other command needs it

    try:
        return main(words)
    except SystemExit as stop:
        return Exit.OK if not stop.code else Exit.USAGE
