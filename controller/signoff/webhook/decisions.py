"""PromotionDecisions at admission: where a decision becomes a seal.

The seal is made when all of these hold, in this order, and it is in the archive before the review is answered:

 1. The client made no seal; the spec is of its closed schema, and after creation it does not change.
 2. The promotion exists, admission witnessed its submission, and this cluster is its target and may speak for it.
 3. The freeze is in the archive, is of this very request, and was frozen in this cluster.
 4. The policies that it names are published, the route derived again is the frozen one, and those in force are no stricter.
 5. Who asked is who admission witnessed. The desk, made again from request, archived explanation and the live version's own event, is the
    one that the freeze names, byte for byte; the rendition shown is one of it.
 6. The desk is not stale: the incumbent that it shows is still the live one.
 7. Who decides is a person (in tier 3 a policy engine of the trust file), holds a role of the route, and did not ask for the promotion:
    neither by themselves nor, as far as roles tell now, through the service account that submitted. They may ``approve`` the tier in each
    namespace of the target (SubjectAccessReview).
    Who decides in somebody's name does so by a grant that is there and in the archive, and in scope; then all of this is asked of whoever
    granted it as well, and the roles and the verb ``approve`` are theirs.
    Who approves in tier 1 says that they have opened the explanation. What the route asks for as a proof of consent is brought along.
 8. The request has no outcome yet, and no decision has this name. Whoever decided the same before gets the stored seal back, and the object
    then says what was sealed; another verdict of theirs is refused.

Everything is read from the archive, nothing from a status. A dry run goes through the same checks and gets no seal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from signoff.archive import layout
from signoff.archive.store import Exists, Missing, Unavailable
from signoff.archive.write import read_blob
from signoff.decision.delegations import grantor_of, require_scope
from signoff.decision.eligibility import Standing, standing
from signoff.decision.frozen import believe_submissions
from signoff.decision.meanings import NOT_KNOWN
from signoff.decision.principals import SERVICE_ACCOUNTS, Resolved
from signoff.decision.seals import Filed, read_delegation, read_seal, seal_bundle
from signoff.desk.explanation import MAX_EXPLANATION
from signoff.desk.freezing import refuse_other_desk, refuse_stale
from signoff.policy.facts import INCUMBENT, history_of
from signoff.policy.routing import is_stricter, route
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.canonical import Json, b64decode, b64encode, dumps
from signoff.record.check import reports_of
from signoff.record.freeze import Freeze, Principal
from signoff.record.promotion import SealedDecision, as_json, is_freeze_of
from signoff.record.request import read_spec, request_id, request_value
from signoff.record.seal import Delegation, Grant, PromotionName, Seal
from signoff.record.trust import Answer
from signoff.record.values import Closed, DigestField, ObjectName, RequestId, Text, Timestamp, format_time, parse, parse_digest, parse_time
from signoff.verify.policies import derive_now, in_force
from signoff.webhook.cluster import NotFound
from signoff.webhook.consent import About, Acting, ConsentSpec, acting, decider
from signoff.webhook.passkeys import registered
from signoff.webhook.promotions import submission_of
from signoff.webhook.review import Reply, Review
from signoff.webhook.witness import SAFE, Refused, Witness, field, kept, or_nothing, unchanged

_NEW = "a decision is created once and not changed; make a new request where another decision is wanted"


class DecisionSpec(Closed):
    """``PromotionDecision.spec``."""

    promotion: ObjectName
    freeze: DigestField
    rendition: DigestField
    verdict: Literal["Approve", "Reject"]
    meaning: Text
    comment: Text | None = None
    explanationOpened: bool | None = None
    delegation: ObjectName | None = None
    consent: ConsentSpec | None = None


@dataclass(frozen=True)
class _Granted:
    """A grant as it lies in the archive, believed and in scope."""

    delegation: Delegation
    grant: Grant

    @property
    def user(self) -> Mapping[str, Json]:
        """The grantor, as the API server is asked about them."""
        return {"username": self.delegation.username, "groups": list(self.delegation.groups)}


@dataclass(frozen=True)
class _Checked:
    """What the checks found out."""

    spec: DecisionSpec
    request: RequestId
    freeze: Freeze
    acting: Acting
    standing: Standing
    granted: _Granted | None
    time: Timestamp


def seal(witness: Witness, review: Review) -> Reply:
    """Answer the mutating review."""
    with or_nothing("nothing was decided"):
        return _seal_or_refuse(witness, review)


def _seal_or_refuse(witness: Witness, review: Review) -> Reply:
    if review.operation == "UPDATE":
        return _update(review)
    if "seal" in review.obj:
        raise Refused("only admission makes seals", where="seal", mend="leave it out")
    checked = _check(witness, review)
    stored = _stored(witness, checked)
    if stored is not None:
        _require_same(stored, checked.spec)
        _require_same_voice(stored, checked.granted)
    elif witness.has_outcome(checked.request):
        raise Refused("the request has its outcome already", where="spec.promotion", mend=f"see: signoff why {checked.freeze.id}")
    name = field(review.obj, "metadata", "name")
    if stored is None and name and witness.cluster.decision_exists(review.namespace, name):
        raise Refused("a decision of this name exists already; nothing was decided", where="metadata.name", mend="choose another name")
    if review.dry_run:
        return Reply(warnings=("dry run: the decision would be accepted; nothing was sealed",))
    sealed = stored if stored is not None else _seal(witness, review, checked)
    value: Json = {"bundle": b64encode(sealed.bundle)}
    return Reply(
        patch=({"op": "add", "path": "/seal", "value": value}, *_as_sealed(sealed, checked.spec)),
        warnings=(f"you decided this at {sealed.seal.decided.time} already; that seal stands",) if stored is not None else (),
    )


def check(witness: Witness, review: Review) -> Reply:
    """Answer the validating review: the seal on the final object is ours, archived, of this decision, by whoever sent it."""
    if review.operation == "UPDATE":
        if not (unchanged(review, "spec") and unchanged(review, "seal")):
            raise Refused(_NEW, where="spec")
        return Reply()
    bundle = field(review.obj, "seal", "bundle")
    if review.dry_run and "seal" not in review.obj:
        return Reply()
    if not bundle:
        raise Refused("the decision bears no seal", where="seal", mend="create it again; nothing was decided")
    spec = _spec(review)
    request, freeze, _ = _freeze(witness, review.namespace, spec)
    filed = Filed(b64decode(bundle, "seal.bundle"), witness.now())
    sealed = read_seal(filed, witness.reader.trust, freeze.request.spec.target)
    who = decider(witness.providers, witness.reader.trust, witness.who(review), spec.consent)
    _require_same(sealed, spec)
    if _as_sealed(sealed, spec):
        raise Refused("says other than what was sealed", where="spec", mend="create it again")
    if sealed.seal.id != request or sealed.seal.freeze != spec.freeze or not sealed.seal.decided.principal.is_same(who.principal):
        raise Refused("the seal is of another decision", where="seal", mend="leave it out")
    key = layout.seal(spec.freeze, who.principal.issuer, who.principal.subject)
    if witness.store.read(key, limit=MAX_BUNDLE).data != sealed.bundle:
        raise Refused("the seal is not the one in the archive", where="seal", mend="create the decision again")
    return Reply()


def _update(review: Review) -> Reply:
    if not unchanged(review, "spec"):
        raise Refused(_NEW, where="spec")
    return kept(review, "seal")


def _check(witness: Witness, review: Review) -> _Checked:
    spec = _spec(review)
    promotion = witness.cluster.promotion(review.namespace, spec.promotion)
    request, freeze, payload = _freeze(witness, review.namespace, spec, promotion)
    time = format_time(witness.now())  # of the decision, and of what is asked of its consent
    decides = _acting(witness, review, spec, freeze, time)
    who, user = decides.who, decides.user
    _require_opened(spec, freeze)
    target = freeze.request.spec.target
    submitted = submission_of(witness, promotion, freeze.request.spec)
    if submitted.id != request:
        raise Refused("its submission is of another request", where="submission", mend="delete the promotion and apply it again")
    if witness.cluster_name not in target.clusters or freeze.cluster != witness.cluster_name:
        raise Refused(f"the desk was frozen in cluster {freeze.cluster}; decide there", where="spec.freeze")
    witness.require_voice(target)
    granted = _granted(witness, spec.delegation, freeze, who, time) if spec.delegation is not None else None
    if spec.verdict == "Reject" and _is_engine(witness, who):
        raise Refused("the policy engine rejects nothing", where="spec.verdict", mend="leave it to people")
    stand = standing(
        freeze, who, (submitted.principal,), granted.delegation if granted is not None else None, is_engine=_is_engine(witness, who)
    )
    submitters = (*(one.principal for one in freeze.submissions), submitted.principal)
    _require_apart(witness, user, submitters, who.principal)
    if granted is None:
        _require_verb(witness, review.namespace, user, freeze, who.principal)
    else:
        _require_verb(witness, review.namespace, granted.user, freeze, granted.delegation.grantor)
        _require_apart(witness, granted.user, submitters, granted.delegation.grantor)
    believe_submissions(freeze, witness.reader.trust, witness.now())
    _require_route(witness, freeze)
    _require_reports(witness, freeze)
    explanation = read_blob(witness.store, freeze.explanation.digest, limit=MAX_EXPLANATION)
    refuse_other_desk(freeze, payload, explanation, witness.reader.last_approved(freeze.live))
    if spec.rendition not in {one.digest for one in freeze.renditions}:
        raise Refused("is no rendition of this freeze", where="spec.rendition", mend="look at the desk again and decide on what it shows")
    live = witness.reader.incumbent(freeze.request.spec.model.name, target.environment, witness.cluster_name)
    if live != freeze.live and not witness.has_outcome(request):
        refuse_stale(freeze.request.spec, live)
        raise Refused(
            "the live version has changed since the desk was frozen", where="spec.freeze", mend="look at the new desk and decide again"
        )
    return _Checked(spec, request, freeze, decides, stand, granted, time)


def _acting(witness: Witness, review: Review, spec: DecisionSpec, freeze: Freeze, time: Timestamp) -> Acting:
    """Return who decides, and how far what they bring along proves it."""
    about = About(freeze, spec.freeze, spec.rendition, spec.verdict, parse_time(time))
    passkey = spec.consent.passkey if spec.consent is not None else None
    used = registered(witness, passkey, freeze.request.spec.target) if passkey is not None else None
    return acting(witness.providers, witness.reader.trust, witness.who(review), review.user, spec.consent, about, used)


def _require_opened(spec: DecisionSpec, freeze: Freeze) -> None:
    """Raise where somebody approves in tier 1 without saying that they have opened the explanation."""
    if freeze.route.tier == "tier-1" and spec.verdict == "Approve" and not spec.explanationOpened:
        raise Refused(
            "who approves in tier-1 says that they have opened the explanation",
            where="spec.explanationOpened",
            mend="open it, and set this to true; signoff approve shows it and says so",
        )


def _is_engine(witness: Witness, who: Resolved) -> bool:
    return witness.reader.trust.engine(who.principal.issuer, who.principal.subject, witness.now()) is Answer.YES


def _spec(review: Review) -> DecisionSpec:
    return parse(DecisionSpec, dumps(review.obj.get("spec")), "spec")


def _freeze(
    witness: Witness, namespace: str, spec: DecisionSpec, promotion: Mapping[str, Json] | None = None
) -> tuple[RequestId, Freeze, bytes]:
    found = promotion if promotion is not None else witness.cluster.promotion(namespace, spec.promotion)
    value = request_value(namespace, spec.promotion, found.get("spec"))
    read_spec(value["spec"], "modelpromotion.spec")
    request = request_id(value)
    try:
        freeze, payload = witness.reader.freeze(request, spec.freeze)
    except Missing:
        raise Refused(
            f"the request {namespace}/{spec.promotion} has no such freeze in the archive",
            where="spec.freeze",
            mend="look at the desk that the promotion's status names, and decide on that",
        ) from None
    if not is_freeze_of(freeze, value):
        raise Refused("the freeze is of another request", where="spec.freeze", mend="call whoever runs signoff")
    return request, freeze, payload


def _granted(witness: Witness, name: str, freeze: Freeze, who: Resolved, time: Timestamp) -> _Granted:
    where = f"promotiondelegation {name}"
    try:
        resource = witness.cluster.delegation(name)
    except NotFound:
        raise Refused("is not there, or was taken back", where=where, mend="decide in your own name, or ask for a new grant") from None
    digest = parse_digest(field(resource, "grant", "statement"), f"{where}: grant.statement")
    try:
        stored = witness.store.read(layout.statement("delegation", digest), limit=MAX_BUNDLE)
    except Missing:
        raise Refused("is not in the archive, and so grants nothing", where=where, mend="ask whoever granted it to grant it anew") from None
    filed = Filed(stored.data, witness.now())  # the event will be judged by its own time: a key that has ended counts for nothing then
    grant = read_delegation(filed, witness.reader.trust, freeze.request.spec.target, digest, where)
    if (grant.name, grant.cluster) != (name, witness.cluster_name):
        raise Refused(f"is the grant {grant.name} of cluster {grant.cluster}", where=where, mend="call whoever runs signoff")
    require_scope(grant, who.principal, freeze, time, where)
    return _Granted(grant, Grant(digest=digest, bundle=b64encode(stored.data)))


def _require_verb(witness: Witness, here: str, user: Mapping[str, Json], freeze: Freeze, principal: Principal) -> None:
    # Where the model will run, and not where the request lies: nobody brings their approvers along by choosing a place for the request.
    for namespace in sorted({here, *freeze.request.spec.target.namespaces}):
        if not witness.cluster.may_approve(user, namespace, freeze.route.tier):
            raise Refused(
                f"Kubernetes does not let {principal.name} approve {freeze.route.tier} in namespace {namespace}",
                mend=f"bind a role with verb approve on materialitytiers/{freeze.route.tier} there",
            )


def _require_apart(witness: Witness, user: Mapping[str, Json], submitters: Sequence[Principal], principal: Principal) -> None:
    """Raise where this user could have submitted through a service account: by its token, as it, or from a Pod of its namespace."""
    accounts = {one.issuer for one in witness.issuers if one.usernamePrefix == SERVICE_ACCOUNTS}
    for submitter in submitters:
        namespace, colon, name = submitter.subject.partition(":")
        if submitter.issuer not in accounts or not colon:
            continue
        way = witness.cluster.way_to_act_as(user, namespace, name)
        if way is not None:
            raise Refused(
                f"{principal.name} may {way}, and so may be who submitted through service account {namespace}/{name}",
                mend="somebody must decide who cannot act as the pipeline",
            )


def _require_route(witness: Witness, freeze: Freeze) -> None:
    spec = freeze.request.spec
    derived = derive_now(freeze, witness.reader, witness.now())
    if INCUMBENT in freeze.route.inputs and derived.history != history_of(freeze):
        raise Refused("what is live, or what it owes, is no longer what the rules saw", where="spec.freeze", mend="wait for the new desk")
    if derived.route != freeze.route:
        mend = "wait for the new desk; where none comes, the processes have different trust files: call whoever runs signoff"
        raise Refused("the route, derived again from policies, history and checks, is not the frozen one", where="spec.freeze", mend=mend)
    current = in_force(witness.cluster.policies(), witness.reader, spec)
    if is_stricter(route(spec, current.published, derived.history, derived.checks), freeze.route):
        raise Refused(
            "the policies in force now ask for more than when the desk was frozen",
            where="spec.freeze",
            mend="wait for the new desk, and decide on that",
        )


def _require_reports(witness: Witness, freeze: Freeze) -> None:
    """Raise unless the archive holds the reports of the checks that are shown, to the byte."""
    for digest in reports_of(freeze.request.spec):
        read_blob(witness.store, digest, limit=MAX_EXPLANATION)


def _stored(witness: Witness, checked: _Checked) -> SealedDecision | None:
    principal = checked.acting.who.principal
    try:
        stored = witness.store.read(layout.seal(checked.spec.freeze, principal.issuer, principal.subject), limit=MAX_BUNDLE)
    except Missing:
        return None
    return read_seal(Filed(stored.data, stored.stored_at), witness.reader.trust, checked.freeze.request.spec.target)


def _require_same(sealed: SealedDecision, spec: DecisionSpec) -> None:
    if sealed.seal.decided.verdict != spec.verdict:
        raise Refused(
            f"you decided {sealed.seal.decided.verdict} at {sealed.seal.decided.time}, and a decision is not taken back",
            where="spec.verdict",
            mend="make a new request where another decision is wanted",
        )


def _require_same_voice(sealed: SealedDecision, granted: _Granted | None) -> None:
    """Raise where a second press is made in another's name than the first: the seal that stands is the first one's."""
    was = [one.digest for one in sealed.seal.decided.delegation]
    if was != ([granted.grant.digest] if granted is not None else []):
        name = grantor_of(sealed.seal.decided)
        told = f"in the name of {name.name}" if name is not None else "in your own name"
        raise Refused(
            f"you decided this {told} at {sealed.seal.decided.time}, and that seal stands",
            where="spec.delegation",
            mend="press again as you did then",
        )


def _as_sealed(sealed: SealedDecision, spec: DecisionSpec) -> list[dict[str, Json]]:
    """Return the patches that make the object say what was sealed: a second press may have brought other words along."""
    decided, patches = sealed.seal.decided, list[dict[str, Json]]()
    for name, was, says in (("rendition", sealed.seal.rendition, spec.rendition), ("meaning", decided.meaning, spec.meaning)):
        if was != says:
            patches.append({"op": "replace", "path": f"/spec/{name}", "value": was})
    if decided.comment is None and spec.comment is not None:
        patches.append({"op": "remove", "path": "/spec/comment"})
    elif decided.comment is not None and decided.comment != spec.comment:
        patches.append({"op": "add", "path": "/spec/comment", "value": decided.comment})
    if decided.explanationOpened is None and spec.explanationOpened is not None:
        patches.append({"op": "remove", "path": "/spec/explanationOpened"})
    elif decided.explanationOpened is not None and decided.explanationOpened != spec.explanationOpened:
        patches.append({"op": "add", "path": "/spec/explanationOpened", "value": decided.explanationOpened})
    return patches


def _seal(witness: Witness, review: Review, checked: _Checked) -> SealedDecision:
    spec, who = checked.spec, checked.acting.who
    value: dict[str, Json] = {
        "principal": as_json(who.principal),
        "verdict": spec.verdict,
        "meaning": spec.meaning,
        "method": who.method,
        "roles": list(checked.standing.roles),
        "groups": list(checked.standing.groups),
        "delegation": [as_json(checked.granted.grant)] if checked.granted is not None else [],
        "consent": {"assurance": checked.acting.assurance, "proofs": list(checked.acting.proofs)},
        "time": checked.time,
        **({"comment": spec.comment} if spec.comment is not None else {}),
        **({"explanationOpened": spec.explanationOpened} if spec.explanationOpened is not None else {}),
    }
    name = as_json(PromotionName(namespace=review.namespace, name=spec.promotion))
    predicate: Json = {
        "id": checked.request,
        "freeze": spec.freeze,
        "rendition": spec.rendition,
        "promotion": name,
        "cluster": witness.cluster_name,
        "decided": value,
    }
    seal = parse(Seal, dumps(predicate), "seal")
    bundle = seal_bundle(seal, witness.signer)
    key = layout.seal(spec.freeze, who.principal.issuer, who.principal.subject)
    try:
        witness.store.create(key, bundle)
    except Exists:
        # Two presses at once: the first one is the decision.
        stored = _stored(witness, checked)
        if stored is None:
            raise
        _require_same(stored, spec)
        _require_same_voice(stored, checked.granted)
        return stored
    except Unavailable as error:
        # Its answer may be all that was lost: what lies in the archive then was decided.
        raise Refused(f"{NOT_KNOWN} decided, for the archive does not answer ({error})", mend=SAFE) from error
    return SealedDecision(seal, bundle)
