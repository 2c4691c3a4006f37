"""The application: its verbs, its general options, and how errors leave it."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dfml.cli import answer, evaluate, infer, lineage, localise, resources, stack
from dfml.cli.output import BAD_USAGE, FAILED, complain
from dfml.cli.target import General
from dfml.errors import BadInputError, DfmlError
from dfml.operations.logs import set_up_logs

_logger = logging.getLogger(__name__)


class Verbs(TyperGroup):
    """Runs a verb and turns its error into one line on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that the arguments chose."""
        try:
            return super().invoke(ctx)
        except DfmlError as error:
            if ctx.params.get("debug"):
                raise
            complain(str(error))
            raise typer.Exit(BAD_USAGE if isinstance(error, BadInputError) else FAILED) from error
        except Exception as error:
            if (
                ctx.params.get("debug")
                or isinstance(error, (typer.Exit, typer.Abort, BrokenPipeError))
                or is_usage_error(error)
            ):
                raise
            if isinstance(error, ModuleNotFoundError):
                complain(f"this verb needs {error.name}, which comes with the extra: pip install 'dfml[analysis]'")
                raise typer.Exit(FAILED) from error
            _logger.debug("a verb failed unexpectedly", exc_info=True)
            complain(f"unexpected {type(error).__name__}: {error} (dfml --debug ... shows where)")
            raise typer.Exit(FAILED) from error


def is_usage_error(error: Exception) -> bool:
    """Return whether the command-line parser raised it; it prints these itself, with the verb's usage."""
    return hasattr(error, "format_message")


app = typer.Typer(
    cls=Verbs,
    name="dfml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or input. Verbs find the running stack by themselves; where "
    "several run, --log chooses.",
)

PANELS = {
    "Run": (stack.up, stack.run, *resources.VERBS, infer.infer, answer.answer),
    "Look": lineage.VERBS,
    "Find the cause": (*localise.VERBS, evaluate.evaluate),
}
for panel, verbs in PANELS.items():
    for verb in verbs:
        app.command(rich_help_panel=panel)(verb)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"dfml {version('dfml')}")
        raise typer.Exit


@app.callback()
def general(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Settings file.", show_default="dfml.yaml, where there is one")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and the log's debug lines.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Run pipelines of models as a graph of topics, trace every record, and find the step that caused a change."""
    set_up_logs("text", debug=debug)
    ctx.obj = General(config, debug)
