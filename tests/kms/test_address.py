"""The address of a key in a key service: what names one, and what is refused without being repeated."""

from __future__ import annotations

import pytest

from signoff.kms.address import BadKeyAddress, KeyAddress, is_address, parse_address

ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:eu-west-1:111122223333:key/{ID}"
READ = {
    f"awskms:///{ID}": KeyAddress(ID),
    f"awskms:///{ID}?region=eu-central-1": KeyAddress(ID, None, "eu-central-1"),
    f"awskms:///{ARN}": KeyAddress(ARN, None, "eu-west-1"),
    f"awskms:///{ARN}?region=eu-west-2": KeyAddress(ARN, None, "eu-west-2"),
    "awskms:///arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/signoff/event": KeyAddress(
        "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/signoff/event", None, "us-gov-west-1"
    ),
    "awskms:///mrk-1234abcd12ab34cd56ef1234567890ab": KeyAddress("mrk-1234abcd12ab34cd56ef1234567890ab"),
    "awskms:///alias/signoff-event?endpoint=https://kms.bank.example": KeyAddress("alias/signoff-event", "https://kms.bank.example"),
    "awskms:///alias/a?endpoint=http://127.0.0.1:5000": KeyAddress("alias/a", "http://127.0.0.1:5000"),
}
REFUSED = {
    f"awskms://{ID}": "begins with awskms:///",
    f"awskms:{ID}": "begins with awskms:///",
    f"awskms://kms.bank.example/{ID}": "begins with awskms:///",
    f"awskms://secret@host/{ID}": "begins with awskms:///",
    f"awskms:///{ID}#part": "begins with awskms:///",
    "awskms:///": "names no key",
    "awskms:///alias/": "names no key",
    "awskms:///a/b": "names no key",
    "awskms:///a%0Ab": "names no key",
    "awskms:///arn:aws:s3:::bucket": "names no key",
    f"awskms:///{ID}?region=": "the region is not one",
    f"awskms:///{ID}?region=EU": "the region is not one",
    f"awskms:///{ID}?region=a&region=b": "other options",
    f"awskms:///{ID}?profile=x": "other options",
    f"awskms:///{ID}?endpoint=http://kms.bank.example": "does not begin with https://",
    f"awskms:///{ID}?endpoint=https://secret@kms.bank.example": "not a host",
    f"awskms:///{ID}?endpoint=https://kms.bank.example/path": "not a host",
    f"awskms:///{ID}?endpoint=https://kms.bank.example:port": "not a host",
    f"awskms:///{ID}?endpoint=": "not a host",
    "awskms:///[": "names no key",
    "awskms://[/": "not an address",
}


@pytest.mark.parametrize("text", READ)
def test_an_address_is_read(text: str) -> None:
    assert is_address(text)
    assert parse_address(text) == READ[text]


@pytest.mark.parametrize("text", REFUSED)
def test_another_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(BadKeyAddress, match=REFUSED[text]) as refused:
        parse_address(text)
    assert "secret" not in str(refused.value)


def test_a_path_is_no_address() -> None:
    assert not is_address("/etc/signoff/keys/seal.key")
    assert not is_address("./awskms:/x")
