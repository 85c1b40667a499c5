"""Each status that the document gives an operation, led to and held to its schema and headers."""

import re

import pytest
from conftest import Server
from contract import OPERATIONS, resolved, validate
from story import CAUSES, begin, carry_out, server_on_a_full_disk, succeed, target

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
def test_each_status_comes(operation_id, status, server, tmp_path):
    operation = OPERATIONS[operation_id]
    if status == "507":
        with server_on_a_full_disk(tmp_path) as full:
            if full is None:
                pytest.skip("no file system can be mounted here")
            hold(operation, status, succeed(full, operation_id))
        return
    begin(server)
    hold(operation, status, CAUSES[status](server, operation_id))


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """A server of which nothing is asked that changes it."""
    server = Server(tmp_path_factory.mktemp("untouched"))
    begin(server)
    yield server
    server.stop()


@pytest.mark.parametrize("operation_id", [o.id for o in OPERATIONS.values() if o.method == "GET"])
def test_head_is_get_without_a_body(operation_id, untouched):
    got = carry_out(untouched, operation_id)
    asked = untouched.send("HEAD", target(OPERATIONS[operation_id]))
    assert (asked.status, asked.body) == (got.status, b"")
    # What is measured has grown by the next time.
    varying = {"Content-Length"} if operation_id == "getMetrics" else set()
    assert asked.headers.keys() == got.headers.keys()
    assert {n: v for n, v in asked.headers.items() if n not in varying} == {
        n: v for n, v in got.headers.items() if n not in varying
    }


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
