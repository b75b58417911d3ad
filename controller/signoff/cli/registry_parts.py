"""What a promotion names beside its figures, from a registry: artefacts and report by their bytes, datasets by what has a sha256.

1. Each file of the model is an artefact of its own, named by its path and by the sha256 of its bytes. A folder has no digest that others
   would compute in the same way.
2. MLflow's digests of datasets are short and no sha256. A dataset is taken if its content is given, or its digest; else it is to be filled
   in, with what the run says of it.
3. Who registered a version is what the client said: a claim, like the author of every manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from signoff.cli.manifest import FILL_IN, Node, Note
from signoff.cli.output import count
from signoff.cli.progress import progress
from signoff.cli.promotion import MAX_CONFIG_MAP, explanation, media_type, unknown_dataset
from signoff.cli.registry_columns import Say
from signoff.errors import SignoffError
from signoff.record.values import Digest, sha256
from signoff.registry.artifacts import Files, Listed
from signoff.registry.client import Input, Registry, Run, Version
from signoff.registry.words import plain_name

MAX_ARTIFACTS: Final = 64
_MAX_INPUTS: Final = 16
_EVALUATION: Final = frozenset({"eval", "evaluation", "test", "testing", "validation"})
_FIELDS: Final = frozenset({"name", "version", "role", "file", "digest"})


def author(given: str, version: Version, run: Run, say: Say) -> Node:
    """Return who made the model version (rule 3)."""
    if given:
        return given
    claimed = version.user or run.user
    if not claimed:
        return FILL_IN("who made this model version")
    whose = "who registered the version" if version.user else "who ran the run"
    try:
        plain_name(claimed)
    except ValueError as error:
        raise SignoffError(f"{whose} {error}", where=f"{version.name} {version.number}", mend="say who it was: --author") from None
    say("author", f"{claimed}: {whose}, as that client said. It is a claim, and nobody has verified it")
    return claimed


def artifacts(registry: Registry, version: Version, paths: Sequence[str], most: int, say: Say) -> list[Node]:
    """Return the model's files, or those chosen, each with its sha256 (rule 1); at most ``most`` bytes are fetched."""
    files = Files(registry.files_of(version), registry.tracking)
    chosen: dict[str, Listed] = {one.path: one for path in paths or ("",) for one in files.below(path.rstrip("/"))}
    if len(chosen) > MAX_ARTIFACTS:
        what = f"has {len(chosen):,} files, and a promotion names at most {MAX_ARTIFACTS}"
        raise SignoffError(what, where=files.address, mend="choose those that matter: --artifact PATH, several times")
    listed = sum(one.size or 0 for one in chosen.values())
    if listed > most:
        mend = "allow more with --max-size, or choose less with --artifact"
        raise SignoffError(f"lists {listed:,} bytes, and {most:,} may be fetched", where=files.address, mend=mend)
    found: list[Node] = []
    fetched = 0
    with progress("fetching and hashing") as shown:
        for one in chosen.values():
            shown.step(f"{one.path}, file {len(found) + 1} of {len(chosen)}")
            digest, size = files.digest(one, most - fetched)
            fetched += size
            found.append({"name": one.path, "digest": digest})
    say("artifacts", f"{count(len(found), 'file')}, {fetched:,} bytes fetched and hashed now, from {files.address}")
    return found


def report(registry: Registry, run: Run, path: str, url: str, name: str, namespace: Node, say: Say) -> tuple[Node, Node | None]:
    """Return ``spec.explanation`` for an artefact of the run, and the ConfigMap that holds it if it is long and has no ``url``."""
    file = PurePosixPath(path).name
    kind = media_type(file, path)
    files = Files(run.artifacts, registry.tracking)
    listed = files.below(path)
    if [one.path for one in listed] != [path]:
        raise SignoffError(f"{path} is a folder", where=files.address, mend="name the report's file")
    data = files.content(listed[0], MAX_CONFIG_MAP)
    say("explanation", f"{path} of the run {run.id}, {len(data):,} bytes fetched and hashed now")
    if url:
        say("", f"it is not looked whether {url} gives the same bytes; the operator does")
        return {"mediaType": kind, "digest": sha256(data), "source": {"url": url}}, None
    return explanation(data, file, path, name, namespace)


def datasets(given: Sequence[str], run: Run, say: Say) -> list[Node]:
    """Return ``spec.datasets``: those given, or places to fill in for those that the run has logged (rule 2)."""
    if given:
        return [_dataset(text) for text in given]
    found: list[Node] = []
    for one in run.inputs:
        if one.context.lower() in _EVALUATION and len(found) < _MAX_INPUTS:
            found.append(_logged(one))
        else:
            say("datasets", f"the run has logged {one.name} ({one.context or 'no context'}): not taken")
    return found or [unknown_dataset()]


def _logged(one: Input) -> Node:
    return {
        "name": Note(one.name, "as the run has logged it"),
        "version": FILL_IN(f"its version; the run has logged {one.name} with MLflow's own digest {one.digest}"),
        "digest": FILL_IN("sha256: of its content"),
        "role": Note("evaluation", f"logged as {one.context}"),
    }


def _dataset(text: str) -> Node:
    fields: dict[str, str] = {}
    mend = "write name=NAME,version=VERSION,role=evaluation,file=FILE, or digest=sha256:… in place of the file"
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals or key not in _FIELDS or key in fields:
            raise SignoffError(f"{part[:80]!r} is none of its fields, or there twice", where="--dataset", mend=mend)
        fields[key] = value
    file, digest = fields.pop("file", ""), fields.get("digest", "")
    if bool(file) == bool(digest) or not {"name", "version", "role"} <= fields.keys():
        raise SignoffError("wants name, version, role, and either file or digest", where="--dataset", mend=mend)
    return {"name": fields["name"], "version": fields["version"], "digest": digest or _hashed(Path(file)), "role": fields["role"]}


def _hashed(path: Path) -> Digest:
    try:
        with path.open("rb") as stream:
            return Digest(f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}")
    except OSError as error:
        raise SignoffError(f"cannot be read: {error.strerror}", where=str(path), mend="correct the path") from None
