"""The portal keeps to its description: Schemathesis asks all that OpenAPI says may be asked, and holds each answer against what it says."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from controlplane.bank import CARLA
from controlplane.oidc import Provider
from signoff.portal.guard import COOKIE, SCRIPT
from tests.portal.house import HOME, House, Visitor
from tests.portal.test_app import require_headers
from tests.portal.test_looking import until
from tests.portal.test_passkeys_forms import KEY, der
from tests.portal.test_past import decided

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
WAITS, OVER = "credit-scoring-2.4.0", "credit-scoring-2.5.0"
# The same requests each time: a red run is the change's own doing.
BOUNDED = settings(max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


class Asked:
    """A house, somebody who is signed in there, what is there to be asked for, and which statuses came of what was asked."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.waits = house.desk(WAITS)
        self.over = decided(house, house.desk(OVER))
        self.carla: Visitor = house.visitor(CARLA)
        self.schema = schemathesis.openapi.from_dict(house.app.openapi())
        self.schema.app = house.app
        self.seen: set[tuple[str, int]] = set()
        until(lambda: self.carla.get("/readyz").status_code == 200)

    def all(self, ask: Callable[[Case], None], **fixed: Any) -> None:
        """Have each operation asked for, rightly and wrongly, with what is ``fixed`` of it."""
        for found in self.schema.get_all_operations():
            operation = found.ok()
            known = {name: value(operation) if callable(value) else value for name, value in fixed.items()}
            modes = (operation.as_strategy(generation_mode=mode, **known) for mode in GenerationMode)
            BOUNDED(given(case=st.one_of(*modes))(lambda case: ask(case)))()  # noqa: PLW0108 - Hypothesis reads the name

    def answer(self, case: Case) -> int:
        """Return the status of the answer to a case, which is held against the description."""
        where: dict[str, Any] = {"base_url": self.house.home, "app": self.house.app}
        answer = case.call(**where)
        case.validate_response(answer, checks=CHECKS, transport_kwargs=where)
        require_headers(answer_of(answer, case.operation.label))
        self.seen.add((case.operation.label, answer.status_code))
        return int(answer.status_code)

    @property
    def session(self) -> dict[str, str]:
        return {COOKIE: self.carla.cookies[COOKIE]}

    def paths(self, operation: APIOperation) -> dict[str, str]:
        """Return an address of this operation at which there is something."""
        document = self.waits.freeze.renditions[0].digest
        there = {
            "namespace": "credit",
            "name": WAITS,
            "digest": document,
            "id": self.over.id,
            "path": "desk.html",
            "model": "credit-scoring",
        }
        return {one.name: there[one.name] for one in operation.path_parameters}


def answer_of(answer: schemathesis.Response, label: str) -> SimpleNamespace:
    """Return the headers of an answer; without what lets the one script run on the page of passkeys, which no other may bear."""
    headers = httpx.Headers({name: value[0] for name, value in answer.headers.items()})
    if label == "GET /passkeys":
        headers["content-security-policy"] = headers["content-security-policy"].removesuffix(f"; script-src {HOME}{SCRIPT}")
    return SimpleNamespace(headers=headers)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Asked:
    return Asked(House(tmp_path_factory.mktemp("described"), provider))


def test_a_stranger_is_answered_as_described_and_let_in_nowhere(asked: Asked) -> None:
    def ask(case: Case) -> None:
        status = asked.answer(case)
        if case.operation.definition.raw.get("security"):
            assert status in {401, 404, 405}, case.operation.label

    asked.all(ask)


def test_somebody_signed_in_is_answered_as_described(asked: Asked) -> None:
    asked.all(lambda case: asked.answer(case) and None, cookies=asked.session)


def test_what_there_is_is_shown_as_described(asked: Asked) -> None:
    desk, csrf = asked.waits, asked.carla.token("/")

    filled = {
        "/desk/{namespace}/{name}/decision": {"freeze": desk.digest, "rendition": desk.freeze.renditions[0].digest},
        "/passkeys/registration": {"label": "blue key", "credential": KEY.credential, "publicKey": der()},
        "/passkeys/withdrawal": {},
    }

    def ask(case: Case) -> None:
        if case.operation.path in filled and isinstance(case.body, dict):
            case.body = {**case.body, "csrf": csrf, **filled[case.operation.path]}
        asked.answer(case)

    asked.all(ask, cookies=asked.session, path_parameters=asked.paths)


def test_each_page_was_shown_to_somebody(asked: Asked) -> None:
    """What is only ever refused would keep to any description."""
    if not asked.seen:
        pytest.skip("none of the tests above has run")
    reached = {operation for operation, status in asked.seen if status in {200, 303}}
    told = {f"{method.upper()} {path}" for path, methods in asked.house.app.openapi()["paths"].items() for method in methods}
    assert told - reached == {"GET /callback", "POST /sign-out"}, "which end what was begun before; they have tests of their own"


def test_every_address_is_described_and_none_serves_the_description(asked: Asked) -> None:
    described = asked.house.app.openapi()
    served = {getattr(route, "path_format", "") for route in asked.house.app.routes}
    assert served == set(described["paths"])
    for path in ("/openapi.json", "/docs", "/redoc"):
        assert asked.carla.get(path).status_code == 404
    session = {"type": "apiKey", "in": "cookie", "name": COOKIE}
    assert described["components"]["securitySchemes"] == {"session": session}
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert "422" not in operation["responses"], path
            assert {"404", "421", "500"} <= set(operation["responses"]), path
