"""All commands of `systolic`, joined on one application: a command's module is imported when it is called."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperGroup

from simulator import __version__
from simulator.cli.exit_codes import EXIT_INTERRUPTED, EXIT_USER_ERROR
from simulator.foundation.errors import UserError

_USAGE_ERROR: Final[Any] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)
"""What all complaints about arguments are; Typer brings the library that has it under changing names."""

_NO_CHOICE: Final = re.compile(
    r"(?:Value error, )?(?P<value>'.*'|\".*\") is not one of (?P<names>'[^']*'(?:, '[^']*')*)\.?", re.DOTALL
)
"""How versions of Typer complain about what is none of an option's names."""

_SUMMARY: Final = (
    "Cycles, energy, area and exact numbers of a network on a systolic array of any number format."
)


class Place(NamedTuple):
    """Where a command is found, and what it does in a sentence, which is also the first one of its help.

    module: in `simulator.cli`.
    name: a function, or an application of several commands.
    """

    module: str
    name: str
    summary: str


COMMANDS: Final[Mapping[str, Place]] = {
    "simulate": Place(
        "simulate",
        "simulate_command",
        "Simulate NETWORK on an architecture: cycles, energy, power, area.",
    ),
    "validate": Place(
        "validate",
        "validate_command",
        "Print, for every published figure the model can predict, published, predicted, difference and how.",
    ),
    "explain": Place(
        "explain",
        "explain_command",
        "Print how a number was formed: counts x price x scaling, with the source of every price.",
    ),
    "infer": Place(
        "infer",
        "infer_command",
        "Run a trained network on images through a MAC's arithmetic, beside float32.",
    ),
    "trace": Place(
        "trace",
        "trace_command",
        "Record a trained network's layers with the operands and results that go through the array.",
    ),
    "compare": Place(
        "compare",
        "compare_command",
        "Put variants side by side, each relative to the first, the best of each column marked.",
    ),
    "report": Place(
        "report",
        "report_command",
        "Write one HTML file that shows results to somebody who was not there.",
    ),
    "reproduce": Place(
        "reproduce",
        "reproduce_command",
        "Run a result again, with the code, tables and network that are here now, and say what differs.",
    ),
    "sweep": Place(
        "sweep",
        "sweep_command",
        "Simulate every point of SPEC.yaml and show the Pareto front.",
    ),
    "networks": Place("networks", "app", "List the bundled networks, or show the layers of one."),
    "formats": Place("formats", "app", "List the number formats, or show one of them."),
    "tables": Place(
        "tables", "app", "List, show, begin and check price tables; bring them to Accelergy and back."
    ),
    "macs": Place("macs", "app", "List the multiply-accumulate units, or show one of them."),
    "rtl": Place("rtl", "app", "Write a MAC as hardware, hold its gates against its numerics, or price it."),
}


class _Imported(Mapping[str, Any]):
    """The commands by name, each imported when it is looked up."""

    def __getitem__(self, name: str) -> Any:
        place = COMMANDS[name]
        found = getattr(import_module(f"simulator.cli.{place.module}"), place.name)
        around = typer.Typer(add_completion=False, callback=lambda: None)
        if isinstance(found, typer.Typer):
            around.add_typer(found, name=name)
        else:
            around.command(name)(found)
        group: Any = typer.main.get_command(around)
        _keep_apart(name, group.commands[name])
        return group.commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _keep_apart(name: str, command: Any) -> None:
    """Let a command, or all commands of a group, refuse to write over what they read."""
    from simulator.cli.given_paths import apart

    for inner, each in getattr(command, "commands", {}).items():
        _keep_apart(f"{name} {inner}", each)
    if command.callback is not None:
        command.callback = apart(name, command.params, command.callback)


class _Commands(TyperGroup):
    """The group of all commands; its help lists them without importing any."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: Any = _Imported()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Typer calls it so
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - Typer calls it so
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in COMMANDS.items()])


app = typer.Typer(
    name="systolic",
    cls=_Commands,
    help=_SUMMARY,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich takes longer to import than this help has
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"systolic {__version__}")
        raise typer.Exit


@app.callback(help=_SUMMARY)
def systolic(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Do nothing but what every command does first: look for `--version`."""


def _unknown_choice(error: Any) -> UserError | None:
    """The complaint about an option that takes one of some names, as all errors are told; None for others."""
    options = getattr(getattr(error, "param", None), "opts", None)
    found = _NO_CHOICE.fullmatch(str(getattr(error, "message", "")))
    if found is None or not options:
        return None
    names = re.findall(r"'([^']*)'", found["names"])
    return UserError(
        "unknown value",
        source=max(options, key=len),
        value=ast.literal_eval(found["value"]),
        allowed=", ".join(names),
        candidates=names,
    )


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code.

    Raises:
        UserError: arguments that the command does not have, and whatever a command refuses.
        KeyboardInterrupt: it was interrupted.
    """
    try:
        code = app(args=list(arguments), prog_name="systolic", standalone_mode=False)
    except _USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # of some versions; its message is the whole help
            error.show()
            return EXIT_USER_ERROR
        if (unknown := _unknown_choice(error)) is not None:
            raise unknown from error
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "systolic"
        problem = " ".join(error.format_message().split()).rstrip(".")
        raise UserError(f"{problem} (see `{command} --help`)") from error
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except SystemExit as end:  # how completion for a shell ends
        return end.code if isinstance(end.code, int) else 0
    if code == EXIT_INTERRUPTED:  # how some versions of Typer end after Ctrl-C
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0
