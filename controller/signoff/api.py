"""The API of our own resources, as manifests and requests name it."""

from __future__ import annotations

from typing import Final

from signoff.record.request import GROUP

__all__ = ["API_VERSION", "GROUP", "VERSION"]

VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
