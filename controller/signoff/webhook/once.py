"""A resource that is made once, and that admission makes a signed statement of: a grant, a passkey's registration.

1. Its spec does not change, and nobody but admission writes the field that names the statement.
2. The statement is in the archive before the review is answered. The same, made twice within a second, is the same statement; only its
   signature differs.
3. What the field names must lie in the archive, under a digest that is its own, signed by a key for what admission witnesses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from signoff.archive import layout
from signoff.archive.store import Exists
from signoff.decision.seals import signed_by
from signoff.record.bundle import MAX_BUNDLE, Bundle, read_bundle
from signoff.record.canonical import text_at
from signoff.record.values import Digest, parse_digest
from signoff.webhook.review import Reply, Review
from signoff.webhook.witness import Refused, Witness, kept, unchanged


@dataclass(frozen=True)
class Once:
    """Of which kind the statement is, which field of the resource names it, what is told of it, and that it does not change."""

    kind: Literal["delegation", "passkey"]
    field: str
    what: str
    unchanging: str

    def update(self, review: Review) -> Reply:
        """Answer the mutating review of a change."""
        if not unchanged(review, "spec"):
            raise Refused(self.unchanging, where="spec")
        return kept(review, self.field)

    def check_update(self, review: Review) -> Reply:
        """Answer the validating review of a change."""
        if not (unchanged(review, "spec") and unchanged(review, self.field)):
            raise Refused(self.unchanging, where="spec")
        return Reply()

    def refuse_written(self, review: Review) -> None:
        """Raise `Refused` where somebody wrote admission's field (rule 1)."""
        if self.field in review.obj:
            raise Refused("only admission writes this field", where=self.field, mend="leave it out")

    def archive(self, witness: Witness, digest: Digest, bundle: bytes) -> None:
        """Archive the statement (rule 2); `Refused` where something else lies in its place, or an error of the archive."""
        key = layout.statement(self.kind, digest)
        try:
            witness.store.create(key, bundle)
        except Exists:
            if read_bundle(witness.store.read(key, limit=MAX_BUNDLE).data, key).digest != digest:
                raise Refused("the archive holds something else in its place", where=key, mend="call whoever guards the archive") from None

    def signed(self, witness: Witness, review: Review, mend: str) -> Bundle:
        """Return the statement that the resource names (rule 3); `Refused`, `NotBelieved` or an archive error where it names none."""
        statement = text_at(review.obj, self.field, "statement")
        if not statement:
            raise Refused(f"admission has not signed this {self.what}", where=self.field, mend=mend)
        digest = parse_digest(statement, f"{self.field}.statement")
        bundle = read_bundle(witness.store.read(layout.statement(self.kind, digest), limit=MAX_BUNDLE).data, self.field)
        signed_by(bundle, witness.reader.trust, self.field)
        if bundle.digest != digest:
            raise Refused(f"is another {self.what}, or of somebody else", where=self.field, mend="leave it out")
        return bundle
