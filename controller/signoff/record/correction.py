"""A correction: what somebody says of an event afterwards. The event is never touched.

1. ``Revoke`` takes an event back: it admits nothing any more. ``Annotate`` adds a remark, and changes nothing of what is admitted.
2. It names the event by digest (its subject) and the request whose outcome the event is.
3. ``id = sha256("signoff correction id/v1" ‖ 0x00 ‖ JCS({group, kind, namespace, name, spec}))``: the same manifest, synced again after a
   crash or into a rebuilt cluster, meets its own correction.
4. An event is corrected, and a correction is not: what was revoked is promoted anew, by a new request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from signoff.record.bundle import Statement
from signoff.record.canonical import Json, dumps
from signoff.record.freeze import Principal
from signoff.record.seal import Method, PromotionName, Witnessed
from signoff.record.values import Closed, DigestField, IdField, RequestId, Text, TimeField, hex_of, sha256

CORRECTION_TYPE: Final = "https://signoff.dev/correction/v1"
KIND: Final = "PromotionCorrection"

_ID_DOMAIN: Final = b"signoff correction id/v1\x00"


class CorrectionSpec(Closed):
    """``PromotionCorrection.spec``: which event, of which request, and what is said of it."""

    request: IdField
    event: DigestField
    verdict: Literal["Revoke", "Annotate"]
    reason: Text


class Correction(Witnessed, CorrectionSpec):
    """The predicate of a correction. Its subject is ``event``."""

    id: IdField
    correction: PromotionName
    principal: Principal
    method: Method
    time: TimeField


CorrectionStatement = Statement[Correction]


def correction_id(namespace: str, name: str, spec: Json) -> RequestId:
    """Return the id of a PromotionCorrection (rule 3)."""
    value: Mapping[str, Json] = {"group": "signoff.dev", "kind": KIND, "namespace": namespace, "name": name, "spec": spec}
    return RequestId(hex_of(sha256(_ID_DOMAIN + dumps(value))))
