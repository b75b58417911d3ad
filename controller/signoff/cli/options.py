"""Options that several commands have: from flags, or from the environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])
Option = Callable[[Function], Function]

SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def archive(*, required: bool = True) -> Option[Any]:
    """Return ``--archive``."""
    return click.option(
        "--archive",
        metavar="URL",
        envvar="SIGNOFF_ARCHIVE",
        show_envvar=True,
        required=required,
        help="The archive, file:///absolute/path.",
    )


def trust(*, required: bool = True) -> Option[Any]:
    """Return ``--trust``."""
    return click.option(
        "--trust",
        metavar="DIGEST",
        envvar="SIGNOFF_TRUST",
        show_envvar=True,
        required=required,
        help="The active trust file, by the digest that `signoff init` printed.",
    )


def cluster(*, required: bool = True) -> Option[Any]:
    """Return ``--cluster``."""
    return click.option(
        "--cluster", metavar="NAME", envvar="SIGNOFF_CLUSTER", show_envvar=True, required=required, help="The cluster, as targets name it."
    )


def namespace(text: str) -> Option[Any]:
    """Return ``--namespace``."""
    return click.option("-n", "--namespace", metavar="NAME", help=text)


def kubeconfig() -> Option[Any]:
    """Return ``--kubeconfig``."""
    return click.option(
        "--kubeconfig", metavar="FILE", envvar="KUBECONFIG", show_envvar=True, help="As kubectl's; several with : between them."
    )


def context() -> Option[Any]:
    """Return ``--context``."""
    return click.option("--context", metavar="NAME", help="The context of the kubeconfig to use.")


def issuer() -> Option[Any]:
    """Return ``--issuer``."""
    return click.option(
        "--issuer",
        metavar="URL",
        envvar="SIGNOFF_ISSUER",
        show_envvar=True,
        help="The identity provider to sign in at; default: the only one of the trust file.",
    )


def client() -> Option[Any]:
    """Return ``--client``."""
    return click.option(
        "--client",
        metavar="ID",
        envvar="SIGNOFF_CLIENT",
        show_envvar=True,
        default="signoff-cli",
        show_default=True,
        help="This command's public client there; the trust file names it.",
    )


def provider_ca() -> Option[Any]:
    """Return ``--provider-ca``."""
    return click.option(
        "--provider-ca",
        metavar="FILE",
        envvar="SIGNOFF_PROVIDER_CA",
        show_envvar=True,
        help="The CA of the provider's certificate, PEM; default: this machine's.",
    )


def exemptions() -> Option[Any]:
    """Return ``--exemptions``."""
    return click.option(
        "--exemptions",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="YAML, exemptions: as under `gate` in the webhook's configuration.",
    )


def output(*more: str) -> Option[Any]:
    """Return ``-o``, as ``form``; ``more`` are forms beside text and json."""
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(["text", "json", *more]),
        default="text",
        show_default=True,
        help="For people, or for machines.",
    )


def command(name: str, *, examples: str) -> Callable[[Callable[..., int]], click.Command]:
    """Return the decorator of a command: its help is the function's docstring, with examples below."""
    lines = "\n".join(f"  {line}" if line else "\n\b" for line in examples.strip().splitlines())
    return click.command(name, context_settings=SETTINGS, epilog=f"\b\nExamples:\n{lines}")
