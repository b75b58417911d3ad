"""The program: its commands, and how it ends.

1. A command returns its exit code. Where its help says nothing else: 0 done, 1 the answer is no, 2 it could not be told or done.
2. What goes wrong is one line on stderr, ``error: where: what; mend``, never a traceback; a defect of ours is the exception.
3. Ctrl-C ends with 130 and says so.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final

import click

from signoff.desk.legible import legible
from signoff.errors import SignoffError

COMMANDS: Final = {
    "init": "Make an archive, its keys and its trust file.",
    "trust": "Show which keys are trusted; add, end or disown one.",
    "draft": "Write the manifest of a promotion for an image.",
    "request": "Write the manifest of a promotion from a model registry.",
    "check-model": "Measure a candidate's predictions, and sign the figures.",
    "approve": "Look at a frozen desk, and approve it.",
    "reject": "Look at a frozen desk, and reject it.",
    "revoke": "Take a promotion back; what runs is listed.",
    "annotate": "Add a remark to an event.",
    "policy": "Try out policies by cases or one request; agree to one.",
    "reclassify": "Replay what was promoted against a new policy.",
    "check": "The gate's verdict on manifests, offline.",
    "audit": "The gate's verdict on what runs in a cluster.",
    "adopt": "Draft promotions for what runs without one.",
    "why": "Who approved this, under which policy, against what.",
    "history": "All that was asked, decided and corrected of a model.",
    "desk": "Show the frozen bytes that were decided on.",
    "export": "Write the evidence into a pack that others verify.",
    "verify": "Verify one event, or the whole archive.",
    "export-table": "The archive as a table for SQL, in Parquet.",
    "run": "Run a process: operator, webhook, engine or portal.",
}
_MODULES: Final = {"audit": "audit_cluster"}
"""Where a command's module bears another name: `audit` is the archive's."""
_ABOUT = """No event, no deploy: keeps the evidence of model promotions and makes the cluster obey it.

A promotion's way: draft it, apply it with kubectl, approve it; from then on the gate lets its image run, and why, history, desk
and verify answer for it from the archive alone."""


class Program(click.Group):
    """The group of all commands; each is the attribute `command` of the module that bears its name, with _ for -, or is in `_MODULES`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """Return the commands in the order in which a promotion travels."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        """Return a command, importing it now; None where there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module = _MODULES.get(cmd_name, cmd_name.replace("-", "_"))
        command = importlib.import_module(f"signoff.cli.{module}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's interface
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def program() -> Program:
    """Return the program's commands and options."""
    group = Program("signoff", help=_ABOUT, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
    return click.version_option(package_name="signoff", message="%(prog)s %(version)s")(group)


def answer(arguments: Sequence[str], name: str) -> int:
    """Run the program and return its exit code (rules 1 to 3)."""
    try:
        result = program().main(list(arguments), prog_name=name, standalone_mode=False)
    except SignoffError as error:
        return complain(str(error))
    except click.UsageError as error:
        return _misused(error, name)
    except click.ClickException as error:
        return complain(error.format_message())
    except click.Abort:
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has gone, and wants no more words
        return 1
    return result if isinstance(result, int) else 0


def complain(message: str) -> int:
    """Print an error as one line and return the exit code of what could not be done."""
    line = legible(" ".join(message.split()))
    click.echo(f"{click.style('error:', fg='red')} {line}" if _coloured() else f"error: {line}", err=True)
    return 2


def _misused(error: click.UsageError, name: str) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message())
        return 0
    path = error.ctx.command_path if error.ctx is not None else name
    what = error.format_message().rstrip(".")
    return complain(f"{path}: {what[:1].lower()}{what[1:]}; see {path} --help")


def _coloured() -> bool:
    from signoff.cli.output import coloured  # noqa: PLC0415 - only an error needs it

    return coloured(sys.stderr)
