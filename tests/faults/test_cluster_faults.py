"""What the API server, and whoever serves the explanation, may do wrong while a model is promoted.

Nothing is promoted by it and nothing is lost; where somebody waits they are told, and afterwards it goes on by itself.
"""

from __future__ import annotations

import pytest
from deeds import (
    CUT,
    CUT_AFTER,
    EXPIRED_IN_STREAM,
    HANGS,
    TORN,
    Deed,
    Faulty,
    Pick,
    cluster_says,
    picks,
    says,
    slow,
    watches,
)
from request import Request
from stand import Stand

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

STATUS = picks("operator", "cluster", "PUT", "/status")
POLICIES = picks("operator", "cluster", "GET", "/promotionpolicies")
DECISIONS = picks("operator", "cluster", "GET", "/promotiondecisions")
POSTED = picks("operator", "cluster", "POST", "/events")
REPORT = picks("operator", "report")
REVIEWS = picks("webhook", "cluster", "POST", "/subjectaccessreviews")
PROMOTION = picks("webhook", "cluster", "GET", "/modelpromotions")


def everything(asked: object) -> bool:
    return True


PASSING: dict[str, tuple[Pick, Deed]] = {
    "500 when policies are listed": (POLICIES, cluster_says(500, "InternalError")),
    "409 when the status is written": (STATUS, cluster_says(409, "Conflict")),
    "500 when the status is written": (STATUS, cluster_says(500, "InternalError")),
    "the answer to a written status is lost": (STATUS, CUT_AFTER),
    "429 when decisions are listed": (DECISIONS, cluster_says(429, "TooManyRequests")),
    "cut when decisions are listed": (DECISIONS, CUT),
    "half a list of decisions": (DECISIONS, TORN),
    "500 when an event is posted": (POSTED, cluster_says(500, "InternalError")),
    "every answer is slow": (everything, slow(0.3)),
}
"""Where it happens once, or does no harm for ever, nobody needs to act."""


@pytest.mark.parametrize("name", PASSING)
def test_the_api_server_fails_and_it_passes(stand: Stand, name: str) -> None:
    pick, deed = PASSING[name]
    fault = stand.seats["operator"].sitter = Faulty(pick, deed, None if pick is everything else 1)
    request = Request(stand)
    request.submit()
    request.until("Frozen")
    decision = request.press()
    request.until("Promoted")
    assert fault.done
    request.ended("Approve", decision)
    request.gone()


ENDS = {
    "410": cluster_says(410, "Expired"),
    "410 in the stream": EXPIRED_IN_STREAM,
    "cut": CUT,
    "500": cluster_says(500, "InternalError"),
}


@pytest.mark.parametrize("deed", ENDS.values(), ids=ENDS)
def test_the_watches_of_an_operator_that_comes_up_end(stand: Stand, deed: Deed) -> None:
    request = Request(stand)
    stand.kill("operator")
    stand.await_end("operator")
    fault = Faulty(watches, deed, 3)
    stand.start("operator", fault)
    request.submit()
    request.until("Frozen")
    decision = request.press()
    request.until("Promoted")
    assert fault.done, "no watch was opened"
    request.ended("Approve", decision)
    request.gone()
    fault.lift()
    later = Request(stand)  # watches are opened again after pauses that grow; what comes meanwhile is not lost
    later.submit()
    later.until("Frozen", 90)
    later.gone()


LASTING = {
    "policies cannot be listed": (POLICIES, cluster_says(503, "ServiceUnavailable"), "tried again"),
    "policies never come": (POLICIES, HANGS, "tried again"),
    "the report's server fails": (REPORT, says(500), "500.*tried again"),
    "the report's server cuts": (REPORT, CUT, "tried again"),
    "the report never comes": (REPORT, HANGS, "took more than 10 s.*tried again"),
    "half a report": (REPORT, TORN, "tried again"),
    "another report": (REPORT, says(200, b"<h1>Better</h1>"), "spec.explanation"),
}


@pytest.mark.parametrize("name", LASTING)
def test_what_a_desk_is_made_of_is_out_of_reach(stand: Stand, name: str) -> None:
    pick, deed, words = LASTING[name]
    fault = stand.seats["operator"].sitter = Faulty(pick, deed)
    request = Request(stand)
    request.submit()
    request.says(words)
    assert request.condition("Frozen")["status"] == "False"
    fault.lift()
    request.until("Frozen")
    request.undecided()
    decision = request.press()
    request.until("Promoted")
    request.ended("Approve", decision)
    request.gone()


REFUSING = {
    "reviews fail": (REVIEWS, cluster_says(500, "InternalError")),
    "reviews never come": (REVIEWS, HANGS),
    "the promotion cannot be read": (PROMOTION, cluster_says(503, "ServiceUnavailable")),
    "the answer is cut": (PROMOTION, CUT),
}


@pytest.mark.parametrize("name", REFUSING)
def test_a_press_that_cannot_be_judged_is_refused(stand: Stand, name: str) -> None:
    pick, deed = REFUSING[name]
    request = Request(stand)
    request.submit()
    request.until("Frozen")
    fault = stand.seats["webhook"].sitter = Faulty(pick, deed)
    said = request.refused_press()
    assert said is not None
    assert "the API server did not answer" in said
    assert "try again" in said
    request.undecided()
    assert stand.versions(f"seals/{request.status()['freeze'].removeprefix('sha256:')}/") == {}
    fault.lift()
    decision = request.press()
    request.until("Promoted")
    request.ended("Approve", decision)
    request.gone()
