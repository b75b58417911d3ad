"""The scene in the browser: somebody signs in, finds what waits for them, and decides. What a browser would do is done by its forms."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Final, Self
from urllib.parse import urljoin

import httpx
from lxml import html  # type: ignore[import-untyped]

from controlplane.bank import CARLA
from controlplane.oidc import Provider
from controlplane.signing_in import Forms
from demo.stage import SceneError, Stage

_SHOWN: Final = 14


class Visitor:
    """Somebody's browser at the portal."""

    def __init__(self, stage: Stage, provider: Provider, who: str) -> None:
        self._stage = stage
        self._provider = provider
        self._who = who
        self._home = stage.bank.portal_url
        trusted = ssl.create_default_context(cafile=str(stage.bank.control_plane.serving_ca_path))
        self._client = httpx.Client(verify=trusted, trust_env=False, timeout=30, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def sign_in(self) -> None:
        """Sign in at the identity provider, and come back."""
        sent = self._client.get(f"{self._home}/sign-in")
        with Forms(self._provider) as forms:
            back, _ = forms.lead(sent.headers["location"], self._who, f"{self._home}/callback")
        if self._client.get(back).status_code != 303:
            raise SceneError("the portal does not take the sign-in")

    def look(self, path: str) -> httpx.Response:
        """Open a page and what it frames, following where they lead."""
        answer = self._client.get(urljoin(self._home, path))
        while answer.has_redirect_location:
            answer = self._client.get(urljoin(str(answer.url), answer.headers["location"]))
        if answer.status_code != 200:
            raise SceneError(f"{path} answers {answer.status_code}: {words(answer)[-1]}")
        if answer.headers["content-type"].startswith("text/html"):
            for frame in html.fromstring(answer.content).iter("iframe"):
                if source := frame.get("src"):  # the frozen desk frames its explanation by its text
                    self.look(urljoin(str(answer.url), source))
        return answer

    def press(self, page: httpx.Response, verdict: str) -> httpx.Response:
        """Press a button of a desk's form, and return the page that it leads to."""
        form = next(one for one in html.fromstring(page.text).forms if str(one.action).endswith("/decision"))
        given = {**dict(form.form_values()), "verdict": verdict}
        answer = self._client.post(urljoin(str(page.url), form.action), data=given, headers={"Origin": self._home})
        if answer.status_code != 303:
            raise SceneError(f"the press answers {answer.status_code}: {' '.join(words(answer))[:500]}")
        return self.look(answer.headers["location"])


def decided(stage: Stage, provider: Provider, name: str) -> None:
    """Carla decides in the browser on what waits for a committee."""
    stage.scene(
        "The desk in the browser",
        f"The portal is at {stage.bank.portal_url}. Carla signs in with the bank's identity provider. What is shown is the frozen page, in "
        "a frame in which nothing can act. It is tier 1, so she opens the explanation first; that she did goes into the seal.",
    )
    with Visitor(stage, provider, CARLA) as carla:
        carla.sign_in()
        _show("her queue", carla.look("/"), (name, "as approver"))
        desk = carla.look(f"/desk/credit/{name}")
        carla.look(f"/desk/credit/{name}/explanation")
        _show("after the press", carla.press(desk, "Approve"), ("Your decision is sealed and archived.", "Awaited"))
    stage.run(CARLA, f"signoff why {_id(stage, name)[:12]}", says=("approved by Carla Example", "awaiting"), shown=12)


def words(page: httpx.Response) -> list[str]:
    """Return what a page says, line by line."""
    main = html.fromstring(page.text).get_element_by_id("main")
    told: list[str] = []
    for part in main.iter("h1", "h2", "h3", "p", "dt", "dd"):
        line = " ".join(" ".join(part.itertext()).split())
        if part.tag == "dd":
            told[-1] += f": {line}"
        elif line:
            told.append(line)
    return told


def _show(title: str, page: httpx.Response, says: tuple[str, ...]) -> None:
    told = words(page)
    print(f"\n  {title}:", flush=True)
    for line in told[:_SHOWN]:
        print(f"    {line}", flush=True)
    for text in says:
        if text not in " ".join(told):
            raise SceneError(f"the page does not say {text!r}")


def _id(stage: Stage, name: str) -> str:
    shown = stage.bank.kubectl(CARLA, "-n", "credit", "get", "modelpromotion", name, "-o", "jsonpath={.status.id}")
    return shown.stdout
