"""From an s3:// address to a place, and the policies for it."""

import json
from urllib.parse import urlsplit

import pytest

from signoff.archive.open import access_policies, initialise, open_store
from signoff.archive.s3_address import S3Address, parse_s3
from signoff.archive.store import BadAddress

STORE = "endpoint=https://store.bank.example"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://evidence", S3Address("evidence", "")),
        ("s3://evidence/", S3Address("evidence", "")),
        ("s3://evidence/a/b", S3Address("evidence", "a/b/")),
        ("s3://evidence/a/?region=eu-central-1", S3Address("evidence", "a/", None, "eu-central-1")),
        (f"s3://evidence/a?{STORE}:8333/", S3Address("evidence", "a/", "https://store.bank.example:8333")),
        ("s3://evidence?endpoint=http://127.0.0.1:8333", S3Address("evidence", "", "http://127.0.0.1:8333")),
        ("s3://evidence?endpoint=http://[::1]:8333", S3Address("evidence", "", "http://[::1]:8333")),
    ],
)
def test_an_address_names_a_place(url, place):
    assert parse_s3(urlsplit(url)) == place


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://", "no bucket"),
        ("s3://Evidence", "no bucket"),
        ("s3://evidence:443/a", "no bucket"),
        ("s3://key:hunter2@evidence/a", "holds a user"),
        ("s3://evidence/../a", "prefix"),
        ("s3://evidence/a//b", "prefix"),
        ("s3://evidence/.a", "prefix"),
        ("s3://evidence/A", "prefix"),
        ("s3://evidence/" + "a" * 101, "prefix"),
        ("s3://evidence/a#hunter2", "more than a place"),
        ("s3://evidence?secret=hunter2", "other options"),
        (f"s3://evidence?{STORE}&{STORE}", "other options"),
        ("s3://evidence?endpoint=", "not a host"),
        ("s3://evidence?endpoint=https://key:hunter2@store.bank.example", "not a host"),
        ("s3://evidence?endpoint=https://store.bank.example/hunter2", "not a host"),
        ("s3://evidence?endpoint=https://store.bank.example:x", "not a host"),
        ("s3://evidence?endpoint=http://store.bank.example", "does not begin with https"),
        ("s3://evidence?endpoint=http://10.0.0.1:8333", "does not begin with https"),
        ("s3://evidence?endpoint=http://127.0.0.1.bank.example", "does not begin with https"),
        ("s3://evidence?endpoint=ftp://127.0.0.1", "does not begin with https"),
        ("s3://evidence?region=", "region"),
        ("s3://evidence?region=a.example/", "region"),
    ],
)
def test_other_addresses_are_refused(url, said):
    for call in (open_store, initialise, access_policies):
        with pytest.raises(BadAddress, match=said) as refused:
            call(url)
        assert "hunter2" not in str(refused.value)


def test_a_folder_needs_no_policies():
    assert access_policies("file:///srv/archive") == {}


def actions(policy):
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def test_the_policies_grant_what_is_needed_and_no_more():
    found = {name: json.loads(data) for name, data in access_policies("s3://evidence/a/b").items()}
    reading = {"s3:GetObjectVersion", "s3:GetObjectRetention", "s3:ListBucketVersions", "s3:GetBucketObjectLockConfiguration"}
    assert {name: actions(policy) for name, policy in found.items()} == {
        "s3-reader-policy.json": reading,
        "s3-writer-policy.json": reading | {"s3:PutObject"},
    }
    for policy in found.values():
        assert {statement["Effect"] for statement in policy["Statement"]} == {"Allow"}
        places = {action: (one["Resource"], one.get("Condition")) for one in policy["Statement"] for action in one["Action"]}
        assert places["s3:GetObjectVersion"] == ("arn:aws:s3:::evidence/a/b/*", None)
        assert places["s3:ListBucketVersions"] == ("arn:aws:s3:::evidence", {"StringLike": {"s3:prefix": "a/b/*"}})
        if "s3:PutObject" in places:
            assert places["s3:PutObject"] == ("arn:aws:s3:::evidence/a/b/*", {"Null": {"s3:if-none-match": "false"}})


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eu-central-1", "aws")])
def test_the_policies_name_the_partition(region, partition):
    for data in access_policies(f"s3://evidence?region={region}").values():
        assert f'"arn:{partition}:s3:::evidence/*"' in data.decode()
