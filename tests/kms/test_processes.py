"""What a process does first with a configured key in a key service. The two processes with such keys: tests/e2e/test_keys.py."""

from __future__ import annotations

from typing import Any

import pytest
from world import World, trusted_key

from signoff.errors import SignoffError
from signoff.kms.signer import open_signer
from signoff.record.trust import Use
from signoff.start import signer
from tests.kms.service import KeyService

REFUSED: dict[str, tuple[Use, str, bool, str]] = {
    "not named": ("event", "demo", False, "the trust file does not name it"),
    "another use": ("seal", "demo", True, "names it for event in cluster demo"),
    "another cluster": ("event", "other", True, "names it for event in cluster demo"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_configured_key_must_be_the_trust_files(world: World, service: KeyService, case: str) -> None:
    use, cluster, named, why = REFUSED[case]
    address = service.address()
    own: Any = open_signer(address)
    trust = world.trust_with(keys=[trusted_key(world.seal_key, "seal"), *([trusted_key(own, "event")] if named else [])])
    with pytest.raises(SignoffError, match=why) as refused:
        signer(address, use, trust, cluster)
    assert refused.value.where == address
    assert "signoff trust add-key" in refused.value.mend


def test_a_key_that_the_trust_file_names_is_taken(world: World, service: KeyService) -> None:
    address = service.address()
    own: Any = open_signer(address)
    assert signer(address, "event", world.trust_with(keys=[trusted_key(own, "event")]), "demo").key_id == own.key_id


def test_an_address_that_is_none_is_no_path_either(world: World) -> None:
    with pytest.raises(SignoffError, match="begins with awskms:///"):
        signer("awskms:/etc/signoff/keys/event.key", "event", world.trust, "demo")
