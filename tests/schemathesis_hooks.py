"""Hooks of schemathesis, named in schemathesis.toml."""

import itertools
import os
import re

import schemathesis

KEY = "Idempotency-Key"
_numbers = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Give each request of a scenario a key of its own, and keep the token of the run.

    Hypothesis runs a scenario again with the same key, and the service then gives the answer that
    it has kept, as it should: of something that an earlier run of the scenario has deleted.
    """
    key = (case.headers or {}).get(KEY, "")
    if case.meta and case.meta.phase.name.value == "stateful" and re.fullmatch("[!-~]{1,240}", key):
        case.headers[KEY] = f"{key}-{next(_numbers)}"
    if (case.path_parameters or {}).get("token_id") == os.environ.get("TOKEN", ""):
        case.path_parameters["token_id"] = "tok_none"
