"""Where a workload's images stand, and which of them are new.

1. Every image of a pod spec is found: containers, init containers, ephemeral containers, image volumes (`IMAGES`).
2. Each kind's pod specs stand in one table (`WORKLOADS`). What has no row is refused, never skipped.
3. A shape that cannot be read is an error, and an error is a denial. A missing image is found as the empty text:
   on a Pod it is refused, in a template the Pod check decides.
4. Nothing else counts: not `deletionTimestamp`, not replicas, not owner references, not annotations.
5. On UPDATE only references that the old object does not have, in the same role, are asked about, so that removing a
   finalizer or a label from an old object always works.
6. The work is bounded: at most `MAX_USES` images in an object, and as many entries in a list.

A Pod is authoritative: controllers and webhooks fill in images that the object above it does not show. A template is
checked for the early and friendly message.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from signoff.errors import SignoffError

Role = Literal["container", "initContainer", "ephemeralContainer", "imageVolume"]
Level = Literal["pod", "template"]


@dataclass(frozen=True, slots=True)
class Workload:
    """One row: the paths of a kind's pod specs. A step with `[]` goes into every entry of a list."""

    api_version: str
    kind: str
    pod_specs: tuple[str, ...]
    level: Level = "template"
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class ImagePlace:
    """Where a pod spec holds images. Where only the last step is absent the image is missing (rule 3), else none is."""

    path: str
    role: Role


WORKLOADS: Final = (
    Workload("v1", "Pod", ("spec",), level="pod"),
    Workload("v1", "Pod", ("spec",), level="pod", subresource="ephemeralcontainers"),
    Workload("v1", "PodTemplate", ("template.spec",)),
    Workload("v1", "ReplicationController", ("spec.template.spec",)),
    Workload("apps/v1", "ReplicaSet", ("spec.template.spec",)),
    Workload("apps/v1", "Deployment", ("spec.template.spec",)),
    Workload("apps/v1", "StatefulSet", ("spec.template.spec",)),
    Workload("apps/v1", "DaemonSet", ("spec.template.spec",)),
    Workload("batch/v1", "Job", ("spec.template.spec",)),
    Workload("batch/v1", "CronJob", ("spec.jobTemplate.spec.template.spec",)),
)
"""The kinds that are read, and how. A further kind is a further row."""

IMAGES: Final = (
    ImagePlace("containers[].image", "container"),
    ImagePlace("initContainers[].image", "initContainer"),
    ImagePlace("ephemeralContainers[].image", "ephemeralContainer"),
    ImagePlace("volumes[].image.reference", "imageVolume"),
)
"""Every place in a pod spec that names an image for the runtime to pull."""

MAX_USES: Final = 1000
"""Images in one object, and entries in one list: beyond that it is refused unread."""

_ROWS: Final = {(row.api_version, row.kind, row.subresource): row for row in WORKLOADS}


class UnreadableWorkload(SignoffError):
    """A workload that cannot be read to the end, and so is not admitted; `where` is the path in the object."""


@dataclass(frozen=True, slots=True)
class ImageUse:
    """One image as an object names it: its path in the object, the text as written ("" if absent), its role."""

    path: str
    text: str
    role: Role


@dataclass(frozen=True, slots=True)
class WorkloadReferences:
    """Every image of one object, role after role, and whether it is a Pod or a template for Pods."""

    level: Level
    uses: tuple[ImageUse, ...]

    @property
    def is_pod(self) -> bool:
        """Whether the object is a Pod, on which nothing may be left open."""
        return self.level == "pod"


def references(obj: Mapping[str, object], *, kind: str, api_version: str, subresource: str = "") -> WorkloadReferences:
    """Find every image in an object of `kind` and `api_version` (`apps/v1`), as the request names them.

    `subresource` is the request's, "" if none. Raises `UnreadableWorkload` for what has no row in `WORKLOADS`, for any
    shape that does not fit, and beyond `MAX_USES`.
    """
    row = _row(api_version, kind, subresource)
    root = _mapping(obj, kind)
    _check_says(root, "apiVersion", api_version)
    _check_says(root, "kind", kind)
    uses: list[ImageUse] = []
    for use in _uses_in(root, row):
        if len(uses) == MAX_USES:
            raise UnreadableWorkload(f"the object names more than {MAX_USES} images", use.path, "split it")
        uses.append(use)
    return WorkloadReferences(row.level, tuple(uses))


def added(new: Iterable[ImageUse], old: Iterable[ImageUse]) -> tuple[ImageUse, ...]:
    """The uses in `new` whose text is not in `old` in a role of the same class: containers of any kind, or volumes.

    Moving an image from one container to another adds nothing; running what was mounted, or mounting what ran, does.
    """
    known = {(use.role == "imageVolume", use.text) for use in old}
    return tuple(use for use in new if (use.role == "imageVolume", use.text) not in known)


def _row(api_version: str, kind: str, subresource: str) -> Workload:
    row = _ROWS.get((api_version, kind, subresource))
    if row is None:
        what = f"{api_version} {kind}" + (f"/{subresource}" if subresource else "")
        raise UnreadableWorkload(
            "the gate cannot find the images of this kind", what, "let its webhook rules name only kinds that it reads"
        )
    return row


def _uses_in(root: Mapping[str, object], row: Workload) -> Iterator[ImageUse]:
    for pod_spec_path in row.pod_specs:
        for at, pod_spec in _objects(root, pod_spec_path.split("."), "", required=True):
            if not pod_spec.get("containers"):
                raise UnreadableWorkload("there is no container", _join(at, "containers"), "name at least one")
            for image in IMAGES:
                yield from _uses_at(pod_spec, image, at)


def _uses_at(pod_spec: Mapping[str, object], image: ImagePlace, at: str) -> Iterator[ImageUse]:
    *steps, last = image.path.split(".")
    for holder_at, holder in _objects(pod_spec, steps, at, required=False):
        path = _join(holder_at, last)
        text = holder.get(last)
        if text is None:
            text = ""
        if not isinstance(text, str):
            raise UnreadableWorkload(f"an image is a string, not {_shape(text)}", path, "write the reference as text")
        yield ImageUse(path, text, image.role)


def _objects(node: Mapping[str, object], steps: list[str], at: str, *, required: bool) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Follow `steps` from `node`: every object at their end, with its path. Null counts as absent, as the API has it."""
    if not steps:
        yield at, node
        return
    step, *rest = steps
    name = step.removesuffix("[]")
    path, value = _join(at, name), node.get(name)
    if value is None:
        if required:
            raise UnreadableWorkload("it is missing, so the images cannot be found", path, "write the whole object")
        return
    entries = _entries(value, path) if step.endswith("[]") else [(path, value)]
    for entry_at, entry in entries:
        inner = _mapping(entry, entry_at)
        if rest:
            yield from _objects(inner, rest, entry_at, required=required)
        else:
            yield entry_at, inner


def _entries(value: object, at: str) -> list[tuple[str, object]]:
    if not isinstance(value, list):
        raise UnreadableWorkload(f"a list belongs here, not {_shape(value)}", at, "write a list")
    if len(value) > MAX_USES:
        raise UnreadableWorkload(f"it has {len(value)} entries, of at most {MAX_USES}", at, "split the object")
    return [(f"{at}[{index}]", entry) for index, entry in enumerate(value)]


def _mapping(value: object, at: str) -> Mapping[str, object]:
    if not isinstance(value, (dict, Mapping)):  # a dict is told at once, which a Mapping is not
        raise UnreadableWorkload(f"an object belongs here, not {_shape(value)}", at, "write an object")
    return value


def _check_says(root: Mapping[str, object], field: str, asked: str) -> None:
    said = root.get(field)
    if said is not None and said != asked:
        raise UnreadableWorkload(f"the object does not say {asked}, as its request does", field, "send them alike")


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _shape(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "a boolean"
    return "a string" if isinstance(value, str) else "a number"
