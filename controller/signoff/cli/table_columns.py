"""The columns of the table, by Hive's names of types, which Athena, Trino and Spark share. Nothing here needs the library that writes it.

1. What is open in kind is JSON text and never a nested type: the engines differ in how they read and change those over the years, and text
   is what was signed, to the byte. What questions need stands beside it in columns of its own.
2. A time is in UTC and bears no zone, so that no engine shifts it. Beside it stand the whole seconds since 1970 (``…_unix``), because each
   engine subtracts times in its own way, and numbers all of them alike.
3. Several things in one text are joined by ", " where people read them, by a space where they are digests or keys.
4. Columns are only added, never renamed: a table is read for as long as the archive is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

Cell: TypeAlias = str | int | bool | datetime | None
Row: TypeAlias = Mapping[str, Cell]
Kind = Literal["string", "bigint", "boolean", "timestamp"]


@dataclass(frozen=True)
class Column:
    """A column: its name, its type, and what it says."""

    name: str
    kind: Kind
    says: str


def _times(name: str, unix: str, says: str) -> tuple[Column, Column]:
    return Column(name, "timestamp", says), Column(unix, "bigint", f"the same, in seconds since 1970: {name}")


COLUMNS: Final[Sequence[Column]] = (
    Column("archive_key", "string", "where it lies in the archive"),
    Column("number", "bigint", "0; of the checks that an event brings along 1, 2, …"),
    Column("type", "string", "promotion, rejection, correction, seal, policy, delegation, passkey, check; event: a disbelieved outcome"),
    Column("id", "string", "the request"),
    Column("digest", "string", "the sha256 of the statement, which names it"),
    *_times("stored_at", "stored_unix", "when the store took it"),
    Column("signed_by", "string", "the key"),
    Column("verifies", "string", "yes, no, could not tell"),
    Column("why_not", "string", "the rule that does not hold, and why"),
    Column("environment", "string", "the target"),
    Column("clusters", "string", "the target"),
    Column("namespaces", "string", "the target"),
    Column("origin_cluster", "string", "where it was frozen, decided, published, granted or registered"),
    Column("model", "string", "name"),
    Column("version", "string", "version"),
    Column("image", "string", "the image, with its digest"),
    Column("image_digest", "string", "the digest of the image"),
    Column("artefact_digests", "string", "further artefacts"),
    Column("incumbent_version", "string", "what it takes over from, as the request (a check: the checker) says"),
    Column("incumbent_digest", "string", "its image"),
    Column("live_version", "string", "what was live when it was frozen, as the archive says"),
    Column("live_event", "string", "the event that made that live"),
    Column("challengers", "string", "what else was compared: name and version"),
    Column("challenger_count", "bigint", "how many"),
    Column("tier", "string", "tier-1, tier-2, tier-3"),
    Column("policy", "string", "the policy that decided the tier; a policy: its own name"),
    Column("policy_statement", "string", "the statement that published it"),
    Column("policy_text", "string", "a policy: the sha256 of its text"),
    Column("rule", "string", "the rule that matched"),
    Column("quorum", "bigint", "how many people the route asks for"),
    Column("four_eyes", "boolean", "nobody who asked may decide"),
    Column("emergency", "boolean", "an emergency rule led to it"),
    Column("request_namespace", "string", "namespace of the ModelPromotion, or of the PromotionCorrection"),
    Column("request_name", "string", "its name"),
    Column("attempt", "bigint", "spec.attempt"),
    Column("supersedes", "string", "spec.supersedes: the request before this one"),
    Column("reason", "string", "of the request, the correction or the grant"),
    Column("author", "string", "as the request claims"),
    Column("asked_by", "string", "who submitted"),
    Column("asked_by_keys", "string", "the same, as sha256(issuer, 0x00, subject)"),
    *_times("asked_at", "asked_unix", "when they first did"),
    Column("freeze", "string", "the payload that was decided on, by its sha256"),
    *_times("frozen_at", "frozen_unix", "a seal: when the store took that"),
    Column("explanation_digest", "string", "the explanation; a check: its report"),
    Column("dataset_digests", "string", "the data, sorted"),
    Column("verdict", "string", "Approve or Reject; a correction: Revoke or Annotate"),
    Column("meaning", "string", "a seal: what the decision means"),
    Column("comment", "string", "a seal: what was remarked"),
    Column("decided_by", "string", "who decided, published, granted, registered, corrected; a check: the tool"),
    Column("decided_by_keys", "string", "the same, as sha256(issuer, 0x00, subject)"),
    Column("decided_by_subject", "string", "the name by which the issuer knows them; an outcome: empty, see its seals"),
    Column("decided_by_issuer", "string", "who vouches for that name"),
    Column("deciders", "bigint", "an outcome: how many people"),
    Column("asked_and_decided", "string", "an outcome: who both asked and decided, or in whose name"),
    *_times("decided_at", "decided_unix", "when; an outcome: the latest of its decisions"),
    Column("method", "string", "how they were identified"),
    Column("assurance", "string", "what their identity rests on"),
    Column("explanation_opened", "boolean", "a seal: they say that they opened the explanation; empty where nobody asked"),
    Column("as_roles", "string", "a seal: in which roles"),
    Column("by_groups", "string", "a seal: by which groups"),
    Column("in_name_of", "string", "a seal: who granted it"),
    Column("in_name_of_key", "string", "the same, as sha256(issuer, 0x00, subject)"),
    Column("delegation", "string", "a seal: the grant, by digest"),
    Column("seals", "string", "an outcome: the seals in it, by digest"),
    Column("grantee", "string", "a delegation: the subject of who may decide"),
    Column("grantee_key", "string", "the same, as sha256(issuer, 0x00, subject)"),
    Column("models", "string", "a delegation: for which models"),
    Column("tiers", "string", "a delegation: in which tiers"),
    *_times("valid_from", "valid_from_unix", "a delegation, a passkey: from when"),
    *_times("valid_until", "valid_until_unix", "a promotion, a delegation, a passkey: until when; none: without end"),
    Column("on_expiry", "string", "what is refused after that: deny-all, deny-new-rollouts"),
    Column("corrects", "string", "a correction: the event that it is of"),
    Column("route", "string", "the whole route, as JSON"),
    Column("measured", "string", "a check: its figures, as JSON"),
    Column("modelVersion", "string", "field 1 of the event, as JSON"),
    Column("challengerComparison", "string", "field 2"),
    Column("approvalRequest", "string", "field 3"),
    Column("approver", "string", "field 4"),
    Column("explanationArtefact", "string", "field 5"),
    Column("datasetReference", "string", "field 6"),
)
"""The columns but for the partition, ``month``."""

FIELDS: Final = tuple(column.name for column in COLUMNS[-6:])
"""The six fields of the event, as the record names them."""


def declaration() -> str:
    """Return the table's declaration for Athena, Hive and Spark; what each column says is its comment."""
    width = max(len(column.name) for column in COLUMNS) + 2
    lines = [f"  {f'`{column.name}`':<{width}} {column.kind:<9} COMMENT '{column.says}'" for column in COLUMNS]
    body = ",\n".join(lines)
    return (
        f"CREATE EXTERNAL TABLE statements (\n{body}\n)\n"
        "PARTITIONED BY (`month` string COMMENT 'of stored_at, in UTC: 2026-11; unknown where that is')\n"
        "STORED AS PARQUET\n"
        "LOCATION 's3://audit.bank.example/statements/'\n"
    )
