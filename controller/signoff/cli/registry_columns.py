"""The comparison's columns, from model versions of a registry: figures of their runs, digests of their images.

1. An alias says which version is meant now; the manifest names the version.
2. Where the archive was asked it alone says what is live. Another version that is named as the incumbent is refused; an alias that points
   elsewhere is told and goes for nothing.
3. A figure of the candidate or a challenger that cannot be taken is an error. What is live is shown whatever the registry still knows of
   it: what is missing there is to be filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from signoff.cli.manifest import FILL_IN, Node
from signoff.cli.promotion import pinned, unknown_metric
from signoff.errors import SignoffError
from signoff.gate.reference import Reference
from signoff.record.freeze import LiveIncumbent
from signoff.registry.client import Metric, Missing, Registry, Run, Version
from signoff.registry.words import figure, plain_name

MAX_METRICS: Final = 200
_TOLD: Final = 8
Say = Callable[[str, str], None]


@dataclass(frozen=True)
class Column:
    """One version as the comparison shows it."""

    number: str
    digest: Node
    metrics: Node

    def node(self) -> dict[str, Node]:
        """Return its entry in ``spec.comparison``."""
        return {"version": self.number, "digest": self.digest, "metrics": self.metrics}

    def named(self) -> dict[str, Node]:
        """Return it as ``spec.model.incumbent``."""
        return {"version": self.number, "digest": self.digest}


class Columns:
    """Makes columns of a model's versions. ``images`` are those given, by version; ``tag`` the key of a tag that names one, or empty."""

    def __init__(self, registry: Registry, model: str, metrics: Sequence[str], images: Mapping[str, str], tag: str, say: Say) -> None:
        self._registry = registry
        self._model = model
        self._chosen = tuple(dict.fromkeys(metrics))
        self._images = images
        self._tag = tag
        self._say = say
        if len(self._chosen) > MAX_METRICS:
            raise SignoffError(f"{len(self._chosen)} are given, of at most {MAX_METRICS}", where="--metric", mend="give less")

    def candidate(self, version: Version, run: Run) -> tuple[Column, Reference]:
        """Return the candidate's column and its image, which must be known."""
        image = self._image(version)
        if image is None:
            where = f"{self._model} {version.number}"
            have = f"it has no tag {self._tag}" if self._tag else "none is given"
            mend = "give --image registry/repository@sha256:<digest>, or with --image-tag-key the tag that names it"
            raise SignoffError(f"its image is not known: {have}", where=where, mend=mend)
        self._say("candidate", f"{self._model} {version.number}, run {run.id}")
        return Column(version.number, str(image.digest), self._metrics(version.number, run, must_have=True)), image

    def challenger(self, number: str) -> Column:
        """Return a challenger's column."""
        version = self._registry.version(self._model, number)
        return self._column(version, self._registry.run(version), "challenger")

    def incumbent(self, given: str, alias: str, live: LiveIncumbent | None, *, asked: bool) -> Column | None:
        """Return the incumbent's column, if there is one (rules 1 to 3); ``asked`` says whether the archive was."""
        number = self._pointed(alias) if alias else given
        if asked:
            return self._live(given, alias, number, live)
        if not number:
            self._say("incumbent", "none was named, and no archive asked (--archive, --trust, --environment, --cluster)")
            return None
        version = self._registry.version(self._model, number)
        return self._column(version, self._registry.run(version), "incumbent")

    def _live(self, given: str, alias: str, number: str, live: LiveIncumbent | None) -> Column | None:
        known = live.version if live is not None else "nothing"
        if given and given != known:
            raise SignoffError(f"names {given}, and the archive says that {known} is live there", where="--incumbent", mend="leave it out")
        if alias and number != known:
            self._say("", f"the archive says that {known} is live there: the alias goes for nothing")
        if live is None:
            self._say("incumbent", "none: the archive knows nothing that is live there")
            return None
        try:
            version = self._registry.version(self._model, live.version)
            run = self._registry.run(version)
            image = self._image(version)
            metrics = self._metrics(version.number, run, must_have=False)
        except Missing as missing:
            self._say("incumbent", f"{live.version}, live as the archive says; no figures: {missing.where}: {missing.what}")
            return Column(live.version, live.digest, [unknown_metric("of the live version, on the same data")])
        self._say("incumbent", f"{live.version}, live as the archive says; figures of the run {run.id}")
        if image is not None and str(image.digest) != live.digest:
            self._say("", f"the registry names {image.digest} as its image; the archive's {live.digest} is what runs, and is taken")
        return Column(live.version, live.digest, metrics)

    def _column(self, version: Version, run: Run, role: str) -> Column:
        image = self._image(version)
        self._say(role, f"{version.number}, run {run.id}")
        digest: Node = str(image.digest) if image is not None else FILL_IN(f"sha256: of the image of version {version.number}")
        return Column(version.number, digest, self._metrics(version.number, run, must_have=False))

    def _pointed(self, alias: str) -> str:
        number = self._registry.by_alias(self._model, alias).number
        self._say("alias", f"{alias} points to version {number} now. It can be moved at any time: the manifest names the version")
        return number

    def _image(self, version: Version) -> Reference | None:
        """Return a version's image, as given or as its tag says; they must not differ."""
        where = f"{self._model} {version.number}"
        given, tagged = self._images.get(version.number), version.tags.get(self._tag) if self._tag else None
        image = pinned(given, f"the image of version {version.number}") if given else None
        if tagged is None:
            return image
        other = pinned(tagged, f"the tag {self._tag} of {where}")
        if image is not None and image.digest != other.digest:
            raise SignoffError(
                f"its tag {self._tag} names {other.digest}, and {image.digest} is given", where=where, mend="look which it is"
            )
        self._say("image", f"of version {version.number}, by its tag {self._tag}, which can be changed: {other.text}")
        return image or other

    def _metrics(self, number: str, run: Run, *, must_have: bool) -> Node:
        where = f"{self._model} {number}, run {run.id}"
        known = {one.name: one for one in run.metrics}
        if len(known) != len(run.metrics):
            raise SignoffError("gives a metric twice", where=where, mend="look who answers there")
        absent = [name for name in self._chosen if name not in known]
        if absent and must_have:
            have = ", ".join(sorted(known)[:_TOLD]) or "none"
            raise SignoffError(f"has no metric {absent[0]!r}", where=where, mend=f"it has {have}{' …' if len(known) > _TOLD else ''}")
        if absent:
            self._say("", f"version {number} has no {', '.join(absent[:_TOLD])}")
        names = [name for name in self._chosen if name in known] if self._chosen else sorted(known)
        if len(names) > MAX_METRICS:
            mend = "choose those that the approver shall see: --metric NAME, several times"
            raise SignoffError(f"has {len(names):,} metrics, and a comparison shows at most {MAX_METRICS}", where=where, mend=mend)
        if not names:
            return [unknown_metric(f"of version {number}")]
        self._tell_steps(number, [known[name] for name in names])
        return [{"name": name, "value": _value(known[name], where)} for name in names]

    def _tell_steps(self, number: str, metrics: Sequence[Metric]) -> None:
        stepped = [f"{one.name} ({one.step})" for one in metrics if one.step]
        more = f" and {len(stepped) - _TOLD} more" if len(stepped) > _TOLD else ""
        if stepped:
            self._say("", f"of version {number} the last of several steps was taken: {', '.join(stepped[:_TOLD])}{more}")


def _value(metric: Metric, where: str) -> str:
    place, mend = f"{where}: metric {metric.name[:80]!r}", "leave it out, by naming those that are wanted: --metric NAME"
    try:
        plain_name(metric.name)
    except ValueError as error:
        raise SignoffError(f"its name {error}", where=place, mend=mend) from None
    try:
        return figure(metric.value)
    except ValueError as error:
        raise SignoffError(f"{error}, and cannot be shown as a figure", where=place, mend=mend) from None
