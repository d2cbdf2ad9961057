"""Which limit a request falls under, and what is said when it is too much."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Scope

from api import errors
from api.identity import Caller
from api.ratelimit import Policy, Standing
from openforge.service.settings import ServiceSettings

_RESULTS = re.compile(r"/api/v1/jobs/[^/]+/results(/.*)?")


@dataclass(frozen=True)
class Policies:
    """The limits of the contract, and those that protect the service."""

    submissions: Policy
    results: Policy
    requests: Policy
    failed_logins: Policy

    @classmethod
    def of(cls, settings: ServiceSettings) -> Policies:
        """The policies that `settings` ask for."""
        return cls(
            submissions=Policy("submissions", settings.submissions_per_hour, 3600),
            results=Policy("results", settings.results_per_minute, 60),
            requests=Policy("requests", settings.requests_per_minute, 60),
            failed_logins=Policy("failed-logins", settings.failed_logins_per_minute, 60),
        )


class RateLimits:
    """Chooses a policy for each request, by who asks for what."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def choose(self, scope: Scope) -> tuple[Policy, tuple[str, ...]]:
        """The policy, and for whom it is counted: a user, or an address."""
        caller: Caller = scope["state"]["caller"]
        address = (scope.get("client") or ("",))[0]
        if caller.wrong:
            return self._policies.failed_logins, (address,)
        key = ("user", caller.user) if caller.user else ("address", address)
        if _RESULTS.fullmatch(scope["path"]):
            return self._policies.results, key
        return self._policies.requests, key

    def refuse(self, scope: Scope, standing: Standing) -> Response:
        """The error for a request that is too much."""
        del scope
        limit, window = standing.policy.limit, standing.policy.window_s
        message = f"too many requests: {limit} in {window} s are allowed; try again later"
        return errors.response(429, message, {"policy": standing.policy.name})
