"""What stands at the head of a pack: what it is, and how somebody verifies it who has cosign, a checksum tool and nothing of ours.

1. It says what each check does not tell, beside the check.
2. The digest of the trust file is to be had by another way: a pack that names its own keys proves nothing by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE

CHECKSUMS: Final = "SHA256SUMS"


@dataclass(frozen=True)
class Contents:
    """What a pack holds: what was asked for, the trust file's digest, and how many events verify, were left undecided, or are not believed.

    ``example``: the folder of one event that verifies; empty where none does.
    """

    asked: str
    trust: str
    believed: int
    undecided: int
    refused: tuple[str, ...]
    example: str


def readme_of(contents: Contents) -> bytes:
    """Return the text, Markdown and UTF-8."""
    refused = "".join(f"- {one}\n" for one in contents.refused)
    counted = [f"{contents.believed:,} {'event' if contents.believed == 1 else 'events'} that verify"]
    counted += [f"{contents.undecided:,} requests without an event"] if contents.undecided else []
    counted += [f"{len(contents.refused):,} that are **not believed**, or could not be told"] if refused else []
    not_believed = _NOT_BELIEVED.format(refused=refused) if refused else ""
    example = contents.example or "events/ID"
    return _TEXT.format(
        asked=contents.asked,
        counted=", ".join(counted),
        not_believed=not_believed,
        trust=contents.trust,
        trust_hex=contents.trust.removeprefix("sha256:"),
        example=example,
        promotion=PROMOTION_TYPE,
        rejection=REJECTION_TYPE,
        checksums=CHECKSUMS,
    ).encode("utf-8", "replace")


_NOT_BELIEVED: Final = """
These lie in the archive and are handed over with the rest. Nothing rests on them:

{refused}"""

_TEXT: Final = """# Evidence of {asked}

From the archive of a model's promotions, byte for byte: {counted}. Every file was hashed against what its event says of it
before it went in here. Open `index.html` in any browser: it needs no network, and runs nothing.
{not_believed}
## Verify it

You need `sha256sum`, `cosign` (version 3), and no network.

1. Nothing was changed or lost on the way:

   ```sh
   sha256sum -c {checksums}
   ```

   This tells of the way alone: whoever changes a file can write `{checksums}` anew. Have the digest of the pack itself from
   whoever handed it over.

2. The keys are the right ones. The keys in `keys/`, and each `event.pub`, are copied from `trust.json`, by which all of this
   was judged. Its digest is

   ```
   {trust}
   ```

   Have that digest from whoever answers for the trust file, by another way than this pack, and compare:

   ```sh
   echo "{trust_hex}  trust.json" | sha256sum -c
   ```

3. The events were signed by these keys, over the very requests that lie beside them:

   ```sh
   for event in events/*/; do
     if [ -f "$event/event.pub" ]; then
       (cd "$event" && cosign verify-blob-attestation --key event.pub --bundle event.sigstore.json \\
         --type "$(cat predicate-type.txt)" --insecure-ignore-tlog=true request.json) || echo "NOT VERIFIED: $event"
     else
       echo "not believed: $event"
     fi
   done
   ```

   `predicate-type.txt` holds `{promotion}` for a promotion and `{rejection}` for a rejection. The option
   is needed because the bundles have no entry in a transparency log. Each event's `statement.txt` gives the same command for
   each of its seals, which were signed by other keys.

## What this tells, and what not

`cosign` tells that the event was signed by that key, and that `request.json` is what it was signed over. It does **not** tell
that the people who decided suffice, that none of them asked for it, that the policies were published, which route they lead
to, whether a key had ended or was compromised when the event was stored, whether the promotion expired, or whether it was
revoked since. `statement.txt` and `statement.json` say what signoff found of all that, rule by rule; they are its words, and
not signed. To check the rest yourself:

```sh
signoff verify --bundle {example}/event.sigstore.json --trust-file trust.json    # without the archive
signoff verify                                                                    # over the archive, or a copy of it
```

Nothing here tells that nothing is missing: the archive has no log that would show a deleted event. Corrections that were made
after this pack was written are not in it.

## What lies where

| path | is |
| --- | --- |
| `index.html`, `timeline/` | what happened, in order; each entry leads to its event |
| `trust.json`, `keys/` | the trust file, and its keys as PEM, named by the sha256 of the key (DER) |
| `events/ID/index.html` | the desk as it was shown, in a frame that can do nothing, and beside it what was signed |
| `events/ID/statement.txt`, `statement.json` | who signed what, when, with what meaning; policy, comparison, what was live |
| `events/ID/event.sigstore.json`, `event.pub` | the event, and the key that signed it |
| `events/ID/request.json` | the exact payload that was decided on |
| `events/ID/desk.html`, `desk.txt` | the desk that was shown, in two renditions |
| `events/ID/explanation.*` | the requester's own document. HTML ends in `.txt`: opened as a page, it would run what it holds |
| `events/ID/seals/`, `grants/`, `passkeys/`, `submissions/` | each decision, in whose name, by which key, and who asked |
| `events/ID/policies/`, `checks/` | the policies that were considered, and what signed checks measured |
| `events/ID/corrections/` | what was said of the event afterwards: revoked, annotated; and what lies there and does not count |
| `{checksums}` | the sha256 of every other file |
"""
