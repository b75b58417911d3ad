"""What the verifier answers, rule by rule: of an outcome, and of the places that it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from signoff.decision.seals import CouldNotTell, Filed, NotBelieved
from signoff.errors import SignoffError
from signoff.record.trust import Trust
from signoff.record.values import Digest
from signoff.verify.case import Case, Outcome
from signoff.verify.policies import refuse_underived
from signoff.verify.reader import Reader
from signoff.verify.verifier import PLACE_RULES, RULES, Place, Question, Verified, admission


@dataclass(frozen=True)
class Step:
    """A rule's answer: ``ok``, ``FAILED`` or ``could not tell``, and why."""

    number: int
    name: str
    answer: str
    why: str = ""


def steps(outcome: Outcome, trust: Trust, policies: Mapping[Digest, Filed]) -> tuple[Step, ...]:
    """Return each rule's answer, up to the first that does not hold, as the verifier itself stops there."""
    case = Case(outcome, trust, policies)
    told: list[Step] = []
    for rule in RULES:
        try:
            rule.check(case)
        except CouldNotTell as error:
            return (*told, Step(rule.number, rule.name, "could not tell", str(error)))
        except SignoffError as error:
            return (*told, Step(rule.number, rule.name, "FAILED", str(error)))
        told.append(Step(rule.number, rule.name, "ok"))
    return tuple(told)


def derivation(verified: Verified, trust: Trust, policies: Mapping[Digest, Filed]) -> str:
    """Return whether the route follows from the policies that it names, conditions and all: ``ok`` or ``FAILED``."""
    try:
        refuse_underived(verified.freeze, policies.__getitem__, trust)
    except NotBelieved:
        return "FAILED"
    return "ok"


def places(reader: Reader, verified: Verified, now: datetime) -> tuple[Step, ...]:
    """Return what each rule about places answers of the image, now (aware), in a place that it was decided for; all of these are alike.

    A place's own minimum tier is the namespace's to ask for: here none is asked for. A rule that could not be told is told as that.
    """
    target = verified.freeze.request.spec.target
    place = Place(target.environment, target.clusters[0], target.namespaces[0])
    question = Question(verified.freeze.request.spec.model.digest, place, now)
    unsure = ""
    try:
        corrections = reader.corrections(verified)
    except CouldNotTell as error:
        corrections, unsure = (), str(error)
    asked = admission(verified, corrections)
    told: list[Step] = []
    for rule in PLACE_RULES:
        if rule.name == "corrections" and unsure:
            told.append(Step(rule.number, rule.name, "could not tell", unsure))
            continue
        try:
            rule.check(asked, question)
        except SignoffError as error:
            told.append(Step(rule.number, rule.name, "NO", str(error)))
            continue
        told.append(Step(rule.number, rule.name, "ok"))
    return tuple(told)
