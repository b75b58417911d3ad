"""The portal in OpenAPI (3.1): what is asked, which statuses come of it, and in which media type.

1. What any operation may answer is said here once: a page (404) on an address that is none, in plain text (421) that another host was
   named, a page (500) on a fault of ours. What only some do, they say themselves, where they are served.
2. Who must be signed in: by the dependency that asks for it. They may get a page to sign in (401), one on what did not come about (409),
   and one on what is out of reach (503).
3. What takes a form takes it urlencoded, with the session's token; another is refused on a page (400, 403, 413, 415).
4. An address of another form is no page (404): FastAPI's own answer to it (422) is never given, and not described.
5. No address serves the description: nobody but tests reads it, and it would tell strangers what there is.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from signoff.portal.forms import MAX_FIELDS
from signoff.portal.guard import COOKIE
from signoff.portal.visit import Person

Described = dict[str, Any]


def page(what: str) -> Described:
    """Return the description of an answer that is a page of ours."""
    return _answer(what, "text/html")


def plainly(what: str) -> Described:
    """Return the description of an answer in plain text."""
    return _answer(what, "text/plain")


def archived(*media_types: str) -> Described:
    """Return the description of an answer that is what the archive holds."""
    return _answer("The archived bytes", *media_types)


def form(**fields: Described) -> Described:
    """Return what an operation adds to its description that takes these fields, besides the session's token."""
    return {"requestBody": {"content": {_FORM: {"schema": {"properties": fields}}}}}


def describe(app: FastAPI) -> None:
    """Have an application with all its routes describe itself so."""
    made = app.openapi

    def described() -> Described:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(made(), _routes(app))
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]  # the way that FastAPI documents


def _answer(what: str, *media_types: str) -> Described:
    return {"description": what, "content": {one: {} for one in media_types}}


_FORM: Final = "application/x-www-form-urlencoded"
_SIGNED_IN: Final = "session"
_ANY: Final = {
    404: page("There is no such page, or you may not see it"),
    421: plainly("Another host was named"),
    500: page("A fault of ours"),
}
_OF_PERSONS: Final = {401: page("Sign in"), 409: page("That did not come about"), 503: page("Something is out of reach")}
_OF_FORMS: Final = {
    400: page("That is no form of ours"),
    403: page("It is out of date, or another page sent it"),
    413: page("That is too much"),
    415: page("It is no form"),
}


def _routes(app: FastAPI) -> dict[tuple[str, str], APIRoute]:
    return {(one.path_format, method.lower()): one for one in app.routes if isinstance(one, APIRoute) for method in one.methods or ()}


def _completed(schema: Described, routes: dict[tuple[str, str], APIRoute]) -> Described:
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            answers.pop("422", None)
            _add(answers, _ANY)
            if _asks_who(routes[path, method].dependant):
                operation["security"] = [{_SIGNED_IN: []}]
                _add(answers, _OF_PERSONS)
            if method == "post":
                _add(answers, _OF_FORMS)
                body = operation.setdefault("requestBody", {"content": {_FORM: {"schema": {"properties": {}}}}})
                asked = body["content"][_FORM]["schema"]
                asked |= {"type": "object", "required": ["csrf", *asked["properties"]], "maxProperties": MAX_FIELDS}
                asked["properties"] = {"csrf": {"type": "string"}, **asked["properties"]}
                body["required"] = True
    components = schema.setdefault("components", {})
    components.pop("schemas", None)
    components["securitySchemes"] = {_SIGNED_IN: {"type": "apiKey", "in": "cookie", "name": COOKIE}}
    return schema


def _add(answers: Described, more: dict[int, Described]) -> None:
    for status, answer in more.items():
        answers.setdefault(str(status), answer)


def _asks_who(dependant: Dependant) -> bool:
    _, asks = get_args(Person)
    return any(one.call is asks.dependency or _asks_who(one) for one in dependant.dependencies)
