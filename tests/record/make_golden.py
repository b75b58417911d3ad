"""Write the golden vectors, once. What is there is never overwritten: a vector that changes is a record that nobody can read any more.

    uv run python tests/record/make_golden.py            writes them where there are none
    uv run python tests/record/make_golden.py --add      writes those that are new since, with the keys that are there
    uv run python tests/record/make_golden.py --overwrite   starts anew, with new keys; only before the first release

The keys in ``golden/`` are test keys, made for these vectors and used for nothing else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.jwk import ECKey

from signoff.decision.consent import BY_TOKEN
from signoff.decision.corrections import correction_bundle
from signoff.decision.passkeys import pem_of, registration_nonce
from signoff.decision.seals import delegation_bundle, passkey_bundle, policy_bundle, seal_bundle, submission_bundle
from signoff.record.bundle import read_bundle, sign_bundle
from signoff.record.canonical import b64encode, dumps
from signoff.record.check import Check, check_bundle
from signoff.record.correction import Correction, correction_id
from signoff.record.freeze import claimed_comparison, freeze_bytes, read_freeze
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE, SealedDecision, outcome_bytes
from signoff.record.request import read_spec, request_id, request_value
from signoff.record.seal import Delegation, Passkey, PasskeyKey, PublishedPolicy, Seal, Submission
from signoff.record.values import parse, sha256

GOLDEN = Path(__file__).parent / "golden"
ISSUER = "https://login.bank.example"


def digest(text: str) -> str:
    return sha256(text.encode())


INDEX = dumps(
    {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {"digest": digest("amd64"), "platform": {"architecture": "amd64", "os": "linux"}, "size": 1234},
            {"digest": digest("arm64"), "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"}, "size": 1234},
        ],
        "schemaVersion": 2,
    }
)
IMAGE = sha256(INDEX)
FULL: dict[str, Any] = {
    "model": {
        "name": "credit-scoring",
        "version": "2.4.0",
        "image": f"registry.bank.example/models/credit-scoring@{IMAGE}",
        "imageIndex": b64encode(INDEX),
        "artifacts": [{"name": "model.onnx", "digest": digest("weights")}],
        "incumbent": {"version": "2.3.1", "digest": digest("incumbent")},
    },
    "author": "ana@bank.example",
    "target": {"environment": "production", "clusters": ["demo"], "namespaces": ["credit"]},
    "comparison": {
        "candidate": {
            "version": "2.4.0",
            "digest": IMAGE,
            "metrics": [{"name": "auc", "value": "0.8127"}, {"name": "psi", "value": "6.2e-2"}],
        },
        "incumbent": {"version": "2.3.1", "digest": digest("incumbent"), "metrics": [{"name": "auc", "value": "0.8049"}]},
        "challengers": [
            {"name": "Zweitmodell", "version": "5.1.0", "digest": digest("challenger"), "metrics": [{"name": "auc", "value": "0.7786"}]}
        ],
    },
    "explanation": {
        "mediaType": "text/markdown",
        "digest": digest("# Why"),
        "source": {"configMap": {"name": "why", "key": "why.md"}},
    },
    "datasets": [{"name": "applications", "version": "2026-01-15", "digest": digest("data"), "role": "evaluation"}],
    "materiality": {"exposure": "retail-lending"},
    "validFor": "8760h",
    "reason": "Ranks better at a lower default rate.\nNothing else changes.",
    "attempt": 2,
    "supersedes": "ab" * 32,
}
OPTIONAL = (
    "materiality", "validFor", "attempt", "supersedes", "model.imageIndex", "model.artifacts", "comparison.challengers",
)  # fmt: skip


def minimal() -> dict[str, Any]:
    """Return the spec without any optional field."""
    spec = deepcopy(FULL)
    for path in (*OPTIONAL, "model.incumbent", "comparison.incumbent"):
        *folders, last = path.split(".")
        del (spec[folders[0]] if folders else spec)[last]
    return spec


def variants() -> dict[str, dict[str, Any]]:
    """Return specs by what is special about them."""
    found = {"every field": FULL, "no optional field": minimal()}
    for path in OPTIONAL:
        spec = deepcopy(minimal())
        *folders, last = path.split(".")
        source = FULL[folders[0]] if folders else FULL
        (spec[folders[0]] if folders else spec)[last] = source[last]
        found[f"with {path}"] = spec
    words = {
        "unicode in the reason": "Bonitätsprüfung für Selbständige: ✓ 信用评分 🏦",
        "characters that JSON escapes": 'a "quoted" \\ back\\slash / slash\tand a tab\nand a line',
        "decomposed letters stay decomposed": "e\u0301 is not \u00e9",
    }
    for name, reason in words.items():
        found[name] = {**minimal(), "reason": reason}
    keys = {"Ω": "after z by code point", "z": "1", "\U0001f3e6": "before U+FB33 in UTF-16", "\ufb33": "2", "A": "3", "a": "4"}
    found["keys sorted by UTF-16 code units"] = {**minimal(), "materiality": keys}
    found["first attempt, said"] = {**minimal(), "attempt": 1}
    found["explanation inline"] = {**minimal(), "explanation": {**FULL["explanation"], "source": {"inline": "# Why"}}}
    found["explanation by address"] = {
        **minimal(),
        "explanation": {**FULL["explanation"], "source": {"url": "https://docs.bank.example/w"}},
    }
    found["two clusters and three namespaces"] = {
        **minimal(),
        "target": {"environment": "production", "clusters": ["demo", "west"], "namespaces": ["credit", "cards", "loans"]},
    }
    return found


def ids() -> list[dict[str, Any]]:
    rows = [{"name": name, "namespace": "credit", "resource": "credit-scoring-2.4.0", "spec": spec} for name, spec in variants().items()]
    rows.append({"name": "another namespace", "namespace": "cards", "resource": "credit-scoring-2.4.0", "spec": minimal()})
    rows.append({"name": "another name", "namespace": "credit", "resource": "credit-scoring-2.4.0-b", "spec": minimal()})
    for row in rows:
        read_spec(row["spec"])
        row["id"] = request_id(request_value(row["namespace"], row["resource"], row["spec"]))
    return rows


def principal(name: str) -> dict[str, Any]:
    return {"issuer": ISSUER, "subject": f"{name}@bank.example", "name": f"{name}@bank.example"}


POLICY: dict[str, Any] = {
    "models": [{"names": ["credit-*"], "namespaces": ["credit"]}],
    "rules": [{"name": "two-of-risk", "tier": "tier-1"}],
    "tiers": {
        "tier-1": {
            "quorum": 2,
            "roles": [
                {"name": "approver", "groups": ["model-approvers"], "count": 1},
                {"name": "risk", "groups": ["model-risk"], "count": 1},
            ],
            "fourEyes": True,
            "assurance": "api-server",
        }
    },
}


def trust(seal: PemSigner, event: PemSigner) -> bytes:
    def key(signer: PemSigner, use: str) -> dict[str, Any]:
        targets = {"environments": ["production"], "clusters": ["demo"]}
        return {
            "id": signer.key_id, "name": f"{use} key of demo", "use": use, "algorithm": "ecdsa-p256-sha256", "publicKey": signer.public_pem,
            "cluster": "demo", "targets": targets, "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2027-01-01T00:00:00Z",
        }  # fmt: skip

    publisher = {name: principal("paula")[name] for name in ("issuer", "subject")}
    value = {
        "format": "signoff.dev/trust/v1",
        "version": 1,
        "keys": [key(seal, "seal"), key(event, "event")],
        "policies": {"publishers": [publisher], "fourEyes": False},
    }
    return json.dumps(value, indent=2).encode() + b"\n"


def seal_value(request: str, freeze: str, rendition: str, who: str, group: str, role: str, verdict: str, time: str) -> dict[str, Any]:
    return {
        "id": request,
        "freeze": freeze,
        "rendition": rendition,
        "promotion": {"namespace": "credit", "name": "credit-scoring-2.4.0"},
        "cluster": "demo",
        "decided": {
            "principal": principal(who),
            "verdict": verdict,
            "meaning": "I approve this model version for the use described on this desk.",
            "method": "client-certificate",
            "roles": [role],
            "groups": [group],
            "delegation": [],
            "consent": {"assurance": "api-server", "proofs": []},
            "time": time,
            **({"comment": "Seen, and für gut befunden."} if who == "carla" else {}),
        },
    }


def delegation_file(seal_key: PemSigner) -> bytes:
    value = {
        "cluster": "demo",
        "method": "client-certificate",
        "name": "carla-in-march",
        "grantor": principal("carla"),
        "username": "carla@bank.example",
        "groups": ["model-approvers", "staff"],
        "grantee": {name: principal("erik")[name] for name in ("issuer", "subject")},
        "models": ["credit-*"],
        "tiers": ["tier-1", "tier-2"],
        "validFrom": "2026-03-01T00:00:00Z",
        "validUntil": "2026-03-15T00:00:00Z",
        "reason": "Urlaub: two weeks in the mountains.",
        "time": "2026-02-27T16:00:00Z",
    }
    return delegation_bundle(parse(Delegation, dumps(value), "delegation"), seal_key)


def check_file(key: PemSigner) -> bytes:
    value = {
        "tool": "weekly-check 3.1",
        "time": "2026-03-02T06:00:00Z",
        "candidate": {"name": "credit-scoring", "version": "2.4.0", "digest": digest("candidate"), "artifacts": FULL["model"]["artifacts"]},
        "incumbent": {"version": "2.3.1", "digest": digest("incumbent")},
        "datasets": FULL["datasets"],
        "measured": [
            {"name": "psi.max", "value": "0.031"},
            {"name": "auc", "value": "0.8127"},
            {"name": "auc in Kanton=Zürich", "value": "0.79"},
        ],
        "report": {"mediaType": "text/html", "size": 13, "digest": digest("<p>report</p>")},
    }
    return check_bundle(parse(Check, dumps(value), "check"), value, key)


def vectors() -> Mapping[str, bytes]:
    """Return every file by its name."""
    pems = {"seal": generate_pem(), "event": generate_pem()}
    seal_key, event_key = (PemSigner(pem) for pem in pems.values())
    spec, request = FULL, request_value("credit", "credit-scoring-2.4.0", FULL)
    identifier = request_id(request)
    witnessed = {"cluster": "demo", "method": "client-certificate"}

    content = dumps(POLICY)
    policy = {
        **witnessed,
        "name": "credit-models",
        "content": b64encode(content),
        "publisher": principal("paula"),
        "time": "2026-02-01T08:00:00Z",
    }
    policy_file = policy_bundle(parse(PublishedPolicy, dumps(policy), "policy"), content, seal_key)

    promotion = {"namespace": "credit", "name": "credit-scoring-2.4.0"}
    submission = {**witnessed, "id": identifier, "promotion": promotion, "principal": principal("ben"), "time": "2026-03-02T09:14:07Z"}
    submission_file = submission_bundle(parse(Submission, dumps(submission), "submission"), seal_key)

    rendition = {"mediaType": "text/html", "size": 11, "digest": digest("<p>desk</p>")}
    freeze, freeze_digest = freeze_bytes(
        {
            "format": "signoff.dev/freeze/v1",
            "id": identifier,
            "request": request,
            "cluster": "demo",
            "submissions": [{"principal": principal("ben"), "time": "2026-03-02T09:14:07Z", "bundle": b64encode(submission_file)}],
            "comparison": claimed_comparison(read_spec(spec)),
            "explanation": {"mediaType": "text/markdown", "size": 5, "digest": digest("# Why"), "origin": "configMap why, key why.md"},
            "datasets": spec["datasets"],
            "live": {"id": "cd" * 32, "event": digest("live event"), "version": "2.3.1", "digest": digest("incumbent")},
            "route": {
                "tier": "tier-1",
                "policy": "credit-models",
                "rule": "two-of-risk",
                "requirement": POLICY["tiers"]["tier-1"],
                "considered": [
                    {
                        "name": "credit-models",
                        "statement": read_bundle(policy_file, "policy").digest,
                        "rule": "two-of-risk",
                        "tier": "tier-1",
                    }
                ],
                "inputs": {"environment": "production", "model": "credit-scoring", "namespaces": "credit"},
            },
            "renderer": "golden",
            "renditions": [rendition],
        }
    )
    decided = {
        "seal.carla": ("carla", "model-approvers", "approver", "Approve", "2026-03-02T10:02:51Z"),
        "seal.david": ("david", "model-risk", "risk", "Approve", "2026-03-02T11:30:00Z"),
        "seal.rejecting": ("david", "model-risk", "risk", "Reject", "2026-03-02T11:31:00Z"),
    }
    sealed: dict[str, SealedDecision] = {}
    for name, (who, group, role, verdict, time) in decided.items():
        seal = parse(Seal, dumps(seal_value(identifier, freeze_digest, rendition["digest"], who, group, role, verdict, time)), "seal")
        sealed[name] = SealedDecision(seal, seal_bundle(seal, seal_key))
    read = read_freeze(freeze)
    promoted = outcome_bytes(PROMOTION_TYPE, freeze, read, [sealed["seal.carla"], sealed["seal.david"]])
    rejected = outcome_bytes(REJECTION_TYPE, freeze, read, [sealed["seal.rejecting"]])
    bundles = {
        "policy": policy_file,
        "submission": submission_file,
        "delegation": delegation_file(seal_key),
        "check": check_file(seal_key),
        "correction": correction_file(seal_key),
        "passkey": passkey_file(seal_key),
        **{name: one.bundle for name, one in sealed.items()},
        "promotion": sign_bundle(promoted, event_key),
        "rejection": sign_bundle(rejected, event_key),
    }
    statements = {f"{name}.statement.json": read_bundle(bundle, name).payload for name, bundle in bundles.items()}
    files = {
        "ids.json": json.dumps(ids(), indent=1, ensure_ascii=True).encode() + b"\n",
        "freeze.json": freeze,
        "policy.spec.json": content,
        "trust.json": trust(seal_key, event_key),
        **{f"{use}.TEST-KEY.pem": pem for use, pem in pems.items()},
        **{f"{use}.pub": PemSigner(pem).public_pem.encode() for use, pem in pems.items()},
        **statements,
        **{f"{name}.sigstore.json": bundle for name, bundle in bundles.items()},
    }
    named = {name: sha256(data) for name, data in sorted(files.items()) if ".sigstore." not in name}
    return {**files, "digests.json": json.dumps(named, indent=1).encode() + b"\n"}


def correction_file(key: PemSigner) -> bytes:
    spec = {"request": "ef" * 32, "event": digest("event"), "verdict": "Revoke", "reason": "Ungültige Daten: the year after.\nSee 4711."}
    value = {
        **spec,
        "cluster": "demo",
        "method": "client-certificate",
        "id": correction_id("credit", "credit-scoring-2.4.0-revoke", spec),
        "correction": {"namespace": "credit", "name": "credit-scoring-2.4.0-revoke"},
        "principal": principal("rita"),
        "time": "2026-04-01T06:00:00Z",
    }
    return correction_bundle(parse(Correction, dumps(value), "correction"), key)


def passkey_file(seal_key: PemSigner) -> bytes:
    """Return the registration of a passkey, whose key is Ed25519's of the bytes 0 to 31, by a login at a provider of these vectors' own."""
    public = pem_of(Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key())
    key = {"label": "Schlüssel, blau", "relyingParty": "signoff.bank.example", "credential": "AQID", "publicKey": public}
    provider, moment = ECKey.generate_key("P-256", private=True), 1772208000  # 2026-02-27T16:00:00Z
    claims = {
        "iss": ISSUER,
        "aud": "signoff",
        "sub": "id-of-carla",
        "email": "carla@bank.example",
        "email_verified": True,
        "groups": ["model-approvers"],
        "iat": moment,
        "auth_time": moment,
        "nonce": registration_nonce(parse(PasskeyKey, dumps(key), "passkey")),
    }
    token = jws.serialize_compact({"alg": "ES256"}, dumps(claims), provider, algorithms=["ES256"])
    documents = zip(BY_TOKEN, (token.encode(), dumps(provider.as_dict(private=False))), strict=True)
    value = {
        "cluster": "demo",
        "method": "id-token",
        "name": "carlas-blue-key",
        "principal": principal("carla"),
        **key,
        "origins": ["https://signoff.bank.example"],
        "attestation": "none",
        "proofs": [{"mediaType": kind, "content": b64encode(data)} for kind, data in documents],
        "time": "2026-02-27T16:00:09Z",
        "validUntil": "2027-02-28T16:00:09Z",
    }
    return passkey_bundle(parse(Passkey, dumps(value), "passkey"), seal_key)


LATER = {"delegation": delegation_file, "check": check_file, "correction": correction_file, "passkey": passkey_file}
"""What came after the first vectors."""


def write(folder: Path, *, overwrite: bool) -> int:
    """Write the vectors; 1 where they are there already, all or some."""
    standing = sorted(path.name for path in folder.glob("*")) if folder.exists() else []
    if standing and not overwrite:
        print(
            f"{folder} holds {len(standing)} golden vectors, which are never overwritten: what they hold has been signed", file=sys.stderr
        )
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in vectors().items():
        (folder / name).write_bytes(data)
    return 0


def add(folder: Path) -> int:
    """Write the vectors that came after the first: what is there stays, and so do the keys."""
    key = PemSigner((folder / "seal.TEST-KEY.pem").read_bytes())
    made = {name: make(key) for name, make in LATER.items() if not (folder / f"{name}.sigstore.json").exists()}
    if not made:
        print(f"{folder} holds {', '.join(LATER)}, which are never overwritten", file=sys.stderr)
        return 1
    new = {f"{name}.sigstore.json": bundle for name, bundle in made.items()}
    new |= {f"{name}.statement.json": read_bundle(bundle, name).payload for name, bundle in made.items()}
    for name, data in new.items():
        (folder / name).write_bytes(data)
    named = json.loads((folder / "digests.json").read_text())
    named |= {name: sha256(data) for name, data in new.items() if ".sigstore." not in name}
    (folder / "digests.json").write_text(json.dumps(dict(sorted(named.items())), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--overwrite", action="store_true", help="throw the vectors away and make new ones")
    parser.add_argument("--add", action="store_true", help="write those that are new, with the keys that are there")
    chosen = parser.parse_args()
    raise SystemExit(add(GOLDEN) if chosen.add else write(GOLDEN, overwrite=chosen.overwrite))
