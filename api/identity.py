"""Who is asking: a token's user, or the local user where tokens are switched off."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api import errors
from openforge.control import tokens
from openforge.control.database import Control
from openforge.control.tokens import IMPLIED
from openforge.control.tokens import Scope as TokenScope

LOCAL_USER = "local"


@dataclass(frozen=True)
class Caller:
    """Who is asking. `user` is None for nobody; `wrong` says that a token was given and is bad."""

    user: str | None
    scopes: frozenset[TokenScope] = frozenset()
    project_id: str | None = None
    token_id: str = ""
    wrong: bool = False

    @property
    def is_admin(self) -> bool:
        """Whether everything of every user can be seen."""
        return TokenScope.ADMIN in self.scopes

    @property
    def owner(self) -> str | None:
        """Whose things are listed; None: everybody's."""
        return None if self.is_admin else self.user


LOCAL = Caller(LOCAL_USER, frozenset(TokenScope))


class IdentityMiddleware:
    """Puts the `Caller` into the request's state; whether it may is the routes' business."""

    def __init__(self, app: ASGIApp, *, enabled: bool) -> None:
        self._app, self._enabled = app, enabled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or connection."""
        if scope["type"] in ("http", "websocket"):
            state = scope.setdefault("state", {"caller": Caller(None)})
            try:
                state["caller"] = await self._caller(scope) if self._enabled else LOCAL
            except OperationalError as error:
                response = errors.respond(error, scope["app"].state.service.workspace.path)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        secret = _secret(Headers(scope=scope))
        if secret is None:
            return Caller(None)
        control: Control = scope["app"].state.service.control
        return await identify(control, secret)


async def identify(control: Control, secret: str) -> Caller:
    """The caller that `secret` stands for."""
    with control.read() as connection:
        token = tokens.find(connection, secret)
    if token is None:
        return Caller(None, wrong=True)
    if tokens.needs_touch(token):
        await run_in_threadpool(_touch, control, token.id)
    scopes = {given for word in token.scopes for given in IMPLIED[TokenScope(word)]}
    return Caller(token.user, frozenset(scopes), token.project_id, token.id)


def _touch(control: Control, token_id: str) -> None:
    """Record the use; a full disk is no reason not to answer."""
    with contextlib.suppress(OperationalError), control.write() as connection:
        tokens.touch(connection, token_id)


def _secret(headers: Headers) -> str | None:
    """The token of a request: ``Authorization: Bearer`` or ``X-API-Key``."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return rest.strip()
    if "authorization" in headers:
        return ""  # another scheme: no token is empty
    return headers.get("x-api-key")
