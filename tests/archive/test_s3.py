"""What holds of an archive in S3 alone: versions, delete markers, rights, and a bucket that keeps its word."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from between import Answer
from buckets import BUCKET

from signoff.archive import layout
from signoff.archive.file import MARKER
from signoff.archive.findings import findings_of
from signoff.archive.open import open_store
from signoff.archive.s3_proof import prove_bucket
from signoff.archive.store import Damaged, Exists, Missing, Refused, TooLarge, Unavailable
from signoff.record.bundle import MAX_BUNDLE
from signoff.verify.reader import Reader


def test_each_object_is_locked_in_compliance_mode_by_the_servers_word(in_s3):
    stored = in_s3.opened().create("events/a", b"first")
    answer = in_s3.buckets.raw().get_object_retention(Bucket=BUCKET, Key=f"{in_s3.prefix}events/a")
    assert answer["Retention"]["Mode"] == "COMPLIANCE"
    assert abs(answer["Retention"]["RetainUntilDate"] - stored.stored_at - timedelta(days=3)) < timedelta(minutes=1)


@pytest.mark.parametrize("who", ["admin", "writer", "reader"])
def test_the_store_lets_nobody_delete_a_version(in_s3, who):
    in_s3.opened().create("events/a", b"first")
    raw = in_s3.buckets.raw(who)
    version = raw.list_object_versions(Bucket=BUCKET, Prefix=f"{in_s3.prefix}events/a")["Versions"][0]["VersionId"]
    with pytest.raises(raw.exceptions.ClientError, match="AccessDenied"):
        raw.delete_object(Bucket=BUCKET, Key=f"{in_s3.prefix}events/a", VersionId=version)


def test_what_lies_above_the_record_is_a_finding_and_never_an_answer(in_s3):
    store = in_s3.opened()
    untouched, hidden, covered = (store.create(f"events/{name}", b"first") for name in "abc")
    in_s3.hide("events/b")
    in_s3.put_over("events/c", b"second")
    in_s3.put_over("events/c", b"third")
    in_s3.hide("events/c")
    in_s3.hide("events/d")
    for record in (untouched, hidden, covered):
        assert store.read(record.key, limit=100) == record
    assert list(store.list("events/")) == ["events/a", "events/b", "events/c"]
    with pytest.raises(Missing):
        store.read("events/d", limit=100)
    assert [(one.key, one.what) for one in findings_of(store)] == [
        ("events/b", "above the record: 1 delete marker"),
        ("events/c", "above the record: 2 later versions and 1 delete marker"),
        ("events/d", "no record, and 1 delete marker"),
    ]
    assert [one.key for one in findings_of(store, "events/c")] == ["events/c"]


def test_a_record_that_is_hidden_is_not_created_again(in_s3):
    store = in_s3.opened()
    first = store.create("events/a", b"first")
    in_s3.hide("events/a")
    with pytest.raises(Exists, match="a delete marker hid it"):
        store.create("events/a", b"second")
    assert store.read("events/a", limit=100) == first


def test_a_later_version_of_the_same_second_is_not_the_record(in_s3):
    store = in_s3.opened(page=2)
    for number in range(5):
        store.create(f"a/{number}", b"first")
        for later in range(number):
            in_s3.put_over(f"a/{number}", b"%d" % later)
    assert [store.read(f"a/{number}", limit=9).data for number in range(5)] == [b"first"] * 5


def test_bypass_18_a_delete_marker_or_a_later_version_does_not_un_revoke(in_s3, world):
    """A whole archive, copied into the bucket: whoever may write there hides the revocation, and puts a remark over it."""
    frozen = world.freeze()
    world.store.create(layout.event(frozen.freeze.id), world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)]))
    verified = world.reader.outcome(frozen.freeze.id)
    revocation = world.correct(verified)
    remark = world.store.read(world.correct(verified, "Annotate"), limit=MAX_BUNDLE).data
    store = in_s3.opened()
    for key in world.store.list(""):
        if key != MARKER:
            store.create(key, world.store.read(key, limit=MAX_BUNDLE).data)
    in_s3.put_over(revocation, remark)
    in_s3.hide(revocation)
    reader = Reader(store, world.trust)
    assert [one.revokes for one in reader.corrections(reader.outcome(frozen.freeze.id))].count(True) == 1
    assert revocation in [one.key for one in findings_of(store)]


def test_keys_that_no_archive_has_are_findings(in_s3):
    store = in_s3.opened()
    for key in ("events/Upper", ".hidden", "folder/", "A/b"):
        in_s3.put_over(key, b"x")
    assert list(store.list("")) == ["archive.json"]
    assert {one.key for one in findings_of(store)} == {"events/Upper", ".hidden", "A/", "folder/"}
    assert all(one.what == "no object of an archive can have this key" for one in findings_of(store))


def test_a_folder_has_no_findings(folder):
    store = open_store(folder.url)
    store.create("events/a", b"x")
    assert list(findings_of(store)) == []


@pytest.mark.parametrize("page", [1, 2, 3, 7, 1000])
def test_a_listing_of_many_pages_is_whole(in_s3, page):
    store = in_s3.opened()
    keys = [f"events/{number:04x}.json" for number in range(9)]
    for key in keys:
        store.create(key, b"")
    for key in keys[2:5]:
        in_s3.put_over(key, b"x")
        in_s3.hide(key)
    small = in_s3.opened(page=page)
    assert list(small.list("events/")) == keys
    assert list(small.list("events/", after=keys[3], limit=2)) == keys[4:6]
    assert len(list(small.findings("events/"))) == 3


def test_sixteen_writers_race_and_one_wins_each_key(in_s3):
    store = in_s3.opened()

    def write(writer):
        won = []
        for number in range(20):
            with suppress(Exists):
                won.append(store.create(f"race/{number:02}", b"%d" % writer).key)
        return won

    with ThreadPoolExecutor(16) as pool:
        wins = sorted(key for won in pool.map(write, range(16)) for key in won)
    assert wins == [f"race/{number:02}" for number in range(20)]
    assert list(findings_of(store)) == []


def test_a_reader_may_read_and_may_not_create(in_s3):
    in_s3.opened().create("a", b"12345")
    in_s3.become("reader")
    store = in_s3.opened()
    assert store.read("a", limit=5).data == b"12345"
    assert list(store.list("")) == ["a", "archive.json"]
    with pytest.raises(TooLarge):
        store.read("a", limit=4)
    for call in (lambda: store.create("b", b""), store.prove):
        with pytest.raises(Refused, match=r"the store refuses it \(403 AccessDenied\)"):
            call()


@pytest.mark.parametrize("wrong", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "both"])
def test_wrong_access_keys_are_refused_and_told_to_nobody(in_s3, monkeypatch, wrong):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if wrong in {name, "both"}:
            monkeypatch.setenv(name, "hunter2")
    store = in_s3.opened()
    for call in (store.check, store.prove, lambda: store.create("a", b""), lambda: store.read("a", limit=1), lambda: list(store.list(""))):
        with pytest.raises(Refused, match="403") as refused:
            call()
        assert "hunter2" not in str(refused.value)


def test_no_access_keys_are_refused(in_s3, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(Refused, match="no access keys"):
        in_s3.opened().check()


def test_a_bucket_that_is_not_there_is_unavailable_and_nothing_is_missing(in_s3):
    in_s3.become("admin")
    store = open_store(in_s3.url)
    gone = type(store)("no-such-bucket", in_s3.prefix, in_s3.buckets.raw())
    for call in (gone.check, gone.prove, lambda: gone.create("a", b""), lambda: gone.read("a", limit=1), lambda: list(gone.list(""))):
        with pytest.raises(Unavailable, match="no such bucket"):
            call()


def test_a_prefix_without_a_marker_is_no_archive(in_s3):
    with pytest.raises(Unavailable, match=r"no archive is there.*`signoff init`"):
        open_store(in_s3.url.replace(in_s3.prefix, "elsewhere/"))


def test_a_prefix_of_other_things_is_not_taken_over(in_s3):
    in_s3.become("admin")
    in_s3.prefix = f"other-{secrets.token_hex(4)}/"
    in_s3.url = in_s3.buckets.store.address(BUCKET, in_s3.prefix)
    in_s3.put_over("thesis.doc", b"x")
    with pytest.raises(Refused, match=r"other things are there, such as thesis\.doc"):
        in_s3.opened().initialise()


def test_an_archive_of_another_format_is_not_opened(in_s3):
    in_s3.prefix = f"later-{secrets.token_hex(4)}/"
    in_s3.url = in_s3.buckets.store.address(BUCKET, in_s3.prefix)
    in_s3.put_over("archive.json", b'{"format":"signoff archive/v2"}\n')
    with pytest.raises(Damaged, match="use the version of signoff"):
        open_store(in_s3.url)


def test_a_start_proves_that_the_writer_may_not_delete(in_s3):
    proof = in_s3.opened().prove()
    assert proof.delete_refused
    assert "may not delete; its marker is locked in COMPLIANCE mode until" in proof.remark
    assert "default lock may not be read" in proof.remark


def test_a_start_where_the_marker_is_hidden_says_so(in_s3):
    in_s3.hide("archive.json")
    proof = in_s3.opened().prove()
    assert (proof.delete_refused, "a finding: " in proof.remark) == (True, True)


@pytest.mark.parametrize(
    ("method", "lie", "said"),
    [
        (
            "PUT",
            lambda on: replace(on(), status=200, body=b"").with_header("x-amz-version-id", "1").with_header("ETag", '"e"'),
            "wrote over a key that was taken",
        ),
        ("HEAD", lambda on: on().with_header("x-amz-object-lock-mode", "GOVERNANCE"), "not seen to be locked in COMPLIANCE mode"),
        ("HEAD", lambda on: on().with_header("x-amz-object-lock-mode", None), "not seen to be locked in COMPLIANCE mode"),
        ("DELETE", lambda _: Answer(204), "let this process delete"),
    ],
)
def test_a_start_refuses_a_store_that_does_not_keep_its_word(in_s3, between, method, lie, said):
    between.always(method, lie)
    with pytest.raises(Refused, match=said):
        in_s3.opened(endpoint=between.endpoint).prove()


def test_no_delete_is_tried_where_the_lock_has_ended(in_s3, between):
    between.always("HEAD", lambda on: on().with_header("x-amz-object-lock-retain-until-date", "2020-01-01T00:00:00Z"))
    proof = in_s3.opened(endpoint=between.endpoint).prove()
    assert (proof.delete_refused, between.asked.count("DELETE")) == (False, 0)
    assert "delete was not tried" in proof.remark


def test_a_bucket_that_keeps_its_word_is_proven_and_left_clean(in_s3, monkeypatch):
    monkeypatch.setattr("signoff.archive.s3_proof._LOCKED", timedelta(seconds=4))
    in_s3.become("admin")
    prove_bucket(in_s3.requests(), in_s3.prefix, "s3://evidence")
    left = in_s3.buckets.raw().list_object_versions(Bucket=BUCKET, Prefix=f"{in_s3.prefix}.")
    assert ("Versions" in left, "DeleteMarkers" in left) == (False, False)


@pytest.mark.parametrize(
    ("method", "lie", "said"),
    [
        (
            "PUT",
            lambda on: replace(on(), status=200, body=b"").with_header("x-amz-version-id", "1").with_header("ETag", '"e"'),
            "of 16 conditional writes .* 16 won",
        ),
        ("HEAD", lambda on: on().with_header("x-amz-object-lock-mode", "GOVERNANCE"), "read back is GOVERNANCE"),
        (
            "HEAD",
            lambda on: on().with_header("x-amz-object-lock-retain-until-date", "2020-01-01T00:00:00Z"),
            "read back is COMPLIANCE until 00:00",
        ),
        ("DELETE", lambda _: Answer(204), "let this process delete"),
    ],
)
def test_a_bucket_that_does_not_keep_its_word_is_refused(in_s3, between, monkeypatch, method, lie, said):
    monkeypatch.setattr("signoff.archive.s3_proof._LOCKED", timedelta(seconds=4 if method == "DELETE" else 1))
    in_s3.become("admin")
    between.always(method, lie)
    with pytest.raises(Refused, match=said):
        prove_bucket(in_s3.requests(endpoint=between.endpoint), in_s3.prefix, "s3://evidence")


@pytest.mark.parametrize(("mode", "lock"), [(None, False), (None, True), ("GOVERNANCE", True)])
def test_a_bucket_without_the_right_default_is_refused(in_s3, mode, lock):
    in_s3.become("admin")
    name = f"bucket-{mode or 'none'}-{lock}".lower()
    in_s3.buckets.make(name, mode, lock=lock)
    with pytest.raises(Refused, match="default retention is not in COMPLIANCE mode"):
        prove_bucket(in_s3.requests(bucket=name), "", "s3://bucket")


def test_the_writer_cannot_prove_a_bucket(in_s3):
    with pytest.raises(Refused, match="403"):
        prove_bucket(in_s3.requests(), in_s3.prefix, "s3://evidence")
