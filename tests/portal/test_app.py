"""What the portal answers to whom: forms from elsewhere, other sessions, other names, other people's desks; and in which words."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import anyio
import anyio.to_thread
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import Principal

from controlplane.bank import ANA, BEN, CARLA, DAVID
from signoff.archive.store import Unavailable
from signoff.desk.freezing import Frozen
from signoff.portal.cluster import ClusterAway, Denied, NotKnown, version_of
from signoff.portal.guard import COOKIE, HEADERS
from signoff.record.promotion import is_freeze_of
from signoff.record.values import sha256
from tests.portal.house import HOME, House, Visitor

DESK = "/desk/credit/credit-scoring-2.4.0"
FORM = {"content-type": "application/x-www-form-urlencoded"}


# --- forms ----------------------------------------------------------------------------------------------------------

FROM_ELSEWHERE: dict[str, dict[str, str]] = {
    "another site": {"origin": "https://evil.example"},
    "a name that begins like ours": {"origin": f"{HOME}.evil.example"},
    "another port": {"origin": f"{HOME}:8443"},
    "without TLS": {"origin": HOME.replace("https", "http")},
    "a sandboxed page": {"origin": "null"},
    "an empty origin": {"origin": ""},
    "said by the browser": {"sec-fetch-site": "cross-site"},
    "a sister site": {"sec-fetch-site": "same-site"},
    "typed by hand": {"sec-fetch-site": "none"},
    "our origin, and said otherwise": {"origin": HOME, "sec-fetch-site": "cross-site"},
}


@pytest.mark.parametrize("headers", [pytest.param(one, id=name) for name, one in FROM_ELSEWHERE.items()])
def test_a_form_that_another_page_sent_decides_nothing(house: House, headers: dict[str, str]) -> None:
    desk = house.desk()
    answer = house.visitor(CARLA).press(desk, headers=headers)
    assert answer.status_code == 403
    assert "Nothing was decided" in answer.text
    assert house.rooms.created == []


@pytest.mark.parametrize(
    "headers", [{}, {"origin": HOME}, {"origin": HOME, "sec-fetch-site": "same-origin"}], ids=["old", "origin", "both"]
)
def test_a_form_of_ours_decides(house: House, headers: dict[str, str]) -> None:
    desk = house.desk()
    answer = house.visitor(CARLA).press(desk, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{DESK}/receipt")
    [created] = house.rooms.created
    assert created["spec"]["verdict"] == "Approve"


def test_a_form_needs_the_token_of_its_own_session_in_its_body(house: House) -> None:
    desk = house.desk()
    carla, david = house.visitor(CARLA), house.visitor(DAVID)
    theirs = carla.token(DESK)
    form = david.form(desk)
    for token in ("", theirs, form["csrf"][:-1], form["csrf"] + "x", "é", "\x00"):
        answer = david.post(f"{DESK}/decision", data=form | {"csrf": token})
        assert answer.status_code == 403, token
        assert "This form is out of date" in answer.text
    without = {name: value for name, value in form.items() if name != "csrf"}
    assert david.post(f"{DESK}/decision?csrf={form['csrf']}", data=without).status_code == 403
    assert house.rooms.created == []


def test_signing_out_needs_the_token_too(house: House) -> None:
    desk, carla = house.desk(), house.visitor(CARLA)
    assert carla.post("/sign-out", data={"csrf": "x"}).status_code == 403
    assert carla.get(DESK).status_code == 200
    assert carla.post("/sign-out", data={"csrf": carla.token(DESK)}, headers={"origin": "https://evil.example"}).status_code == 403
    assert carla.press(desk).status_code == 303


BROKEN: dict[str, tuple[bytes, dict[str, str], int]] = {
    "JSON": (b'{"verdict":"Approve"}', {"content-type": "application/json"}, 415),
    "text, as a form may send it": (b"verdict=Approve", {"content-type": "text/plain"}, 415),
    "no type": (b"verdict=Approve", {"content-type": ""}, 415),
    "several parts": (b"--x--", {"content-type": "multipart/form-data; boundary=x"}, 415),
    "too much": (b"a=" + b"b" * 70_000, FORM, 413),
    "many fields": (b"&".join(b"a%d=b" % number for number in range(17)), FORM, 400),
    "a field twice": (b"verdict=Approve&verdict=Reject", FORM, 400),
    "no field": (b"verdict", FORM, 400),
    "nothing": (b"", FORM, 403),
    "bytes beyond ASCII": ("verdict=é".encode(), FORM, 400),
    "escapes that are no UTF-8": (b"verdict=%ff%fe", FORM, 400),
    "a lone surrogate": (b"verdict=%ed%a0%80", FORM, 400),
}


@pytest.mark.parametrize(("body", "headers", "status"), [pytest.param(*one, id=name) for name, one in BROKEN.items()])
def test_what_is_no_form_is_refused_in_words(house: House, body: bytes, headers: dict[str, str], status: int) -> None:
    house.desk()
    answer = house.visitor(CARLA).post(f"{DESK}/decision", content=body, headers=headers)
    assert answer.status_code == status
    assert status == 403 or "Nothing was decided" in answer.text
    assert house.rooms.created == []


def test_a_comment_that_acts_is_shown_and_does_not_act(house: House) -> None:
    desk = house.desk()
    told = "<script>alert(1)</script>\x1b[31m\u202e" + "x" * 5000
    assert house.visitor(CARLA).press(desk, comment=told).status_code == 303
    assert house.rooms.created[0]["spec"]["comment"] == told


def test_a_form_of_another_desk_or_of_none_decides_nothing(house: House) -> None:
    desk, other = house.desk(), house.desk("credit-scoring-2.4.1", b"<p>other</p>")
    carla = house.visitor(CARLA)
    for changes in ({"freeze": other.digest}, {"rendition": other.freeze.renditions[0].digest}, {"freeze": ""}, {"verdict": "approve"}):
        answer = carla.press(desk, **changes)
        assert answer.status_code in {400, 409}
        assert "Nothing was decided" in answer.text
    assert house.rooms.created == []


# --- every answer ---------------------------------------------------------------------------------------------------

ANSWERS: dict[str, tuple[str, str, int]] = {
    "welcome": ("GET", "/", 401),
    "no such page": ("GET", "/nowhere", 404),
    "no such method": ("PUT", "/", 405),
    "no such desk address": ("GET", "/desk/Credit/x", 401),
    "a climb": ("GET", "/desk/..%2f..%2fetc/passwd", 404),
    "a climb in a digest": ("GET", f"{DESK}/sha256:..%2f..%2f", 404),
    "a callback of nobody": ("GET", "/callback?state=x&code=y", 400),
    "a callback with too much": ("GET", f"/callback?state={'x' * 300}", 404),
    "a form of nobody": ("POST", f"{DESK}/decision", 401),
    "the style": ("GET", "/page.css", 200),
    "health": ("GET", "/healthz", 200),
}


@pytest.mark.parametrize(("method", "path", "status"), [pytest.param(*one, id=name) for name, one in ANSWERS.items()])
def test_every_answer_bears_our_headers(house: House, method: str, path: str, status: int) -> None:
    answer = house.visitor().request(method, path)
    assert answer.status_code == status
    require_headers(answer)
    assert "set-cookie" not in answer.headers, "whoever only looks, from wherever, is given no session, and loses none"


def require_headers(answer: Any) -> None:
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "base-uri 'none'" in policy
    assert ("frame-ancestors 'none'" in policy) != policy.startswith("sandbox;")
    assert "script-src" not in policy
    assert not re.search(r"https?:|\*|unsafe-eval", policy)


def test_pages_of_somebody_who_is_signed_in_are_framed_by_nobody_and_what_is_frozen_by_us_alone(house: House) -> None:
    desk = house.desk()
    carla = house.visitor(CARLA)
    for path in ("/", DESK, f"{DESK}/receipt", f"{DESK}/explanation", "/desk/credit/other"):
        answer = carla.get(path)
        require_headers(answer)
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "<script" not in answer.text
        assert " style=" not in answer.text
    for digest in (desk.freeze.renditions[0].digest, desk.freeze.renditions[1].digest, desk.freeze.explanation.digest):
        answer = carla.get(f"{DESK}/{digest}")
        assert answer.status_code == 200
        require_headers(answer)
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert sha256(answer.content) == digest


TAKEN: dict[str, bool] = {
    "gzip, deflate, br": True,
    "GZIP": True,
    "br;q=1.0, gzip;q=0.8, *;q=0.1": True,
    "*": True,
    "": False,
    "identity": False,
    "br": False,
    "gzip;q=0": False,
    "gzip; q=0.000, *": False,
    "gzip;q=x": False,
    "x-gzipped, notgzip": False,
}


@pytest.mark.parametrize("said", TAKEN)
def test_what_is_frozen_is_compressed_for_whom_takes_it_and_decodes_to_its_bytes(house: House, said: str) -> None:
    desk = house.desk(explanation=b"<p>Row after row.</p>" * 1000)
    carla = house.visitor(CARLA)
    for digest in (desk.freeze.renditions[0].digest, desk.freeze.explanation.digest):
        answer = carla.get(f"{DESK}/{digest}", headers={"accept-encoding": said})
        assert answer.headers.get("content-encoding") == ("gzip" if TAKEN[said] else None)
        assert answer.headers["vary"] == "Accept-Encoding"
        assert sha256(answer.content) == digest, "as the browser decodes it"
        assert (int(answer.headers["content-length"]) < len(answer.content) / 3) == TAKEN[said]


def test_no_page_with_the_sessions_token_is_compressed(house: House) -> None:
    """A page that bears a secret and something that others choose would tell the one by the length of the other (BREACH)."""
    house.desk()
    carla = house.visitor(CARLA)
    for path in ("/", DESK, f"{DESK}/receipt", f"{DESK}/explanation"):
        answer = carla.get(path, headers={"accept-encoding": "gzip, br"})
        assert 'name="csrf"' in answer.text
        assert "content-encoding" not in answer.headers


def test_a_fault_of_ours_is_a_page_with_our_headers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.desk()
    carla = house.visitor(CARLA)
    monkeypatch.setattr(house.rooms, "may_see", lambda *_: 1 / 0)
    answer = carla.get(DESK)
    assert answer.status_code == 500
    require_headers(answer)
    assert "It is safe to press again" in answer.text
    assert "ZeroDivision" not in answer.text


@pytest.mark.parametrize(
    "host", ["evil.example", "portal.bank.example.", "portal.bank.example:443", "PORTAL.bank.example:80", "", "127.0.0.1"]
)
def test_under_another_name_nobody_is_answered(house: House, host: str) -> None:
    house.desk()
    answer = house.visitor(CARLA).get(DESK, headers={"host": host})
    assert answer.status_code == 421
    require_headers(answer)
    assert "credit" not in answer.text


def test_what_a_proxy_says_of_the_name_counts_for_nothing(house: House) -> None:
    headers = {"x-forwarded-host": "evil.example", "forwarded": "host=evil.example", "x-original-url": "/sign-out"}
    answer = house.visitor().get("/", headers=headers)
    assert answer.status_code == 401
    assert "evil" not in answer.text


# --- where a sign-in leads ------------------------------------------------------------------------------------------

ELSEWHERE = [
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "/%2f/evil.example",
    "/\n/evil.example",
    "/\t/evil.example",
    "/ok\r\nset-cookie: a=b",
    "///evil.example",
    "evil.example",
    "/?next=//evil.example",
    "/desk@evil.example",
    "",
]


@pytest.mark.parametrize("then", ELSEWHERE)
def test_a_sign_in_leads_nowhere_else(house: House, then: str) -> None:
    answer = house.visitor().sign_in(CARLA, then)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_sign_in_leads_to_the_desk_that_was_asked_for(house: House) -> None:
    desk, visitor = house.desk(), house.visitor()
    page = f"{DESK}/{desk.freeze.renditions[0].digest}"
    [address] = re.findall(r'href="(/sign-in[^"]*)"', visitor.get(page).text)
    begun = visitor.get(address)
    assert visitor.get(visitor.led(begun.headers["location"], CARLA)).headers["location"] == page


@pytest.mark.parametrize("kind", ["iframe", "image", "empty", "object"])
def test_a_sign_in_begins_and_ends_in_a_window_of_its_own(house: House, kind: str) -> None:
    visitor = house.visitor()
    answer = visitor.get("/sign-in", headers={"sec-fetch-dest": kind})
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    back = visitor.led(visitor.to_provider(), CARLA)
    assert visitor.get(back, headers={"sec-fetch-dest": kind}).status_code == 403
    assert visitor.get(back, headers={"sec-fetch-dest": "document"}).status_code == 303


# --- sessions -------------------------------------------------------------------------------------------------------


def test_the_cookie_is_ours_alone_and_scripts_do_not_read_it(house: House) -> None:
    answer = house.visitor().sign_in(CARLA)
    [cookie] = answer.headers.get_list("set-cookie")
    assert cookie.startswith(f"{COOKIE}=")
    assert COOKIE.startswith("__Host-")
    assert {part.strip() for part in cookie.split(";")[1:]} == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}


def test_signing_in_gives_the_session_another_name_and_the_old_one_is_worth_nothing(house: House) -> None:
    house.desk()
    visitor = house.visitor()
    address = visitor.to_provider()
    planted = visitor.cookies[COOKIE]
    visitor.get(visitor.led(address, CARLA))
    assert visitor.cookies[COOKIE] != planted
    attacker = house.visitor()
    attacker.cookies.set(COOKIE, planted, domain="portal.bank.example")
    assert attacker.get(DESK).status_code == 401
    first = visitor.cookies[COOKIE]
    visitor.sign_in(DAVID)
    attacker.cookies.set(COOKIE, first, domain="portal.bank.example")
    assert attacker.get(DESK).status_code == 401, "nor is the name of whoever was signed in before"


def test_a_name_that_somebody_made_up_is_no_session(house: House) -> None:
    visitor = house.visitor()
    visitor.cookies.set(COOKIE, "made-up", domain="portal.bank.example")
    visitor.to_provider()
    assert visitor.cookies.get(COOKIE, domain="portal.bank.example", path="/") != "made-up"


def test_a_session_ends_when_its_person_signs_out(house: House) -> None:
    desk, carla = house.desk(), house.visitor(CARLA)
    form, name = carla.form(desk), carla.cookies[COOKIE]
    answer = carla.post("/sign-out", data={"csrf": form["csrf"]})
    assert answer.status_code == 303
    assert "Max-Age=0" in answer.headers["set-cookie"]
    carla.cookies.set(COOKIE, name, domain="portal.bank.example")
    assert carla.get(DESK).status_code == 401
    refused = carla.post(f"{DESK}/decision", data=form)
    assert refused.status_code == 401
    assert "You were not signed in any more when you pressed. Nothing was decided." in refused.text


def test_a_session_ends_after_an_hour_without_a_request_and_after_twelve_in_any_case(house: House) -> None:
    house.desk()
    now = 1000.0
    house.clock = lambda: now
    carla, idle = house.visitor(CARLA), house.visitor(CARLA)
    for _ in range(12):
        assert carla.get(DESK).status_code == 200
        now += 3599
    assert idle.get(DESK).status_code == 401
    now += 60
    assert carla.get(DESK).status_code == 401


def test_who_has_signed_in_stays_so_however_many_others_begin_to(house: House) -> None:
    house.desk()
    carla = house.visitor(CARLA)
    for _ in range(30):
        house.visitor().to_provider()
    assert carla.get(DESK).status_code == 200


def test_what_one_person_opened_the_next_one_in_the_same_browser_did_not(house: House) -> None:
    desk = house.desk(tier="tier-1")
    browser = house.visitor(CARLA)
    browser.get(f"{DESK}/{desk.freeze.explanation.digest}")
    browser.sign_in(CARLA)
    assert "(opened)" in browser.get(DESK).text
    browser.sign_in(DAVID)
    refused = browser.press(desk)
    assert refused.status_code == 409
    assert "Open the explanation first" in refused.text
    assert house.rooms.created == []


# --- the callback ---------------------------------------------------------------------------------------------------


def test_the_end_of_a_sign_in_serves_once_and_in_the_browser_in_which_it_began(house: House) -> None:
    attacker, victim = house.visitor(), house.visitor()
    back = attacker.led(attacker.to_provider(), DAVID)
    assert victim.get(back).status_code == 400, "nobody is signed in as somebody else by a link"
    assert victim.get("/").status_code == 401
    assert attacker.get(back).status_code == 303
    again = attacker.get(back)
    assert again.status_code == 400
    assert "It was used already" in again.text
    assert attacker.get("/").status_code == 200, "a reload of the callback signs nobody out"


def test_a_code_is_worth_nothing_in_another_sign_in(house: House) -> None:
    carla, thief = house.visitor(), house.visitor()
    stolen = carla.led(carla.to_provider(), CARLA)
    code = re.search(r"code=([^&]+)", stolen)
    own = re.search(r"state=([^&]+)", thief.to_provider())
    assert code is not None
    assert own is not None
    answer = thief.get(f"/callback?code={code[1]}&state={own[1]}&iss={house.provider.issuer}")
    assert answer.status_code == 403
    assert thief.get("/").status_code == 401


WRONG_ENDS: dict[str, Callable[[str], str]] = {
    "another issuer": lambda back: re.sub(r"iss=[^&]+", "iss=https%3A%2F%2Fevil.example", back),
    "no issuer": lambda back: re.sub(r"&?iss=[^&]+", "", back),
    "no code": lambda back: re.sub(r"code=[^&]+", "code=", back),
    "another code": lambda back: re.sub(r"code=[^&]+", "code=stolen", back),
    "an error": lambda back: f"{back}&error=access_denied",
    "an error that acts": lambda back: f"{back}&error=%3Cscript%3Ealert(1)%3C/script%3E",
}


@pytest.mark.parametrize("bend", [pytest.param(one, id=name) for name, one in WRONG_ENDS.items()])
def test_a_sign_in_that_ends_otherwise_signs_nobody_in(house: House, bend: Callable[[str], str]) -> None:
    visitor = house.visitor()
    answer = visitor.get(bend(visitor.led(visitor.to_provider(), CARLA)))
    assert answer.status_code == 403
    assert "You did not sign in" in answer.text
    assert "Nothing was decided, and it is safe to try again" in answer.text
    assert "<script" not in answer.text
    assert visitor.get("/").status_code == 401


# --- whether it lives -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/page.css"])
def test_what_asks_nobody_is_answered_while_every_thread_waits(house: House, path: str) -> None:
    while house.looking.away():
        time.sleep(0.01)

    async def asked() -> int:
        threads = anyio.to_thread.current_default_thread_limiter()
        for _ in range(int(threads.total_tokens)):
            threads.acquire_on_behalf_of_nowait(object())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url=HOME) as client:
            with anyio.fail_after(5):
                return (await client.get(path)).status_code

    assert anyio.run(asked) == 200


# --- what somebody may not see --------------------------------------------------------------------------------------


def test_a_desk_in_a_namespace_that_one_may_not_see_is_not_there(house: House) -> None:
    desk = house.desk()
    carla, ben = house.visitor(CARLA), house.visitor(BEN)
    form = carla.form(desk)
    ben_form = form | {"csrf": house.sessions.of(ben.cookies[COOKIE]).csrf}
    digests = [one.digest for one in desk.freeze.renditions] + [desk.freeze.explanation.digest]
    for path in (DESK, f"{DESK}/receipt", f"{DESK}/explanation", f"{DESK}/explanation/shown", *(f"{DESK}/{one}" for one in digests)):
        there, hidden, absent = carla.get(path), ben.get(path), ben.get(path.replace("2.4.0", "9.9.9"))
        assert (there.status_code, hidden.status_code, absent.status_code) == (200, 404, 404)
        assert hidden.text.replace("2.4.0", "9.9.9") == absent.text, "whether it is there is not told"
    assert ben.post(f"{DESK}/decision", data=ben_form).status_code == 404
    assert "credit-scoring" not in ben.get("/").text
    assert house.rooms.created == []


def test_the_bytes_of_another_desk_are_not_on_this_one(house: House) -> None:
    house.desk()
    other = house.desk("secret-1.0.0", b"<p>secret</p>", namespace="credit")
    carla = house.visitor(CARLA)
    stray = house.world.reader.freeze(other.freeze.id, other.digest)[1]
    for digest in (other.freeze.explanation.digest, *(one.digest for one in other.freeze.renditions), sha256(stray), other.digest):
        assert carla.get(f"{DESK}/{digest}").status_code == 404


def test_an_explanation_is_never_the_page_itself(house: House) -> None:
    content = b'<a href="https://evil.example">Your session has ended: sign in again</a><iframe src="https://evil.example"></iframe>'
    desk = house.desk(explanation=content)
    carla = house.visitor(CARLA)
    answer = carla.get(f"{DESK}/explanation/shown", headers={"sec-fetch-dest": "document"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{DESK}/explanation")
    shown = carla.get(f"{DESK}/explanation/shown", headers={"sec-fetch-dest": "iframe"})
    require_headers(shown)
    assert shown.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert shown.text == content.decode().replace("href", "x-href").replace("<iframe", "<x-iframe").replace("</iframe", "</x-iframe")
    kept = carla.get(f"{DESK}/{desk.freeze.explanation.digest}")
    assert kept.content == content
    assert kept.headers["content-type"] == "text/plain; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="explanation-[0-9a-f]{64}\.html\.txt"', kept.headers["content-disposition"])


@pytest.mark.parametrize("way", ["explanation/shown", "the file"])
def test_who_has_seen_the_explanation_has_opened_it_and_who_has_only_seen_the_page_around_has_not(house: House, way: str) -> None:
    desk = house.desk(tier="tier-1")
    carla = house.visitor(CARLA)
    carla.get(f"{DESK}/explanation")
    assert "(opened)" not in carla.get(DESK).text
    carla.get(f"{DESK}/{way if way != 'the file' else desk.freeze.explanation.digest}")
    assert "(opened)" in carla.get(DESK).text


def test_the_author_is_told_why_she_does_not_decide_and_one_broken_desk_hides_no_other(house: House) -> None:
    house.desk()
    broken = house.desk("credit-scoring-3.0.0", b"<p>broken</p>")
    path = next(one for one in house.world.folder.rglob("*") if one.is_file() and sha256(one.read_bytes()) == broken.digest)
    path.chmod(0o600)
    path.write_bytes(b"{}")
    queue = house.visitor(ANA).get("/")
    assert queue.status_code == 200
    assert f'href="{DESK}"' in queue.text
    assert "3.0.0" not in queue.text


# --- the queue ------------------------------------------------------------------------------------------------------


def decided(house: House, desk: Frozen, number: int) -> dict[str, Any]:
    """The promotion of a desk that is over, on which Carla decided in this minute; its desk was frozen in the same."""
    time = f"2026-03-02T{10 + number // 60}:{number % 60:02}:00Z"
    held: Any = house.rooms.held["credit", desk.freeze.request.name]
    conditions = [{"type": "Ready", "reason": "Promoted"}, {"type": "Frozen", "lastTransitionTime": time}]
    seals = [{"issuer": house.provider.issuer, "subject": CARLA, "time": time}]
    return {**held, "status": {**held["status"], "conditions": conditions, "seals": seals}}


def test_what_waits_is_shown_however_much_one_decided_before(house: House) -> None:
    old, waiting = house.desk(), house.desk("credit-scoring-2.5.0", b"<p>waits</p>")
    carla = house.visitor(CARLA)
    before = {("credit", str(number)): decided(house, old, number) for number in range(200)}
    house.rooms.held = {**before, ("credit", waiting.freeze.request.name): house.rooms.held["credit", waiting.freeze.request.name]}
    page = carla.get("/").text
    assert "/desk/credit/credit-scoring-2.5.0" in page.partition("You decided")[0]
    assert "the 20 that you decided last" in page
    assert "More waits" not in page


def test_of_what_one_decided_the_newest_is_shown_first_and_no_more_than_twenty(house: House) -> None:
    desk, carla = house.desk(), house.visitor(CARLA)
    house.rooms.held = {("credit", str(number)): decided(house, desk, number * 37 % 100) for number in range(100)}
    person = house.sessions.of(carla.cookies[COOKIE]).person
    assert person is not None
    found = house.portal.desks.queue(person.who)
    assert [one.desk.since for one in found.entries] == [f"2026-03-02T11:{minute:02}:00Z" for minute in range(39, 19, -1)]
    assert (found.more_wait, found.more_decided) == (False, True)
    house.rooms.held = dict(list(house.rooms.held.items())[:20])
    assert "that you decided last" not in carla.get("/").text, "all of them are shown"


def test_where_more_waits_than_is_shown_the_page_says_so(house: House) -> None:
    desk, carla = house.desk(), house.visitor(CARLA)
    waiting = house.rooms.held["credit", desk.freeze.request.name]
    house.rooms.held = {("credit", str(number)): waiting for number in range(200)}
    assert "More waits" not in carla.get("/").text
    house.rooms.held["credit", "one more"] = waiting
    page = carla.get("/").text
    assert "More waits for a decision than the 200 desks shown here" in page
    assert page.count(f'href="{DESK}"') == 200


def test_what_one_decided_and_others_still_decide_comes_after_what_nobody_here_has_decided(house: House) -> None:
    pressed, waiting = house.desk(), house.desk("credit-scoring-2.5.0", b"<p>waits</p>")
    carla = house.visitor(CARLA)
    pending = decided(house, pressed, 0)
    pending["status"]["conditions"] = [{"type": "Ready", "reason": "AwaitingDecision"}]
    before = {("credit", str(number)): pending for number in range(200)}
    house.rooms.held = {**before, ("credit", waiting.freeze.request.name): house.rooms.held["credit", waiting.freeze.request.name]}
    assert "/desk/credit/credit-scoring-2.5.0" in carla.get("/").text


def test_where_one_decided_nothing_the_page_says_so(house: House) -> None:
    house.desk()
    assert "Nothing yet." in house.visitor(CARLA).get("/").text.partition("You decided")[2]


def test_of_a_freeze_what_was_read_is_kept_and_not_its_bytes(house: House) -> None:
    desk, carla = house.desk(), house.visitor(CARLA)
    carla.get(DESK)
    kept = house.portal.desks._freeze
    assert kept.cache_info().currsize == 1
    assert kept.cache_info().maxsize <= 64  # type: ignore[operator]
    assert kept(desk.freeze.id, desk.digest) == desk.freeze


def test_a_desk_is_compared_with_its_request_once_and_another_request_is_none_of_its(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a request of 2,200 figures took longer than all else of its page."""
    house.desk()
    carla, compared = house.visitor(CARLA), list[str]()

    def counted(freeze: Any, value: Any) -> bool:
        compared.append(freeze.id)
        return is_freeze_of(freeze, value)

    monkeypatch.setattr("signoff.portal.desks.is_freeze_of", counted)
    assert [carla.get(DESK).status_code for _ in range(3)] == [200] * 3
    assert len(compared) == 1
    held: Any = house.rooms.held["credit", "credit-scoring-2.4.0"]
    house.rooms.held["credit", "credit-scoring-2.4.0"] = {**held, "spec": {**held["spec"], "reason": "Another."}}
    assert carla.get(DESK).status_code in {404, 409}
    house.rooms.held["credit", "credit-scoring-2.4.0"] = {**held, "spec": {**held["spec"], "reason": 0.5}}
    assert carla.get(DESK).status_code in {404, 409}


def test_a_promotion_is_read_whole_once_for_each_of_its_versions_and_asked_for_each_reader(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.desk()
    carla, whole = house.visitor(CARLA), list[str]()
    read = house.rooms.promotion

    def counted(namespace: str, name: str) -> Any:
        whole.append(name)
        return read(namespace, name)

    monkeypatch.setattr(house.rooms, "version", lambda namespace, name: version_of(read(namespace, name)))
    monkeypatch.setattr(house.rooms, "promotion", counted)
    assert [carla.get(DESK).status_code for _ in range(3)] == [200] * 3
    assert len(whole) == 1
    held: Any = house.rooms.held["credit", "credit-scoring-2.4.0"]
    house.rooms.held["credit", "credit-scoring-2.4.0"] = {**held, "status": {}}
    assert "not frozen" in carla.get(DESK).text
    assert len(whole) == 2
    del house.rooms.held["credit", "credit-scoring-2.4.0"]
    assert carla.get(DESK).status_code == 404
    assert len(whole) == 2


# --- what is out of reach -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", DESK, f"{DESK}/receipt"])
@pytest.mark.parametrize("fault", [ClusterAway("the API server did not answer: 503"), Unavailable("no answer", "x")])
def test_what_is_out_of_reach_is_said_in_plain_words(house: House, path: str, fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    house.desk()
    carla = house.visitor(CARLA)
    if isinstance(fault, ClusterAway):
        house.rooms.fails = fault
    else:
        monkeypatch.setattr(house.world.store, "read", raising(fault))
    answer = carla.get(path)
    assert answer.status_code == 503
    assert "Nothing was decided, and it is safe to try again." in answer.text


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


def test_a_press_of_which_nothing_is_known_is_not_said_to_have_decided_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, carla = house.desk(), house.visitor(CARLA)
    monkeypatch.setattr(house.rooms, "decide", raising(NotKnown("the API server does not answer (ReadTimeoutError)")))
    answer = carla.press(desk)
    assert answer.status_code == 503
    assert "It is not known whether this was decided" in answer.text
    assert "It is safe to press again" in answer.text
    assert "Nothing was decided" not in answer.text


def test_a_seal_whose_decision_was_not_taken_is_finished_by_pressing_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, carla = house.desk(), house.visitor(CARLA)
    form = carla.form(desk)
    house.world.archive_seal(
        house.world.seal(desk.payload, desk.freeze, Principal(issuer=house.provider.issuer, subject=CARLA, name="Carla"))
    )
    with monkeypatch.context() as broken:
        broken.setattr(house.rooms, "decide", raising(NotKnown("the API server does not answer (ReadTimeoutError)")))
        answer = carla.post(f"{DESK}/decision", data=form)
    assert answer.status_code == 503
    assert "Sealed, and not yet taken" in answer.text
    assert "Press again to finish it; it stays one." in answer.text
    page = carla.get(DESK).text
    assert "Approve it again" in page
    assert 'value="Reject"' not in page, "the other verdict is not offered any more"
    assert carla.press(desk).status_code == 303
    assert len(house.rooms.created) == 1


def test_a_press_that_is_refused_decided_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, carla = house.desk(), house.visitor(CARLA)
    monkeypatch.setattr(house.rooms, "decide", raising(Denied("spec.freeze: the live version has changed")))
    answer = carla.press(desk)
    assert answer.status_code == 403
    assert "Nothing was decided: the archive holds no seal of yours on this desk." in answer.text


def test_a_double_click_is_one_decision_by_its_name(house: House) -> None:
    desk, carla = house.desk(), house.visitor(CARLA)
    form = carla.form(desk)
    for _ in range(2):
        assert carla.post(f"{DESK}/decision", data=form).status_code == 303
    assert house.visitor(DAVID).press(desk).status_code == 303
    first, second, other = (one["metadata"]["name"] for one in house.rooms.created)
    assert first == second != other


# --- anything at all ------------------------------------------------------------------------------------------------

PATHS = st.one_of(
    st.sampled_from(["/", "/sign-in", "/callback", "/sign-out", DESK, f"{DESK}/receipt", f"{DESK}/explanation", f"{DESK}/decision"]),
    st.builds(lambda *parts: "/desk/" + quote("/".join(parts), safe="/%"), *[st.text("ab.-%2f/\\\x00é~:", max_size=20)] * 3),
)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, provider: Any) -> Visitor:
    house = House(tmp_path_factory.mktemp("house"), provider)
    house.desk()
    return house.visitor(CARLA)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]),
    path=PATHS,
    query=st.dictionaries(st.sampled_from(["state", "code", "iss", "error", "next", "csrf"]), st.text(max_size=40), max_size=3),
    headers=st.dictionaries(
        st.sampled_from(["origin", "content-type", "sec-fetch-site", "sec-fetch-dest", "x-forwarded-host", "cookie"]),
        st.sampled_from(["", "null", "a=b", FORM["content-type"], "document", "\x7f"]),
        max_size=3,
    ),
    body=st.binary(max_size=200),
)
def test_whatever_is_asked_it_is_answered_and_with_our_headers(
    known: Visitor, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes
) -> None:
    answer = known.request(method, path, params=query, headers=headers, content=body)
    assert answer.status_code < 500
    require_headers(answer)
    assert known.house.rooms.created == []


def test_what_was_altered_is_not_said_to_be_out_of_reach(house: House) -> None:
    desk = house.desk()
    carla = house.visitor(CARLA)
    page = desk.freeze.renditions[0].digest
    file = house.world.folder / "blobs" / "sha256" / page.removeprefix("sha256:")
    file.chmod(0o600)
    file.write_bytes(b"forged")
    answer = carla.get(f"{DESK}/{page}")
    assert answer.status_code == 409
    assert "Nothing was decided" in answer.text
    assert "Out of reach" not in answer.text
    assert "find out how it changed" in answer.text
