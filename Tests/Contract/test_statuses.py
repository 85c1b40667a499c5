"""Each status that the document gives an operation, led to and held to its schema and headers."""

import re

import pytest
from contract import OPERATIONS, resolved, validate
from story import CAUSES, carry_out, server_on_a_full_disk, succeed, target

# What leads to these changes nothing.
REFUSED_UNREAD = ("400", "404", "406", "412", "415")
DOCUMENTED = [(o.id, status) for o in OPERATIONS.values() for status in o.statuses]


def hold(operation, status, answer):
    """The answer has what the document says of that status."""
    assert answer.status == int(status), answer
    response = operation.response(status)
    for name, header in response["headers"].items():
        header = resolved(header)
        text = answer.headers.get(name)
        assert text is not None or not header.get("required"), f"no {name}: {answer}"
        if text is not None:
            is_integer = header["schema"].get("type") == "integer"
            validate(int(text) if is_integer else text, header["schema"])
    if "content" not in response:
        assert answer.body == b""
        return
    assert answer.media_type in response["content"], answer
    if answer.media_type.endswith("json"):
        validate(answer.json, response["content"][answer.media_type]["schema"])


@pytest.mark.parametrize(("operation_id", "status"), DOCUMENTED)
def test_each_status_comes(operation_id, status, request, tmp_path):
    operation = OPERATIONS[operation_id]
    if status == "507":
        with server_on_a_full_disk(tmp_path) as full:
            if full is None:
                pytest.skip("no file system can be mounted here")
            hold(operation, status, succeed(full, operation_id))
        return
    changes_nothing = status in REFUSED_UNREAD or operation.method == "GET" and status < "500"
    server = request.getfixturevalue("untouched" if changes_nothing else "begun")
    hold(operation, status, CAUSES[status](server, operation_id))


def fields(answer, *but):
    """The header of an answer, but for the time and these fields."""
    return {n: v for n, v in answer.headers.items() if n not in ("Date", *but)}


@pytest.mark.parametrize("operation_id", [o.id for o in OPERATIONS.values() if o.method == "GET"])
def test_head_is_get_without_a_body(operation_id, untouched):
    got = carry_out(untouched, operation_id)
    asked = carry_out(untouched, operation_id, method="HEAD")
    assert (asked.status, asked.body) == (got.status, b"")
    # What is measured has grown by the next time.
    varying = ["Content-Length"] if operation_id == "getMetrics" else []
    assert asked.headers.keys() == got.headers.keys()
    assert fields(asked, *varying) == fields(got, *varying)


@pytest.mark.parametrize("operation_id", [o.id for o in OPERATIONS.values() if o.method == "GET"])
def test_each_media_type_is_answered(operation_id, untouched):
    for media_type in OPERATIONS[operation_id].response("200")["content"]:
        accept = {"Accept": f"text/nothing, {media_type};q=0.1"}
        answer = carry_out(untouched, operation_id, headers=accept)
        assert answer.media_type == media_type, answer


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_other_methods_are_refused(operation_id, untouched):
    operation = OPERATIONS[operation_id]
    answer = untouched.send("PATCH", target(operation))
    assert answer.status == 405
    methods = {o.method for o in OPERATIONS.values() if o.path == operation.path}
    assert set(answer.headers["Allow"].split(", ")) == methods | (
        {"HEAD"} if "GET" in methods else set()
    )
    assert answer.json["type"] == "/problems/method-not-allowed"


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_each_answer_has_an_id(operation_id, untouched):
    for sent, answered in ((None, ".+"), ("r" * 128, "r{128}"), ("r" * 200, "r{128}")):
        headers = {"X-Request-Id": sent}
        operation = OPERATIONS[operation_id]
        answer = untouched.send(operation.method, target(operation) + "?nonsense=1", None, headers)
        assert re.fullmatch(answered, answer.headers["X-Request-Id"])
        assert answer.json["request_id"] == answer.headers["X-Request-Id"]


VERSIONED = [o.id for o in OPERATIONS.values() if o.method == "GET" and "304" in o.statuses]


def test_each_read_with_a_version_is_conditional():
    with_etag = [
        o.id
        for o in OPERATIONS.values()
        if o.method == "GET" and "ETag" in o.response("200")["headers"]
    ]
    assert with_etag == VERSIONED


@pytest.mark.parametrize("operation_id", VERSIONED)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_read_is_answered_in_full_when_it_has_changed(operation_id, method, untouched):
    def read(**headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return carry_out(untouched, operation_id, method=method, headers=headers)

    whole = read()
    version = whole.headers["ETag"]
    for tags in (version, f'"x,y" , {version}', "W/" + version, "*"):
        answer = read(If_None_Match=tags)
        assert (answer.status, answer.body) == (304, b""), tags
        assert fields(answer) == fields(whole, "Content-Type", "Content-Length")
    assert read(If_None_Match='"0"').body == whole.body
    for tags, status in ((version, 200), ("*", 200), ('"0"', 412), ("W/" + version, 412)):
        assert read(If_Match=tags).status == status, tags
    assert read(If_Match=version, If_None_Match=version).status == 304
    for name in ("If_Match", "If_None_Match"):
        assert read(**{name: version.strip('"')}).status == 400


def test_a_version_of_the_past_is_that_of_then(untouched):
    then = carry_out(untouched, "getMachine", query="at=3")
    assert then.headers["ETag"] == '"3"'
    tag = {"If-None-Match": '"3"'}
    assert carry_out(untouched, "getMachine", query="at=3", headers=tag).status == 304
    assert carry_out(untouched, "getMachine", headers=tag).status == 200


@pytest.mark.parametrize("operation_id", OPERATIONS)
@pytest.mark.parametrize(
    ("headers", "is_refused"),
    [
        ({"Origin": "http://a.example"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "http://a.example", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "http://HOST"}, False),
        ({"Origin": "http://a.example", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
    ],
)
def test_pages_of_other_sites_change_nothing(operation_id, headers, is_refused, untouched):
    headers = {n: v.replace("HOST", f"127.0.0.1:{untouched.port}") for n, v in headers.items()}
    answer = carry_out(untouched, operation_id, query="nonsense=1", headers=headers)
    assert not any(name.startswith("Access-Control") for name in answer.headers)
    if is_refused and OPERATIONS[operation_id].method != "GET":
        assert (answer.status, answer.json["type"]) == (403, "/problems/cross-origin")
    else:
        assert answer.status == 400, answer
