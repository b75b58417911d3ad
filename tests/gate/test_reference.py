"""References are read as the runtimes' own library reads them, and refused where a gate must be stricter."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from signoff.gate.reference import (
    BadReference,
    Reference,
    covers,
    is_unresolved,
    parse_digest,
    parse_reference,
    parse_repository_pattern,
)

Case = dict[str, str]
Oracle = Callable[[str], dict[str, str]]

MODULE = Path(__file__).parents[2] / "controlplane" / "go" / "reference"
SHORTHAND = {"<256>": f"sha256:{'0a' * 32}", "<384>": f"sha384:{'1b' * 48}", "<512>": f"sha512:{'2c' * 64}"}


def spelled(text: str) -> str:
    for short, whole in {**SHORTHAND, "<64>": "3d" * 32}.items():
        text = text.replace(short, whole)
    return re.sub(r"<([0-9]+)\*(.)>", lambda match: match[2] * int(match[1]), text)


def spelled_out(value: object) -> object:
    if isinstance(value, dict):
        return {key: spelled_out(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [spelled_out(inner) for inner in value]
    return spelled(value) if isinstance(value, str) else value


CASES = spelled_out(yaml.safe_load((Path(__file__).parent / "cases" / "references.yaml").read_text()))


def each(*sections: str) -> pytest.MarkDecorator:
    cases = [case for section in sections for case in CASES[section]]
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in cases])


@each("accepted")
def test_a_reference_is_taken_apart(case: Case) -> None:
    assert parse_reference(case["text"]) == Reference(
        case["domain"], case["path"], case.get("tag"), case.get("digest"), case["qualified"], case["text"]
    )
    assert parse_reference(case["text"]).repository == case.get("repository", f"{case['domain']}/{case['path']}")


@each("refused", "stricter")
def test_a_bad_reference_is_refused_by_its_rule(case: Case) -> None:
    with pytest.raises(BadReference) as refused:
        parse_reference(case["text"])
    assert refused.value.rule == case["rule"]


def test_an_overlong_text_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(BadReference, match="it has 1000000 characters") as refused:
        parse_reference("a" * 1_000_000)
    assert len(str(refused.value)) < 400


def test_a_refusal_says_the_text_the_reason_and_the_mend() -> None:
    with pytest.raises(BadReference) as refused:
        parse_reference("registry.bank.example/Scoring")
    assert str(refused.value) == (
        '"registry.bank.example/Scoring": a repository is lower-case letters and digits, with single . _ / or __ or '
        "dashes between them; write it as registry.example/repository@sha256:<64 hex digits>"
    )


@pytest.mark.parametrize("text", ["", " ", "\t\n", "auto"])
def test_an_image_still_to_be_filled_in_is_unresolved(text: str) -> None:
    assert is_unresolved(text)


@pytest.mark.parametrize("text", ["Auto", "auto ", "auto:latest", "docker.io/library/auto", "nginx"])
def test_nothing_else_is_unresolved(text: str) -> None:
    assert not is_unresolved(text)


@each("exempt")
def test_an_exemption_covers_just_what_it_names(case: Case) -> None:
    assert covers(case["pattern"], case["repository"]) is case["covers"]


@each("lookalikes")
def test_bypass_05_unanchored_name_match(case: Case) -> None:
    assert not covers(case["pattern"], case["repository"])


@each("no-pattern")
def test_an_exemption_without_a_whole_domain_or_with_other_wildcards_is_refused(case: Case) -> None:
    with pytest.raises(BadReference) as refused:
        parse_repository_pattern(case["pattern"])
    assert refused.value.rule == case["rule"]


# What anybody may write: pieces that nearly make a reference, what is well formed or nearly so, and any text.
NEARLY = st.lists(st.sampled_from(CASES["pieces"]), max_size=9).map("".join)
COMPONENT = st.from_regex(r"[a-z0-9]{1,4}(([._]|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
DOMAIN = st.from_regex(r"[a-zA-Z0-9]{1,5}(\.[a-zA-Z0-9]{1,5}){0,3}(:[0-9]{1,6})?", fullmatch=True) | st.sampled_from(
    ["docker.io", "index.docker.io", "localhost", "[2001:db8::1]", "[::1]:5000"]
)
DIGEST = st.sampled_from(list(SHORTHAND.values())).flatmap(
    lambda digest: st.sampled_from([digest, digest, digest, digest[:-1], f"{digest}0", digest.upper(), f"{digest[:-1]}F"])
)
COMPOSED = st.builds(
    lambda domain, path, tag, digest: f"{domain}{'/' if domain else ''}{'/'.join(path)}{tag}{digest}",
    st.just("") | DOMAIN,
    st.lists(COMPONENT, min_size=1, max_size=4),
    st.just("") | st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    st.just("") | DIGEST.map("@{}".format),
)
# Every code point, lone surrogates with them: JSON can carry those.
ANY_TEXT = st.text(st.characters(codec=None, categories=None)) | NEARLY | COMPOSED


def refusal(read: Callable[[str], object], text: str) -> BadReference | None:
    try:
        read(text)
    except BadReference as bad:
        return bad
    return None


@given(ANY_TEXT, ANY_TEXT)
def test_no_text_raises_anything_but_bad_reference_and_its_message_can_be_sent(text: str, repository: str) -> None:
    for read in (parse_reference, parse_digest, parse_repository_pattern, lambda pattern: covers(pattern, repository)):
        message = str(refusal(read, text))
        assert message.isascii()
        assert message.isprintable()
    is_unresolved(text)


@given(ANY_TEXT)
def test_a_reference_written_out_again_is_the_same(text: str) -> None:
    try:
        first = parse_reference(text)
    except BadReference:
        return
    tag = "" if first.tag is None else f":{first.tag}"
    digest = "" if first.digest is None else f"@{first.digest}"
    again = parse_reference(f"{first.domain}/{first.path}{tag}{digest}")
    assert (again.repository, again.tag, again.digest) == (first.repository, first.tag, first.digest)


@given(COMPOSED)
def test_a_repository_covers_itself_and_its_parents_wildcards(text: str) -> None:
    try:
        reference = parse_reference(text)
    except BadReference:
        return
    if not reference.qualified:
        return
    assert covers(reference.repository, reference.repository)
    assert covers(f"{reference.domain}/**", reference.repository)
    assert covers(f"{reference.repository.rpartition('/')[0]}/*", reference.repository)
    assert not covers(f"{reference.repository}/*", reference.repository)


def built_oracle() -> Path:
    """The Go program that asks the runtimes' own library, built once for its sources in the user's cache."""
    sources = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "signoff" / "tools"
    program = cache / f"reference-{hashlib.sha256(sources).hexdigest()[:16]}"
    if program.exists():
        return program
    go = shutil.which("go")
    if go is None:
        pytest.fail("go is not installed, so references cannot be compared with the runtimes' library; install Go 1.26")
    cache.mkdir(parents=True, exist_ok=True)
    fresh = cache / f"{program.name}.{os.getpid()}"
    build = [go, "build", "-trimpath", "-o", str(fresh), "."]
    made = subprocess.run(build, cwd=MODULE, capture_output=True, text=True, timeout=240, check=False)
    if made.returncode != 0:
        pytest.fail(f"controlplane/go/reference does not build: {made.stderr}")
    fresh.replace(program)
    return program


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with subprocess.Popen([built_oracle()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        questions, answers = process.stdin, process.stdout

        def ask(text: str) -> dict[str, str]:
            questions.write(json.dumps(text) + "\n")
            questions.flush()
            return json.loads(answers.readline())

        yield ask
        questions.close()


def parts(reference: Reference) -> dict[str, str]:
    named = {"domain": reference.domain, "path": reference.path, "tag": reference.tag, "digest": reference.digest}
    return {part: text for part, text in named.items() if text is not None}


@each("accepted")
def test_the_library_reads_the_same(case: Case, oracle: Oracle) -> None:
    assert oracle(case["text"]) == parts(parse_reference(case["text"]))


@each("refused")
def test_the_library_refuses_too(case: Case, oracle: Oracle) -> None:
    assert "error" in oracle(case["text"])


@each("stricter")
def test_the_library_reads_what_is_refused_here(case: Case, oracle: Oracle) -> None:
    assert "error" not in oracle(case["text"])


def is_listed_as_stricter(text: str, rule: str) -> bool:
    return any(rule == case["rule"] and re.fullmatch(case["pattern"], text, re.DOTALL) for case in CASES["stricter"])


@settings(max_examples=2000, deadline=None)
@given(st.text() | NEARLY | COMPOSED)
def test_the_library_agrees_on_any_text(oracle: Oracle, text: str) -> None:
    theirs, refused = oracle(text), refusal(parse_reference, text)
    if refused is None:
        assert theirs == parts(parse_reference(text))
    else:
        assert "error" in theirs or is_listed_as_stricter(text, refused.rule), f"the library reads what here is {refused}"
