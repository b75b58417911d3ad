"""`signoff run`: the processes. Logs are one line a record, on stderr, in UTC."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import click

from signoff.cli.options import SETTINGS

_EXAMPLES = """
signoff run {name} --config /etc/signoff/config/config.yaml
"""
_CONFIG = click.option(
    "--config", "config", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE", help="The process's YAML file."
)


@click.group("run", context_settings=SETTINGS)
def command() -> None:
    """Run one of the processes, until SIGTERM."""


@command.command("webhook", context_settings=SETTINGS, epilog=f"\b\nExamples:\n  {_EXAMPLES.format(name='webhook').strip()}")
@_CONFIG
def _webhook(config: Path) -> int:
    """Serve the gate, and the door where decisions are sealed."""
    from signoff.config import WebhookConfig, read_config  # noqa: PLC0415
    from signoff.webhook.serve import run  # noqa: PLC0415

    log_lines()
    run(read_config(WebhookConfig, config))
    return 0


@command.command("operator", context_settings=SETTINGS, epilog=f"\b\nExamples:\n  {_EXAMPLES.format(name='operator').strip()}")
@_CONFIG
def _operator(config: Path) -> int:
    """Freeze requests, write events, report."""
    from signoff.config import OperatorConfig, read_config  # noqa: PLC0415
    from signoff.operator.serve import run  # noqa: PLC0415

    log_lines()
    run(read_config(OperatorConfig, config))
    return 0


@command.command("engine", context_settings=SETTINGS, epilog=f"\b\nExamples:\n  {_EXAMPLES.format(name='engine').strip()}")
@_CONFIG
def _engine(config: Path) -> int:
    """Decide in tier 3, where a policy's rule holds over a signed check."""
    from signoff.config import EngineConfig, read_config  # noqa: PLC0415
    from signoff.engine.serve import run  # noqa: PLC0415

    log_lines()
    run(read_config(EngineConfig, config))
    return 0


@command.command("portal", context_settings=SETTINGS, epilog=f"\b\nExamples:\n  {_EXAMPLES.format(name='portal').strip()}")
@_CONFIG
def _portal(config: Path) -> int:
    """Serve the approvers' desk in the browser."""
    from signoff.config import PortalConfig, read_config  # noqa: PLC0415
    from signoff.portal.serve import run  # noqa: PLC0415

    log_lines()
    run(read_config(PortalConfig, config))
    return 0


class OneLine(logging.Formatter):
    """A record as one line, with the time in UTC; what has lines of its own, such as a traceback, is joined by bars."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's interface
        """Return the time, RFC 3339 in UTC."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return " | ".join(line.rstrip() for line in super().format(record).splitlines() if line.strip())


def log_lines() -> None:
    """Set logging up, once for the process: ours from INFO, the libraries' from WARNING."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("signoff").setLevel(logging.INFO)
