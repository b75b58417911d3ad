"""What can go wrong with the control plane; every error says what to do."""

from __future__ import annotations


class ControlPlaneError(RuntimeError):
    """The control plane cannot do what was asked."""


class BinaryUnavailableError(ControlPlaneError):
    """A binary is not at hand, and can neither be downloaded nor built here."""


class ComponentError(ControlPlaneError):
    """A component did not come up, ended by itself, or does not answer."""
