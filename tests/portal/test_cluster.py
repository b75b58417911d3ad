"""What the portal makes of the API server's answers to a decision."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import ReadTimeoutError

from signoff.portal.cluster import Cluster, Denied, NotKnown
from signoff.record.canonical import Json

ARCHIVE = "it is not known whether this was decided, for the archive does not answer (no answer); it is safe to press again"
TIME = "it is not known whether this was done, for the archive did not answer within 10 s"
ANSWERS: dict[str, tuple[Exception, type[Exception] | None]] = {
    "refused": (ApiException(403), Denied),
    "of another form": (ApiException(422), Denied),
    "the archive did not answer the door": (ApiException(403, ARCHIVE), NotKnown),
    "the door did not end in time": (ApiException(403, TIME), NotKnown),
    "the door itself did not answer": (ApiException(500), NotKnown),
    "no answer": (ReadTimeoutError(None, "", ""), NotKnown),  # type: ignore[arg-type]
    "there already": (ApiException(409, "AlreadyExists"), None),
}


@pytest.mark.parametrize(("answer", "told"), [pytest.param(*one, id=name) for name, one in ANSWERS.items()])
def test_that_nothing_was_decided_is_said_only_where_that_is_known(
    answer: Exception, told: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(client.ApiClient(client.Configuration()))
    if isinstance(answer, ApiException):
        answer.body = json.dumps({"reason": answer.reason, "message": f'admission webhook "x" denied the request: {answer.reason}'})

    def create(*_: Any, **__: Any) -> Json:
        raise answer

    monkeypatch.setattr(cluster._custom, "create_namespaced_custom_object", create)
    if told is None:
        cluster.decide("credit", {})
        return
    with pytest.raises(told):
        cluster.decide("credit", {})
