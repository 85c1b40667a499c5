"""What schemathesis is told about gfpd beyond what its checks know.

Two rules of the document are held here, which make the checks stricter than they are by default:
a 400 to a request that its schemas allow must be for a rule of `x-rules`, and a status that falls
under `default` must be one of `x-statuses`.
"""

import json
import os
import re
from pathlib import Path

import schemathesis
import yaml

DOCUMENT = yaml.safe_load(Path(os.environ["GFPD_CONTRACT"]).read_text())
RULES = [(re.compile(rule["pointer"]), re.compile(rule["detail"])) for rule in DOCUMENT["x-rules"]]
PARAMETERS = DOCUMENT["components"]["parameters"]
SCHEMAS = DOCUMENT["components"]["schemas"]
MOST_MILLISECONDS = SCHEMAS["WaitMilliseconds"]["maximum"]
LONGEST_WAIT = 50
# The ledger that a run begins with has so many entries.
END = 42
UNKNOWN_FIELD = "x-schemathesis-unknown-property"
ANYWHERE = DOCUMENT["components"]["responses"]["Problem"]["x-statuses"]


def breaks_only_rules_beyond_schemas(problem, case):
    """Whether each error of a problem document is one of `x-rules`, or of a field whose value the
    document forbids: now and then a number is sent for a text and called valid."""
    errors = problem.get("errors", [])
    return bool(errors) and all(
        any(
            pointer.fullmatch(error["pointer"]) and detail.search(error["detail"])
            for pointer, detail in RULES
        )
        or breaks_its_pattern(error["pointer"], case)
        for error in errors
    )


def breaks_its_pattern(pointer, case):
    """Whether a header's value is none of those that its parameter's pattern allows."""
    name = pointer.removeprefix("/header/")
    value = (case.headers or {}).get(name)
    for parameter in case.operation.definition.raw.get("parameters", []):
        if "$ref" in parameter:
            parameter = PARAMETERS[parameter["$ref"].split("/")[-1]]
        if (parameter["in"], parameter["name"]) == ("header", name):
            return value is not None and not re.search(parameter["schema"]["pattern"], value)
    return False


@schemathesis.hook
def before_call(context, case, **options):
    """Bounds what takes as long as the request says: a stream without `before` has no end, and an
    allocation waits for `wait_ms`. What is no such number is sent as it is."""
    operation = case.operation.definition.raw["operationId"]
    if operation == "streamLedger":
        before = (case.query or {}).get("before", END)
        if re.fullmatch("[0-9]{1,18}", str(before)):
            case.query = {**(case.query or {}), "before": min(int(before), END)}
    elif operation == "allocate" and isinstance(case.body, dict):
        wait = case.body.get("wait_ms")
        if type(wait) is int and LONGEST_WAIT < wait <= MOST_MILLISECONDS:
            case.body = {**case.body, "wait_ms": LONGEST_WAIT}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Lets a 400 pass as the answer to a request that its schemas allow, for `x-rules` alone, and
    a request with a field that nobody knows, which is to be ignored (RFC 9110, section 5.1)."""
    if failure.code == "ST201" and UNKNOWN_FIELD in {name.lower() for name in case.headers or {}}:
        return False
    if failure.code != "ST202" or response.status_code != 400:
        return True
    return not breaks_only_rules_beyond_schemas(json.loads(response.content), case)


@schemathesis.check
def status_is_documented(ctx, response, case):
    """A status that an operation does not list must be one that any request may meet."""
    listed = case.operation.definition.raw["responses"]
    if str(response.status_code) not in listed and response.status_code not in ANYWHERE:
        raise AssertionError(f"{response.status_code} is not documented")


@schemathesis.check
def answer_names_its_request(ctx, response, case):
    """Each answer carries the id of its request, and a problem its own status. A problem that is
    given again under its key is the first one, whose id it keeps."""
    sent = (response.request.headers or {}).get("X-Request-Id")
    [answered] = response.headers.get("x-request-id", [""])
    if not answered:
        raise AssertionError("no X-Request-Id")
    if response.headers.get("content-type", [""])[0] == "application/problem+json":
        problem = json.loads(response.content)
        is_its_own = problem["request_id"] == answered or "idempotency-replayed" in response.headers
        if problem["status"] != response.status_code or not is_its_own:
            raise AssertionError(f"the problem is another answer's: {problem}")
    return sent is None
