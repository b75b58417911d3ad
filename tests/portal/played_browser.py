"""The system's browser, as the command opens it (``BROWSER``): it signs somebody in at the address that it is given, and is led back."""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx

from controlplane.people import PEOPLE
from controlplane.signing_in import Forms


class Reached:
    """As much of a provider as a browser knows."""

    people = PEOPLE

    def http(self) -> httpx.Client:
        return httpx.Client(verify=ssl.create_default_context(cafile=os.environ["SIGNOFF_PROVIDER_CA"]), timeout=30, trust_env=False)


if __name__ == "__main__":
    [address] = sys.argv[1:]
    with Forms(Reached()) as forms:  # type: ignore[arg-type]
        back, _ = forms.lead(address, os.environ["PLAYED"], parse_qs(urlsplit(address).query)["redirect_uri"][0])
    httpx.get(back, trust_env=False)
