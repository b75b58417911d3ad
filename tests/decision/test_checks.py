"""Which checks count: what is wrong with each that does not is said, and none is believed for where it came from."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from checking import QUIET, bring, brought, bundle_about, bundle_of, check_of
from world import SPEC, STORED, trusted_key

from signoff.decision.checks import CANDIDATE, DATA, ENDED, ITSELF, SIGNATURE, measured, refuse_forged
from signoff.decision.checks import LIVE as LIVE_FLAW
from signoff.decision.seals import CouldNotTell, NotBelieved
from signoff.policy.facts import Measured
from signoff.record.canonical import dumps
from signoff.record.check import open_check, require_checks
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.request import Incumbent, Spec, read_spec
from signoff.record.trust import Trust, read_trust
from signoff.record.values import Digest, RecordError

KEY, STRANGER = PemSigner(generate_pem()), PemSigner(generate_pem())
OTHER = "sha256:" + "7" * 64
LIVE: dict[str, Any] = {"version": "2.3.1", "digest": "sha256:" + "5" * 64}

Change = Callable[[dict[str, Any]], None]


def trust(**changes: Any) -> Trust:
    value = {
        "format": "signoff.dev/trust/v1",
        "version": 1,
        "keys": [{**trusted_key(KEY, "check"), **changes}],
        "policies": {"publishers": [{"issuer": "https://i", "subject": "paula"}], "fourEyes": False},
    }
    return read_trust(dumps(value))


def asking(change: Change = lambda _: None, *, signer: PemSigner = KEY, live: dict[str, str] | None = None) -> Spec:
    spec = deepcopy(SPEC)
    if live is not None:
        spec["model"]["incumbent"] = dict(live)
        spec["comparison"]["incumbent"] = {**live, "metrics": spec["comparison"]["candidate"]["metrics"]}
    bring(spec, signer, change=change)
    return read_spec(spec)


def only(found: tuple[Measured, ...]) -> Measured:
    [one] = found
    return one


def test_a_check_of_this_candidate_against_what_is_live_counts() -> None:
    one = only(measured(asking(live=LIVE), trust(), STORED, Incumbent(**LIVE)))
    assert one.flaw == ""
    assert one.key == KEY.key_id
    assert one.figures == QUIET
    assert only(measured(asking(), trust(), STORED, None)).flaw == "", "where nothing is live it compares with nothing"


def test_a_request_without_checks_has_none() -> None:
    assert measured(read_spec(SPEC), trust(), STORED, None) == ()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(lambda value: value["candidate"].update(digest=OTHER), CANDIDATE, id="another image"),
        pytest.param(lambda value: value["candidate"].update(version="9.9.9"), CANDIDATE, id="another version"),
        pytest.param(lambda value: value["candidate"].update(name="credit-limit"), CANDIDATE, id="the same image as another model"),
        pytest.param(
            lambda value: value["candidate"].update(artifacts=[{"name": "weights", "digest": OTHER}]), CANDIDATE, id="other weights"
        ),
        pytest.param(lambda value: value.update(incumbent={"version": "2.3.1", "digest": OTHER}), LIVE_FLAW, id="against another version"),
        pytest.param(lambda value: value.pop("incumbent"), LIVE_FLAW, id="against nothing"),
        pytest.param(lambda value: value["datasets"][0].update(digest=OTHER), DATA, id="on other data"),
        pytest.param(lambda value: value["datasets"][0].update(role="feature-view"), DATA, id="data as another"),
    ],
)
def test_bypass_07_a_good_check_of_something_else_does_not_count(change: Change, why: str) -> None:
    assert only(measured(asking(change, live=LIVE), trust(), STORED, Incumbent(**LIVE))).flaw == why


def test_what_was_live_when_it_was_measured_is_no_longer() -> None:
    other = Incumbent(version="2.3.1", digest=Digest(OTHER))
    assert only(measured(asking(live=LIVE), trust(), STORED, other)).flaw == LIVE_FLAW
    assert only(measured(asking(live=LIVE), trust(), STORED, Incumbent(version="2.3.0", digest=LIVE["digest"]))).flaw == LIVE_FLAW
    assert only(measured(asking(), trust(), STORED, Incumbent(**LIVE))).flaw == LIVE_FLAW


def test_a_candidate_measured_against_itself_is_no_candidate_measured() -> None:
    def itself(value: dict[str, Any]) -> None:
        value["incumbent"] = {name: value["candidate"][name] for name in ("version", "digest")}

    own = Incumbent(version=SPEC["model"]["version"], digest=Digest(SPEC["model"]["image"].partition("@")[2]))
    assert only(measured(asking(itself), trust(), STORED, own)).flaw == ITSELF


def test_a_key_that_the_trust_file_does_not_name() -> None:
    assert only(measured(asking(signer=STRANGER), trust(), STORED, None)).flaw == SIGNATURE
    refuse_forged(asking(signer=STRANGER), trust())


def test_a_forged_signature_under_a_trusted_keys_name() -> None:
    spec = deepcopy(SPEC)
    bundle = bundle_of(check_of(spec), STRANGER).replace(STRANGER.key_id.encode(), KEY.key_id.encode())
    spec["checks"] = [brought(bundle)]
    assert only(measured(read_spec(spec), trust(), STORED, None)).flaw == SIGNATURE
    with pytest.raises(NotBelieved, match="does not verify"):
        refuse_forged(read_spec(spec), trust())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"use": "seal"}, SIGNATURE),
        ({"use": "event"}, SIGNATURE),
        ({"targets": {"environments": ["staging"], "clusters": ["demo"]}}, SIGNATURE),
        ({"validUntil": "2026-03-01T00:00:00Z"}, ENDED),
        ({"compromised": {"at": "2026-03-01T00:00:00Z"}}, ENDED),
    ],
)
def test_a_key_that_is_not_for_this(changes: dict[str, Any], why: str) -> None:
    assert only(measured(asking(), trust(**changes), STORED, None)).flaw == why


def test_an_ended_key_and_no_time_of_storage_could_not_tell() -> None:
    ended = trust(validUntil="2026-09-01T00:00:00Z")
    assert only(measured(asking(), ended, datetime(2026, 8, 31, tzinfo=UTC), None)).flaw == ""
    with pytest.raises(CouldNotTell):
        measured(asking(), ended, None, None)


@pytest.mark.parametrize(
    "bundle",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}", id="no bundle"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(
            bundle_about(check_of(SPEC), KEY, ("candidate", OTHER), ("report", check_of(SPEC)["report"]["digest"])), id="of other subjects"
        ),
        pytest.param(bundle_about({**check_of(SPEC), "verdict": "fine"}, KEY, ("candidate", OTHER), ("report", OTHER)), id="a field more"),
        pytest.param(
            bundle_of(check_of(SPEC, {f"m{n}": "0.1" for n in range(200)}, lambda v: v.update(tool="x" * 256)), KEY) * 2, id="two"
        ),
    ],
)
def test_what_is_no_check_is_refused_when_submitted_and_left_out_later(bundle: bytes) -> None:
    spec = deepcopy(SPEC)
    spec["checks"] = [{"bundle": "AA==" if not bundle else brought(bundle)["bundle"], "report": {"source": {"inline": "x"}}}]
    read = read_spec(spec)
    with pytest.raises(RecordError, match=r"spec\.checks\[0\]\.bundle"):
        require_checks(read)
    assert measured(read, trust(), STORED, None) == ()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(lambda value: value["measured"].append(value["measured"][0]), "a figure is said twice", id="a figure twice"),
        pytest.param(lambda value: value["measured"][0].update(value="NaN"), "measured", id="no figure"),
        pytest.param(lambda value: value["measured"][0].update(value="1e999"), "measured", id="beyond a double"),
        pytest.param(lambda value: value["measured"][0].update(value="1E-400"), "measured", id="nothing to a double"),
        pytest.param(lambda value: value["measured"].clear(), "measured", id="no figures"),
        pytest.param(lambda value: value["report"].update(size=0), "report", id="an empty report"),
    ],
)
def test_a_check_is_held_to_its_schema(change: Change, why: str) -> None:
    with pytest.raises(RecordError, match=why):
        bundle_of(check_of(SPEC, change=change), KEY)


def test_a_check_too_long_is_refused() -> None:
    long = {f"{'x' * 240}{number}": "0.1234567890123456789" for number in range(200)}
    with pytest.raises(RecordError, match="more than the 32768 allowed"):
        open_check(bundle_of(check_of(SPEC, long), KEY))
