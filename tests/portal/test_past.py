"""What was decided, in the portal: the evidence of an event and a model's history, and for whom they are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from world import STORED, Principal

from controlplane.bank import BEN, CARLA, ERIK
from signoff.archive import layout
from signoff.archive.store import Unavailable
from signoff.desk.freezing import Frozen
from signoff.operator.commit import commit
from signoff.portal import past
from signoff.portal.cluster import ClusterAway
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE
from signoff.record.values import sha256
from signoff.verify.verifier import Verified
from tests.portal.house import House, Visitor
from tests.portal.test_app import raising, require_headers

HISTORY = "/models/credit-scoring"
TOKENS = re.compile(r"event\.sigstore\.json|seals/")


def decided(house: House, desk: Frozen, verdict: str = "Approve") -> Verified:
    """Have Carla decide on a desk, and commit it."""
    carla = Principal(issuer=house.provider.issuer, subject=CARLA, name="Carla Example")

    def change(value: dict[str, Any]) -> None:
        value["promotion"]["namespace"] = desk.freeze.request.namespace

    sealed = house.world.seal(desk.payload, desk.freeze, carla, verdict, change=change)
    house.world.archive_seal(sealed)
    kind = PROMOTION_TYPE if verdict == "Approve" else REJECTION_TYPE
    return commit(house.world.reader, house.world.event_key, desk.freeze, kind, [sealed], STORED)


def promoted(house: House, name: str = "credit-scoring-2.4.0", **changes: Any) -> Verified:
    live = house.world.reader.incumbent("credit-scoring", "production", "demo")
    return decided(house, house.desk(name, live=live, **changes))


def altered(house: House, key: str) -> Path:
    """Alter an archived object."""
    path = house.world.folder / key
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-9] + b"-altered}")
    return path


@pytest.fixture
def auditor(house: House) -> Visitor:
    """Erik, who may see no namespace and audits all of it."""
    house.rooms.auditors = set(house.provider.people[ERIK].groups)
    return house.visitor(ERIK)


# --- the evidence ---------------------------------------------------------------------------------------------------


def test_the_evidence_is_the_auditors_view_with_the_very_bytes_beside_it(house: House, auditor: Visitor) -> None:
    desk = house.desk(explanation=b"<h1>Why</h1>")
    verified = decided(house, desk)
    base = f"/events/{verified.id}/"
    answer = auditor.get(base)
    assert answer.status_code == 200
    require_headers(answer)
    assert "style-src 'sha256-" in answer.headers["content-security-policy"], "else it would have no style"
    for told in ("credit-scoring 2.4.0", "Carla Example", verified.digest, desk.digest, "Is it true?", "quorum", "promoted"):
        assert told in answer.text, told
    assert 'src="desk.html" sandbox=""' in answer.text
    page, text, explanation = (auditor.get(base + path) for path in ("desk.html", "desk.txt", "explanation.html.txt"))
    assert [sha256(one.content) for one in (page, text)] == [one.digest for one in desk.freeze.renditions]
    assert explanation.content == b"<h1>Why</h1>"
    assert explanation.headers["content-type"] == "text/plain; charset=utf-8", "what a browser would run is text"
    for one in (page, text, explanation):
        assert one.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        require_headers(one)
    assert auditor.get(base + "request.json").content == desk.payload
    stored = house.world.store.read(layout.event(verified.id), limit=10**6).data
    assert auditor.get(base + "event.sigstore.json").content == stored
    [sealed] = set(re.findall(r"seals/[0-9a-f]+\.sigstore\.json", answer.text))
    assert auditor.get(base + sealed).status_code == 200


def test_every_link_of_the_view_leads_somewhere(house: House, auditor: Visitor) -> None:
    verified = promoted(house)
    base = f"/events/{verified.id}/"
    links = {one for one in re.findall(r'(?:href|src)="([^"#]+)"', auditor.get(base).text) if not one.startswith("/")}
    assert len(links) >= 6
    assert {one: auditor.get(base + one).status_code for one in links} == dict.fromkeys(links, 200)
    assert auditor.get(HISTORY).status_code == 200, "where it leads back to"
    led = auditor.get(base.rstrip("/"))
    assert (led.status_code, led.headers["location"]) == (303, base)


def test_whoever_sees_the_desk_sees_its_evidence_but_no_id_token(house: House) -> None:
    """The seals hold the ID tokens by which people decided, and the event holds the seals."""
    verified = promoted(house)
    carla, base = house.visitor(CARLA), f"/events/{verified.id}/"
    answer = carla.get(base)
    assert answer.status_code == 200
    assert "Carla Example" in answer.text
    assert "for auditors" in answer.text
    assert not re.search(r'href="(seals/|event\.)', answer.text)
    assert carla.get(base + "desk.html").status_code == 200
    principal = verified.decisions[0].principal
    key = layout.seal(sha256(verified.payload), principal.issuer, principal.subject).rpartition("/")[2]
    for path in ("event.sigstore.json", f"seals/{key[:12]}.sigstore.json"):
        assert carla.get(base + path).status_code == 404, path


def test_an_event_in_a_namespace_that_one_may_not_see_is_not_there(house: House) -> None:
    verified = promoted(house)
    base, carla, ben = f"/events/{verified.id}/", house.visitor(CARLA), house.visitor(BEN)
    for path in ("", "desk.html", "desk.txt", "request.json", "event.sigstore.json", "policies/credit-models.sigstore.json"):
        hidden, absent = ben.get(base + path), ben.get(f"/events/{'0' * 64}/{path}")
        assert (hidden.status_code, absent.status_code) == (404, 404), path
        assert hidden.text.replace(verified.id[:12], "0" * 12) == absent.text, "whether it is there is not told"
    assert carla.get(base).status_code == 200
    none, never = ben.get(HISTORY), ben.get("/models/never")
    assert (none.status_code, never.status_code) == (404, 404)
    assert none.text.replace("credit-scoring", "never") == never.text
    assert verified.id not in ben.get(HISTORY + "?what=promoted").text


def test_of_a_history_in_two_namespaces_each_sees_their_own_and_the_auditor_both(house: House, auditor: Visitor) -> None:
    here, there = promoted(house), promoted(house, "credit-scoring-2.4.1", namespace="other")
    carla = house.visitor(CARLA)
    assert (here.id in carla.get(HISTORY).text, there.id in carla.get(HISTORY).text) == (True, False)
    assert carla.get(f"/events/{there.id}/").status_code == 404
    both = auditor.get(HISTORY).text
    assert here.id in both
    assert there.id in both
    assert auditor.get(f"/events/{there.id}/").status_code == 200
    house.rooms.visitors["credit"].clear()
    assert carla.get(f"/events/{here.id}/").status_code == 404, "asked each time, not remembered from before"


def test_a_namespace_of_the_same_name_in_another_cluster_is_another(house: House, auditor: Visitor) -> None:
    """The archive may be several clusters': who may see `credit` in this one may not therefore see it in that one."""
    verified = promoted(house)
    assert house.visitor(CARLA).get(f"/events/{verified.id}/").status_code == 200
    house.portal.past._name = "another"
    house.portal.past._known.clear()
    assert house.visitor(CARLA).get(f"/events/{verified.id}/").status_code == 404
    assert house.visitor(CARLA).get(HISTORY).status_code == 404
    assert auditor.get(f"/events/{verified.id}/").status_code == 200


def test_a_request_that_is_not_decided_has_no_evidence_here(house: House, auditor: Visitor) -> None:
    desk = house.desk()
    assert auditor.get(f"/events/{desk.freeze.id}/").status_code == 404
    assert house.visitor(CARLA).get(f"/events/{desk.freeze.id}/").status_code == 404


@pytest.mark.parametrize("what", ["the event", "the desk"])
def test_what_was_altered_is_told_to_an_auditor_and_shown_to_nobody(house: House, auditor: Visitor, what: str) -> None:
    desk = house.desk()
    verified = decided(house, desk)
    altered(house, layout.event(verified.id) if what == "the event" else layout.blob(desk.freeze.renditions[0].digest))
    told = auditor.get(f"/events/{verified.id}/")
    assert told.status_code == 409
    assert "This is not what it must be" in told.text
    assert "Nothing rests on it" in told.text
    assert auditor.get(f"/events/{verified.id}/desk.html").status_code == 409
    assert house.visitor(CARLA).get(f"/events/{verified.id}/").status_code == 404, "where it would lie is not believed either"


def test_an_event_that_is_not_believed_stands_in_the_auditors_history_and_in_no_other(house: House, auditor: Visitor) -> None:
    verified, other = promoted(house), promoted(house, "credit-scoring-2.4.1")
    carla = house.visitor(CARLA)
    assert verified.id in carla.get(HISTORY).text, "and is remembered from before"
    altered(house, layout.event(verified.id))
    page = auditor.get(HISTORY).text
    assert "not believed" in page
    assert verified.id in page
    shown = carla.get(HISTORY).text
    assert (verified.id in shown, other.id in shown) == (False, True)


def test_without_archive_or_api_server_it_is_said_in_plain_words(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    verified, carla = promoted(house), house.visitor(CARLA)
    pages = (f"/events/{verified.id}/", f"/events/{verified.id}/desk.html", HISTORY, f"{HISTORY}?what=corrected")
    for owner, part, fault in (
        (house.rooms, "may_audit", ClusterAway("the API server did not answer: 503")),
        (house.rooms, "may_see", ClusterAway("the API server did not answer: 503")),
        (house.world.store, "read", Unavailable("no answer", "x")),
        (house.world.store, "list", Unavailable("no answer", "x")),
        (house.world.store, "times", Unavailable("no answer", "x")),
    ):
        with monkeypatch.context() as broken:
            broken.setattr(owner, part, raising(fault))
            answers = [carla.get(path) for path in pages]
        assert 503 in {one.status_code for one in answers}, part
        assert {one.status_code for one in answers} <= {200, 503}, part
        assert all("it is safe to try again" in one.text for one in answers if one.status_code == 503)


# --- the history ----------------------------------------------------------------------------------------------------


def events_on(page: str) -> list[str]:
    return re.findall(r'<p class="exact">([0-9a-f]{64})</p>', page)


def test_a_history_is_told_page_by_page_the_latest_first_and_each_event_once(
    house: House, auditor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "PER_PAGE", 2)
    made = [promoted(house, f"credit-scoring-2.4.{number}").id for number in range(5)]
    for visitor in (auditor, house.visitor(CARLA)):
        shown, path = [], HISTORY
        while path and len(shown) < 9:
            page = visitor.get(path).text
            shown.append(events_on(page))
            found = re.search(r'href="([^"]+)" rel="next"', page)
            path = found[1].replace("&amp;", "&") if found else ""
        assert [len(one) for one in shown] == [2, 2, 1]
        assert [one for page in shown for one in page] == made[::-1]


def test_a_history_is_told_by_what_happened_and_for_which_environment(house: House) -> None:
    first, second = promoted(house), promoted(house, "credit-scoring-2.4.1")
    rejected = decided(house, house.desk("credit-scoring-2.4.2"), "Reject")
    house.world.correct(first)
    carla = house.visitor(CARLA)
    asked = {
        "": {first.id, second.id, rejected.id},
        "?what=promoted": {first.id, second.id},
        "?what=rejected": {rejected.id},
        "?what=corrected": {first.id},
        "?environment=production&what=": {first.id, second.id, rejected.id},
        "?environment=staging": set(),
    }
    assert {query: set(events_on(carla.get(HISTORY + query).text)) for query in asked} == asked
    page = carla.get(f"{HISTORY}?what=corrected").text
    assert '<span class="bad">promoted, and revoked</span>' in page
    assert "revoked since, by" in page
    assert "The evaluation data were wrong." in page


NOWHERE = (
    "/models",
    "/models/",
    "/models/A",
    "/models/../x",
    "/models/x?what=all",
    "/models/x?after=1",
    "/models/x?environment=A",
    "/events/x/",
)


@pytest.mark.parametrize("path", NOWHERE)
def test_an_address_that_is_none_leads_to_no_page(house: House, path: str) -> None:
    assert house.visitor(CARLA).get(path).status_code == 404


def test_a_history_is_found_by_a_form_and_by_links_from_where_one_decided(house: House) -> None:
    desk = house.desk()
    verified = decided(house, desk)
    carla = house.visitor(CARLA)
    held: Any = house.rooms.held["credit", "credit-scoring-2.4.0"]
    seals = [{"issuer": house.provider.issuer, "subject": CARLA, "time": "2026-03-02T10:02:51Z"}]
    held["status"] |= {"conditions": [{"type": "Ready", "reason": "Promoted"}], "seals": seals}
    led = carla.get("/models", params={"name": "credit-scoring"})
    assert (led.status_code, led.headers["location"]) == (303, HISTORY)
    for path in ("/", "/desk/credit/credit-scoring-2.4.0", "/desk/credit/credit-scoring-2.4.0/receipt"):
        assert f'href="/events/{verified.id}/"' in carla.get(path).text, path
    assert f'href="{HISTORY}"' in carla.get("/desk/credit/credit-scoring-2.4.0/receipt").text
    assert 'action="/models"' in carla.get("/").text


def test_a_page_reads_no_more_than_it_shows_and_what_it_passes_over_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a history is, a page of it costs a listing and what it shows."""
    monkeypatch.setattr(past, "PER_PAGE", 3)
    for number in range(12):
        promoted(house, f"credit-scoring-2.4.{number}", namespace="other" if number % 2 else "credit")
    house.rooms.auditors = set(house.provider.people[ERIK].groups)
    erik, carla = house.visitor(ERIK), house.visitor(CARLA)
    read: list[str] = []
    store = house.world.store
    reading = store.read

    def counted(key: str, *, limit: int) -> Any:
        read.append(key)
        return reading(key, limit=limit)

    monkeypatch.setattr(store, "read", counted)

    def events_read(visitor: Visitor, path: str = HISTORY) -> int:
        read.clear()
        assert len(events_on(visitor.get(path).text)) == 3
        return sum(key.startswith(layout.EVENTS_PREFIX) for key in read)

    assert events_read(erik) == 3
    assert events_read(carla) <= 3 + 7, "those of another namespace are read to be passed over"
    assert events_read(carla) == 3, "and then never again"
