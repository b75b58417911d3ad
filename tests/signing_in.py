"""ID tokens as an identity provider issues them, right or wrong: for what is judged without a provider."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey

ISSUER = "https://login.bank.example"
CLIENT = "signoff"


def encoded(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Provider:
    """A provider with a key of its own."""

    issuer: str = ISSUER
    kid: str = "one"
    key: Key = field(default_factory=lambda: RSAKey.generate_key(2048, private=True))
    algorithm: str = "RS256"

    @classmethod
    def elliptic(cls) -> Provider:
        return cls(key=ECKey.generate_key("P-256", private=True), algorithm="ES256")

    @property
    def public(self) -> dict[str, Any]:
        return {**self.key.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": self.algorithm}

    @property
    def thumbprint(self) -> str:
        return "sha256:" + base64.urlsafe_b64decode(self.key.thumbprint() + "=").hex()

    def claims(self, who: str, at: datetime, **changes: Any) -> dict[str, Any]:
        moment = int(at.astimezone(UTC).timestamp())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": f"id-of-{who}",
            "email": f"{who}@bank.example",
            "email_verified": True,
            "name": who.capitalize(),
            "groups": ["model-approvers"],
            "iat": moment,
            "auth_time": moment,
            "exp": moment + 300,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, who: str, at: datetime, **changes: Any) -> str:
        return self.signed(self.claims(who, at, **changes))

    def signed(self, claims: Any, **header: Any) -> str:
        protected = {"alg": self.algorithm, "kid": self.kid, **header}
        data = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        return jws.serialize_compact(protected, data, self.key, algorithms=[self.algorithm])
