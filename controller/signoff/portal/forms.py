"""Forms of ours, and of nobody else.

1. A form is sent from a page of ours: where the browser says from where (``Origin``, ``Sec-Fetch-Site``), it says us.
2. It bears the session's own token, in the body.
3. It is small, urlencoded (WHATWG URL, section 5) in ASCII and UTF-8, and no field stands twice.
"""

from __future__ import annotations

import secrets
from typing import Final
from urllib.parse import parse_qs

from fastapi import Request

from signoff.portal.visit import Refused, visit_of

MAX_FORM: Final = 64 * 1024
MAX_FIELDS: Final = 16
NOT_OURS: Final = "That is no form of ours"


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form of ours; `Refused` says why it is none."""
    visit = visit_of(request)
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if (origin is not None and origin != visit.portal.home) or (site is not None and site != "same-origin"):
        raise Refused(403, "This was not sent from here", "Another page sent this form. Nothing was decided.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refused(415, NOT_OURS, "Nothing was decided.")
    form = _fields(await _body(request))
    # Bytes, for `compare_digest` takes no text beyond ASCII.
    if not secrets.compare_digest(form.get("csrf", "").encode(), visit.session.csrf.encode()):
        raise Refused(403, "This form is out of date", "Open the desk again, and press there. Nothing was decided.")
    return form


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM:
            raise Refused(413, "That is too much", "Write less. Nothing was decided.")
    return bytes(body)


def _fields(body: bytes) -> dict[str, str]:
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise Refused(400, NOT_OURS, "Nothing was decided.") from None
    if any(len(values) != 1 for values in fields.values()):
        raise Refused(400, NOT_OURS, "A field stands twice. Nothing was decided.")
    return {name: values[0] for name, values in fields.items()}
