"""`signoff adopt`: one draft for each image that runs without an event, of today, with nothing filled in that nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from archive_fixture import Ran, Site

from signoff.errors import SignoffError
from signoff.record.request import read_spec
from tests.running.serving import Serving, deployment, pod, replica_set
from tests.webhook.reviews import IMAGE, OTHER_IMAGE

DIGEST = OTHER_IMAGE.partition("@")[2]
TAGGED = "registry.bank.example/models/fraud:3.1"
FRAUD, OTHER = f"sha256:{'f4' * 32}", f"sha256:{'e5' * 32}"
LABELS = {"signoff.dev/gate": "audit", "signoff.dev/environment": "production"}


class Adopting:
    def __init__(self, site: Site, serving: Serving, folder: Path) -> None:
        self.site, self.serving, self.folder = site, serving, folder

    def __call__(self, *arguments: str, namespace: str = "credit") -> Ran:
        given = ("--cluster", "demo", "--kubeconfig", self.serving.kubeconfig(self.folder), *arguments)
        return self.site.run("adopt", namespace, *given)

    def drafts(self, *arguments: str) -> dict[str, dict[str, Any]]:
        ran = self(*arguments)
        return {one["metadata"]["name"]: one for one in yaml.safe_load_all(ran.out) if one}


@pytest.fixture
def adopt(site: Site, tmp_path: Path) -> Iterator[Adopting]:
    with Serving() as serving:
        serving.namespaces["credit"] = dict(LABELS)
        yield Adopting(site, serving, tmp_path)


def ran_as(name: str, *image_ids: str, image: str = TAGGED) -> dict[str, Any]:
    """A Pod of which the kubelet says what its images are."""
    statuses = [{"name": f"c{number}", "imageID": image_id} for number, image_id in enumerate(image_ids)]
    return pod(name, *[image] * max(1, len(image_ids)), status={"phase": "Running", "containerStatuses": statuses})


def test_one_draft_an_image_with_all_who_use_it(adopt: Adopting) -> None:
    adopt.site.promoted()
    adopt.serving.add(deployment("scoring", OTHER_IMAGE))
    adopt.serving.add(replica_set("scoring-1", OTHER_IMAGE, owner=("apps/v1", "Deployment", "scoring")))
    for number in range(3):
        adopt.serving.add(pod(f"scoring-1-{number}", OTHER_IMAGE, owner=("apps/v1", "ReplicaSet", "scoring-1")))
    adopt.serving.add(pod("alone", OTHER_IMAGE.replace("@", ":2.5.0@")))
    adopt.serving.add(pod("promoted", IMAGE))
    ran = adopt()
    assert ran.code == 0
    (draft,) = yaml.safe_load_all(ran.out)
    assert draft["metadata"] == {
        "name": f"credit-scoring-{DIGEST[7:19]}",
        "namespace": "credit",
        "annotations": {"signoff.dev/adopted": "ran in demo/credit before it was promoted; decided when it is approved, not earlier"},
    }
    spec = draft["spec"]
    assert (spec["model"]["image"], spec["comparison"]["candidate"]["digest"]) == (OTHER_IMAGE, DIGEST)
    assert spec["target"] == {"environment": "production", "clusters": ["demo"], "namespaces": ["credit"]}
    assert spec["model"]["incumbent"]["version"] == "2.4.0", "what is live by the archive"
    assert "used by deployments/scoring, pods/alone" in spec["reason"]
    assert "1 draft for what runs in credit without an event" in ran.err


def test_it_is_a_decision_of_today_and_people_must_say_why(adopt: Adopting) -> None:
    adopt.serving.add(deployment("scoring", OTHER_IMAGE))
    (draft,) = adopt.drafts().values()
    reason = draft["spec"]["reason"]
    assert reason.startswith("FILL-IN: why it shall run on")
    assert "as the cluster claims since 2026-01-03T10:00:00Z" in reason
    assert "decided on the day on which it is approved, and holds for no day before" in reason
    del draft["spec"]["reason"]
    assert "2026-01-03" not in str(draft), "nothing else could be taken for the time of a decision"
    draft["spec"]["reason"] = reason
    with pytest.raises(SignoffError, match="FILL-IN"):
        read_spec(draft["spec"])


def test_a_tag_is_not_filled_in_and_the_kubelets_word_is_marked_as_such(adopt: Adopting) -> None:
    adopt.serving.add(deployment("fraud", TAGGED))
    adopt.serving.add(ran_as("fraud-1", f"registry.bank.example/models/fraud@{FRAUD}"))
    model = adopt.drafts()["fraud-3.1"]["spec"]["model"]
    assert model["image"].startswith("FILL-IN: ")
    assert f"registry.bank.example/models/fraud@{FRAUD}, if the registry says so too" in model["image"]
    assert "the kubelet's word alone" in model["image"]
    assert model["version"] == "3.1"
    candidate = adopt.drafts()["fraud-3.1"]["spec"]["comparison"]["candidate"]
    assert candidate["digest"].startswith("FILL-IN: ")
    adopt.serving.add(ran_as("fraud-2", f"docker-pullable://mirror.bank.example/fraud@{OTHER}"))
    image = adopt.drafts()["fraud-3.1"]["spec"]["model"]["image"]
    assert f"fraud@{FRAUD} or registry.bank.example/models/fraud@{OTHER}" in image, "kubelets that differ are both told"


@pytest.mark.parametrize("image_id", ["", FRAUD, f"x@{FRAUD[:-1]}", f"x@sha512:{'a' * 128}", f"x@{FRAUD.upper()}", f"x@{FRAUD}\n"])
def test_what_a_kubelet_says_otherwise_is_no_hint(adopt: Adopting, image_id: str) -> None:
    adopt.serving.add(ran_as("fraud-1", image_id))
    image = adopt.drafts()["fraud-3.1"]["spec"]["model"]["image"]
    assert "no kubelet says" in image
    assert "crane digest registry.bank.example/models/fraud:3.1" in image


def test_a_kubelet_speaks_of_its_own_containers_alone(adopt: Adopting) -> None:
    both = ran_as("two", f"x@{FRAUD}", f"x@{OTHER}")
    both["spec"]["containers"][1]["image"] = "registry.bank.example/models/churn:1"
    adopt.serving.add(both)
    drafts = adopt.drafts()
    assert OTHER in drafts["churn-1"]["spec"]["model"]["image"]
    assert FRAUD in drafts["fraud-3.1"]["spec"]["model"]["image"]
    assert FRAUD not in drafts["churn-1"]["spec"]["model"]["image"]


def test_what_cannot_be_drafted_is_told_and_holds_up_nothing_else(adopt: Adopting) -> None:
    adopt.serving.add(deployment("scoring", OTHER_IMAGE))
    adopt.serving.add(pod("short", "scoring:1"))
    adopt.serving.add(pod("unreadable"))
    adopt.serving.add(pod("sha512", f"registry.bank.example/m@sha512:{'a' * 128}"))
    ran = adopt()
    assert ran.code == 1
    assert len(list(yaml.safe_load_all(ran.out))) == 1
    for why in ("pods/short: scoring:1: names no registry", "pods/unreadable: spec.containers: there is no container", "pods/sha512: "):
        assert f"not drafted  {why}" in ran.err


def test_what_could_not_be_told_is_code_2(adopt: Adopting, monkeypatch: pytest.MonkeyPatch) -> None:
    adopt.serving.add(deployment("scoring", OTHER_IMAGE))
    first = adopt.serving.fault

    def away(path: str, query: Any) -> Any:  # the archive goes when the cluster is listed: after its trust file was read
        if path.endswith("/deployments") and adopt.site.world.folder.exists():
            adopt.site.world.folder.rename(adopt.site.world.folder.with_name("away"))
        return first(path, query)

    adopt.serving.fault = away
    ran = adopt()
    assert (ran.code, ran.out) == (2, "")
    assert "could not tell  deployments/scoring: could not tell whether it was promoted" in ran.err


def test_a_folder_gets_one_file_each_and_nothing_is_written_over(adopt: Adopting, tmp_path: Path) -> None:
    adopt.serving.add(deployment("scoring", OTHER_IMAGE, TAGGED))
    out = tmp_path / "drafts"
    assert adopt("--out", str(out)).code == 0
    assert {path.name for path in out.iterdir()} == {f"credit-scoring-{DIGEST[7:19]}.yaml", "fraud-3.1.yaml"}
    (out / f"credit-scoring-{DIGEST[7:19]}.yaml").unlink()
    (out / "fraud-3.1.yaml").write_text("filled in by Ben")
    again = adopt("--out", str(out))
    assert (again.code, again.out) == (2, "")
    assert "fraud-3.1.yaml: is there already" in again.err
    assert [path.read_text() for path in out.iterdir()] == ["filled in by Ben"]


def test_the_environment_is_the_namespaces_or_the_one_that_is_given(adopt: Adopting) -> None:
    adopt.serving.namespaces["credit"] = {}
    adopt.serving.add(deployment("scoring", OTHER_IMAGE))
    ran = adopt()
    assert (ran.code, ran.out) == (2, "")
    assert "bears no label signoff.dev/environment" in ran.err
    (draft,) = adopt.drafts("--environment", "staging").values()
    assert draft["spec"]["target"]["environment"] == "staging", "whatever gate the namespace meets"
    assert adopt(namespace="no-such").code == 2


def test_where_everything_has_its_event_there_is_nothing_to_draft(adopt: Adopting) -> None:
    adopt.site.promoted()
    adopt.serving.add(deployment("scoring", IMAGE))
    ran = adopt()
    assert (ran.code, ran.out, ran.err) == (0, "", "all that runs in credit has its event\n")


def test_two_repositories_with_one_last_name_are_two_drafts(adopt: Adopting) -> None:
    adopt.serving.add(pod("one", TAGGED))
    adopt.serving.add(pod("two", TAGGED.replace("models", "retail")))
    assert set(adopt.drafts()) == {"fraud-3.1", "fraud-3.1-2"}
