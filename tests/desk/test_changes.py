"""What changed since the last approved version: each thing that may change, by how much, and what the desk says where it cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, localcontext
from typing import Any

import pytest
from builders import example_explanation, shown_of, shown_value
from desks import approved_first, refreshed_promotion

from signoff.desk.changes import change_of, changes_section, changes_sentence
from signoff.desk.content import Facts, Measures, Prose
from signoff.desk.render import render
from signoff.record.canonical import dumps
from signoff.record.freeze import Shown, last_approved
from signoff.record.promotion import as_json
from signoff.record.values import RecordError, sha256

Change = Callable[[dict[str, Any]], object]


def again(change: Change = lambda _: None, since: Change = lambda _: None) -> Shown:
    """The same once more, as a later version; ``change`` alters what is asked now, ``since`` what was approved then."""
    first = approved_first()
    value: dict[str, Any] = shown_value()
    model = value["request"]["spec"]["model"]
    value["live"] = {"id": first.id, "event": sha256(b"event"), "version": model["version"], "digest": model["image"].partition("@")[2]}
    value["lastApproved"] = as_json(last_approved(first, sha256(b"then")))
    change(value)
    since(value["lastApproved"])
    return shown_of(value)


def said(shown: Shown) -> dict[str, tuple[str, ...]]:
    blocks = changes_section(shown).blocks
    return {fact.label: fact.values for block in blocks if isinstance(block, Facts) for fact in block.items}


def test_rule_4_what_is_the_same_is_said() -> None:
    [sentence] = changes_sentence(again())
    assert sentence == (
        "Since the approved version 2.4.0 these changed: 0 of 7 figures. Not changed: image, artefacts, datasets, explanation, clusters, "
        "namespaces, validity, tier, policy, author, submitter."
    )
    assert all(any("same" in value for value in values) for values in list(said(again()).values())[:-2])
    assert not [block for block in changes_section(again()).blocks if isinstance(block, Measures)]


OTHER = "sha256:" + "e" * 64
ASPECTS: dict[str, tuple[Change, str, tuple[str, ...]]] = {
    "image": (
        lambda then: then.update(image="registry.bank.example/other@" + OTHER),
        "Image",
        (
            f"then registry.bank.example/other {OTHER}",
            "now registry.bank.example/models/credit-scoring sha256:2ded941b3cd7158006805ae624fec7607524cb5d213e73cca68d853a984520c2",
        ),
    ),
    "an artefact's bytes": (
        lambda then: then["artifacts"][0].update(digest=OTHER),
        "Artefacts",
        (f"another: model.onnx, then {OTHER}", "the same: preprocessing.json"),
    ),
    "no artefacts then": (lambda then: then.pop("artifacts"), "Artefacts", ("new: model.onnx", "new: preprocessing.json")),
    "an artefact gone": (
        lambda then: then["artifacts"].append({"name": "tokenizer", "digest": OTHER}),
        "Artefacts",
        (f"gone: tokenizer, {OTHER}", "the same: model.onnx, preprocessing.json"),
    ),
    "a dataset of the same name twice": (
        lambda then: then["datasets"].append({**then["datasets"][0], "digest": OTHER}),
        "Datasets",
        (
            f"gone: retail-applications-2025h2, evaluation (2), 2026-01-15, {OTHER}",
            "the same: retail-applications-2025h2, evaluation, retail-applicants-2024, reference, retail-credit-features, feature view",
        ),
    ),
    "the explanation": (
        lambda then: then["explanation"].update(digest=OTHER, size=1234),
        "Explanation",
        (f"another document; then text/html, 1,234 bytes, {OTHER}",),
    ),
    "clusters": (lambda then: then["target"].update(clusters=["demo", "old"]), "Clusters", ("gone: old", "the same: demo")),
    "namespaces": (lambda then: then["target"].update(namespaces=["batch"]), "Namespaces", ("new: credit", "gone: batch")),
    "validity": (
        lambda then: (then.pop("validFor"), then.pop("onExpiry", None)),
        "Validity",
        ("then without an end", "now 8,760 hours, after that deny-all"),
    ),
    "expiry": (
        lambda then: then.update(onExpiry="deny-new-rollouts"),
        "Validity",
        ("then 8,760 hours, after that deny-new-rollouts", "now 8,760 hours, after that deny-all"),
    ),
    "tier": (lambda then: then.update(tier="tier-3"), "Tier", ("then tier-3", "now tier-2")),
    "rule": (
        lambda then: then.update(rule="other"),
        "Policy",
        ("then credit-models, rule other", "now credit-models, rule named-individual"),
    ),
    "author": (lambda then: then.update(author="eve"), "Author", ("then eve", "now ana@bank.example")),
    "submitter": (
        lambda then: then["submitters"][0].update(subject="eve"),
        "Submitter",
        (
            "new: ben@bank.example (6f1c2b9e-ben, as known to https://login.bank.example)",
            "gone: ben@bank.example (eve, as known to https://login.bank.example)",
        ),
    ),
}


@pytest.mark.parametrize("case", ASPECTS)
def test_each_thing_that_changed_is_said_in_both_renditions(case: str) -> None:
    since, label, values = ASPECTS[case]
    shown = again(since=since)
    assert said(shown)[label] == values
    [sentence] = changes_sentence(shown)
    changed, _, unchanged = sentence.partition(" Not changed: ")
    assert label.lower() in changed
    assert label.lower() not in unchanged
    for rendition in render(shown, example_explanation()):
        words = "".join(rendition.content.decode().split())
        assert [value for value in values if "".join(value.split()) not in words] == []


@pytest.mark.parametrize(
    ("then", "now", "change"),
    [
        ("0.8012", "0.8127", "+0.0115"),
        ("0.8127", "0.8012", "-0.0115"),
        ("-1", "1", "+2"),
        ("0.1", "0.3", "+0.2"),  # and not 0.19999999999999998
        ("1e2", "101", "+1"),
        ("0", "1e-20", "+0.00000000000000000001"),
        ("0", "1e99", "about +1e+99"),
        ("-9.9e99", "9.9e99", "about +1.98e+100"),
        ("1e-99", "0", "about -1e-99"),
        (f"0.{'3' * 60}", "1", "about +6.66667e-1"),
        ("1", "1.0", "0.0"),
    ],
)
def test_rule_2_by_how_much_to_the_digit(then: str, now: str, change: str) -> None:
    assert change_of(then, now) == change
    with localcontext(Context(prec=1)):  # whatever precision the process has
        assert change_of(then, now) == change


def figures(shown: Shown) -> list[tuple[str, tuple[str | None, ...]]]:
    tables = [block for block in changes_section(shown).blocks if isinstance(block, Measures)]
    return [(name, tuple(cell.figure if cell else None for cell in cells)) for name, cells in (tables[0].rows if tables else ())]


def test_figures_that_changed_came_or_went() -> None:
    def since(then: dict[str, Any]) -> None:
        metrics = then["candidate"]["metrics"]
        metrics[0]["value"] = "0.8"
        metrics[1]["value"] += "0"  # the same figure, spelt otherwise
        metrics[2]["name"] = "ks.old"
        metrics.append({**metrics[3], "value": "0.5"})  # one that stood there twice

    assert figures(again(since=since)) == [
        ("auc", ("0.8", "0.8127", "+0.0127")),
        ("ks", (None, "0.4731", "new")),
        ("ks.old", ("0.4731", None, "gone")),
        ("brier", ("0.5", None, "gone")),
    ]


def test_rule_3_other_data_are_told_before_the_figures() -> None:
    blocks = changes_section(refreshed_promotion()[0]).blocks
    told = next(number for number, block in enumerate(blocks) if isinstance(block, Prose) and "different data" in block.paragraphs[0])
    assert told < next(number for number, block in enumerate(blocks) if isinstance(block, Measures))
    assert "different data" not in render(again(), example_explanation())[1].content.decode()


def test_the_incumbents_own_figures_are_held_beside_those_of_its_desk() -> None:
    text = render(*refreshed_promotion())[1].content.decode()
    assert "This request gives other figures for version 2.4.0 than its own desk did" in " ".join(text.split())
    assert "auc                           0.8127     0.8119  -0.0008" in text


def test_where_nothing_is_live_it_is_the_first() -> None:
    [block] = changes_section(shown_of(shown_value())).blocks
    assert block == Prose(("This is the first: the archive knew no approved version of this model here when the desk was frozen.",))
    assert changes_sentence(shown_of(shown_value())) == ()


def test_a_freeze_that_says_nothing_of_what_is_live_is_told_as_that() -> None:
    [block] = changes_section(again().model_copy(update={"lastApproved": None})).blocks
    assert isinstance(block, Prose)
    assert "does not stand in this freeze" in block.paragraphs[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.pop("live"),
        lambda value: value["live"].update(version="2.3.0"),
        lambda value: value["live"].update(digest=OTHER),
    ],
    ids=["nothing is live", "another version is live", "another image is live"],
)
def test_what_was_approved_last_is_what_is_live(change: Change) -> None:
    with pytest.raises(RecordError, match="lastApproved must be the promotion that live names"):
        again(change)


def test_a_freeze_without_it_has_the_bytes_that_it_had() -> None:
    assert b"lastApproved" not in dumps(as_json(shown_of(shown_value())))
