"""What the desk says, in words: what is asked, by whom, who decides, and what a decision means.

1. The desk stands before the decision: it asks, and never says that something is approved.
2. Of every statement it says on whose word it rests: the requester's, admission's, a signed check's, the archive's.
3. Names, digests and figures stand in full and to the letter.
"""

from __future__ import annotations

from typing import Final

from signoff.desk.changes import changes_section, changes_sentence
from signoff.desk.checks import checks_section, checks_sentence
from signoff.desk.comparison import comparison_section, live_section, live_sentence, sources_sentence
from signoff.desk.content import Content, Document, Fact, Facts, Item, Listing, Points, Prose, Section
from signoff.record.freeze import EMERGENCY, ConsideredPolicy, Requirement, RoleRequirement, Shown
from signoff.record.request import Model, OnExpiry, platform_manifests

ASSURANCE: Final = {
    "api-server": "Who approved rests on the API server's word: no proof of consent is kept that could be checked without it.",
    "session": "Who approved rests on a signed-in session with the identity provider.",
    "fresh-login": "The approver signs in anew for this very decision, and the identity provider's signed token is kept as proof.",
    "passkey": "The approver signs the digest of what was shown with a passkey, and that signature is kept as proof.",
}
BY_POLICY: Final = "the policy itself decides, through its engine, on what a signed check measured"
_MEDIA: Final = {"text/html": "an HTML document", "text/markdown": "a Markdown document", "text/plain": "a plain text"}


def content_of(shown: Shown, document: Document) -> Content:
    """Return everything that the desk shows, in reading order."""
    spec = shown.request.spec
    return Content(
        title=f"{spec.model.name} {spec.model.version}",
        question=f"May {spec.model.name} {spec.model.version} run in {spec.target.environment}?",
        standing="This desk was frozen before any decision and shows none. Nothing on it can change.",
        sections=(
            _asked(shown),
            _known(shown),
            comparison_section(shown),
            changes_section(shown),
            *checks_section(shown),
            _explanation(shown, document),
            live_section(shown),
            _meaning(shown),
            _people(shown),
            _deciders(shown),
            _derivation(shown),
            _model(spec.model),
            _datasets(shown),
            _record(shown),
        ),
    )


_EXPIRED: Final[dict[OnExpiry | None, str]] = {
    None: "no new workload with it is admitted",
    "deny-all": "no Pod with it is admitted, and one that goes is not started again",
    "deny-new-rollouts": "no new rollout with it is admitted; what ran before goes on, and its Pods are started again",
}


def validity(valid_for: str | None, on_expiry: OnExpiry | None = None) -> str:
    """Return what ``validFor`` and ``onExpiry`` mean in words; hours are counted from the last decision that is needed."""
    if valid_for is None:
        return "no end stated: it holds until it is revoked"
    hours = int(valid_for.removesuffix("h"))
    days = f" ({_count(hours // 24, 'day')})" if hours % 24 == 0 else ""
    return f"{_count(hours, 'hour')}{days} from the last approval that it needs; after that {_EXPIRED[on_expiry]}"


def _asked(shown: Shown) -> Section:
    spec, request = shown.request.spec, shown.request
    target = spec.target
    optional = (
        *((Fact("Attempt", (str(spec.attempt),)),) if spec.attempt is not None else ()),
        *((Fact("Supersedes", (spec.supersedes,), "an earlier request, by its id", exact=True),) if spec.supersedes else ()),
    )
    return Section(
        "asked",
        "What is asked",
        (
            Facts(
                (
                    Fact("Model", (f"{spec.model.name} {spec.model.version}",)),
                    Fact("Takes over from", (_predecessor(spec.model),)),
                    Fact("Environment", (target.environment,)),
                    Fact(_plural("Cluster", len(target.clusters)), target.clusters),
                    Fact(_plural("Namespace", len(target.namespaces)), target.namespaces),
                    Fact("Valid for", (validity(spec.validFor, spec.onExpiry),)),
                    Fact("Reason given", tuple(spec.reason.split("\n"))),
                    *optional,
                    Fact("Request", (f"{request.kind} {request.namespace}/{request.name}",)),
                )
            ),
        ),
    )


def _predecessor(model: Model) -> str:
    return f"version {model.incumbent.version}" if model.incumbent else "nothing: the request names no incumbent"


def _known(shown: Shown) -> Section:
    spec, requirement = shown.request.spec, shown.route.requirement
    place = f"in {spec.target.environment} on cluster {shown.cluster}"
    return Section(
        "known",
        "Know before you decide",
        (
            Points(
                (
                    f"This is {shown.route.tier.replace('-', ' ')}: {BY_POLICY if shown.route.tier == 'tier-3' else _quorum(requirement)}.",
                    *((f"It is decided in an emergency, {urgency}.",) if (urgency := shown.route.inputs.get(EMERGENCY)) else ()),
                    sources_sentence(shown.comparison),
                    *checks_sentence(shown),
                    live_sentence(shown.incumbent, shown.live, place),
                    *changes_sentence(shown),
                    ASSURANCE[requirement.assurance],
                )
            ),
        ),
    )


def _explanation(shown: Shown, document: Document) -> Section:
    explanation = shown.explanation
    return Section(
        "explanation",
        "Explanation",
        (
            Prose((f"The requester's own document, {_MEDIA[explanation.mediaType]}, kept to the byte.",)),
            document,
            Listing((Item("Document", f"{explanation.mediaType}, {explanation.size:,} bytes, {explanation.origin}", explanation.digest),)),
        ),
    )


def _meaning(shown: Shown) -> Section:
    spec, requirement = shown.request.spec, shown.route.requirement
    clusters, namespaces = ", ".join(spec.target.clusters), ", ".join(spec.target.namespaces)
    where = f"in {spec.target.environment}, on {clusters}, in {_plural('namespace', len(spec.target.namespaces))} {namespaces}"
    enough = "One approval is enough." if requirement.quorum == 1 else f"It takes {requirement.quorum} approvals by different people."
    approving = (
        f"Approving means: having read this desk, you say in your role that {spec.model.name} {spec.model.version}, "
        f"with exactly the digests below, may run {where}. {enough}"
    )
    if shown.route.tier == "tier-3":
        approving = (
            f"The policy decides, through its engine: where the rule {shown.route.rule} holds over the signed check that it rests on, "
            f"{spec.model.name} {spec.model.version}, with exactly the digests below, may run {where}. Nobody reads this desk before that."
        )
    rejecting = "Rejecting means: it may not, for good. One rejection ends this request; another try is a new request."
    keeping = (
        "Your decision is signed together with your name, the time and the digest of what you were shown, and archived before you get "
        "an answer. It cannot be taken back or reworded."
    )
    return Section("meaning", "What a decision means", (Points((approving, rejecting, keeping)),))


def _people(shown: Shown) -> Section:
    submitters = tuple(
        Fact(
            "Submitted by",
            (one.principal.name, f"{one.principal.subject}, as known to {one.principal.issuer}"),
            f"witnessed and signed at admission, {_time(one.time)}",
        )
        for one in shown.submissions
    )
    author = Fact("Author", (shown.request.spec.author,), "as the manifest claims; not authenticated")
    return Section("people", "Who asks", (Facts((author, *submitters)),))


def _deciders(shown: Shown) -> Section:
    requirement = shown.route.requirement
    eyes = (
        "yes: neither the author nor who submitted the request may approve it"
        if requirement.fourEyes
        else "no: the policy does not exclude who asks from approving"
    )
    roles = tuple(Fact("Role", (role.name,), _holders(role)) for role in requirement.roles)
    return Section(
        "deciders",
        "Who decides",
        (
            Facts(
                (
                    Fact(
                        "Quorum",
                        ("the policy engine",)
                        if shown.route.tier == "tier-3"
                        else (_count(requirement.quorum, "person", "different people"),),
                    ),
                    *roles,
                    Fact("Four eyes", (eyes,)),
                    Fact("Assurance", (requirement.assurance,), ASSURANCE[requirement.assurance]),
                )
            ),
        ),
    )


def _holders(role: RoleRequirement) -> str:
    if role.is_engines:
        return f"the policy engine, of the group {', '.join(role.groups)}"
    return f"{_count(role.count, 'person', 'people')} of the {_plural('group', len(role.groups))} {', '.join(role.groups)}"


def _derivation(shown: Shown) -> Section:
    route, spec = shown.route, shown.request.spec
    inputs = tuple(Fact(name, (value,), exact=True) for name, value in sorted(route.inputs.items()))
    claims = tuple(Fact(name, (value,), "claimed by the requester") for name, value in sorted((spec.materiality or {}).items()))
    return Section(
        "derivation",
        "How the tier was derived",
        (
            Facts((Fact("Tier", (route.tier,)), Fact("Policy", (route.policy,)), Fact("Matched rule", (route.rule,)))),
            Prose(("Every published policy that covers this model, by the digest of its statement. The strictest decides.",)),
            Listing(tuple(Item(_kind(one.tier), f"{one.name}, rule {one.rule}", one.statement, _second(one)) for one in route.considered)),
            *((Prose(("What the rules saw:",)), Facts(inputs)) if inputs else ()),
            *((Prose(("Facts for the policy, as the request states them:",)), Facts(claims)) if claims else ()),
        ),
    )


def _second(considered: ConsideredPolicy) -> str:
    return f"a second publisher agreed: {considered.second}" if considered.second is not None else ""


def _model(model: Model) -> Section:
    platforms = platform_manifests(model.imageIndex, model.digest) if model.imageIndex else ()
    return Section(
        "model",
        "What would run",
        (
            Prose(("These digests and no others. A tag, or another build of the same version, is not covered.",)),
            Listing(
                (
                    Item("Image", model.repository, model.digest),
                    *(Item("Platform", name, digest) for name, digest in platforms),
                    *(Item("Artefact", artifact.name, artifact.digest) for artifact in model.artifacts or ()),
                )
            ),
        ),
    )


def _datasets(shown: Shown) -> Section:
    return Section(
        "datasets",
        "Datasets",
        (
            Prose(("The data that the figures rest on, as the request names it.",)),
            Listing(tuple(Item(_kind(one.role), f"{one.name} {one.version}", one.digest) for one in shown.datasets)),
        ),
    )


def _record(shown: Shown) -> Section:
    return Section(
        "record",
        "This desk",
        (
            Facts(
                (
                    Fact("Request's id", (shown.id,), exact=True),
                    Fact("Frozen on", (f"cluster {shown.cluster}",)),
                    Fact("Form", (shown.format,), exact=True),
                    Fact("Drawn by", (shown.renderer,), exact=True),
                )
            ),
            Prose(("The freeze names this desk by its digest, which therefore cannot stand on the desk itself.",)),
        ),
    )


def _quorum(requirement: Requirement) -> str:
    roles = requirement.roles
    in_roles = f"as {roles[0].name}" if len(roles) == 1 else "among them " + ", ".join(f"{role.count} as {role.name}" for role in roles)
    needed = f"{_count(requirement.quorum, 'person', 'different people')} must approve, {in_roles}"
    return f"{needed}; nobody who asked counts" if requirement.fourEyes else needed


def _kind(word: str) -> str:
    return word.replace("-", " ").capitalize()


def _time(time: str) -> str:
    return f"{time[:10]} {time[11:19]} UTC"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
