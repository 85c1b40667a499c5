"""Each example of the document, carried out: a request is sent as it is written, and an answer is
what the server says, member by member, but for the numbers in it."""

import http.client
import io

import pytest
import yaml
from contract import DOCUMENT, OPERATIONS, differences, examples_of, resolved, validate
from server import REQUEST_ID, Answer
from story import (
    BENCH0,
    DEVICE,
    FOUR_PAGES,
    MACHINE,
    NETWORK_CARD,
    NO_SUCH_NODE,
    at_once,
    carry_out,
    hold_all_but_scattered_pages,
    raw,
    too_many_streams,
    too_many_verifications,
    server_on_a_full_disk,
    waiting_request,
)

IMPORT = DOCUMENT["paths"]["/v1/machines"]["post"]["requestBody"]["content"]["text/plain"]


def requests():
    for operation in OPERATIONS.values():
        for media_type, media in operation.body.items():
            for name, example in examples_of(media):
                yield operation.id, media_type, name, example


def parameters():
    for operation in OPERATIONS.values():
        for parameter in operation.parameters:
            if parameter["in"] == "query" and "example" in parameter:
                yield operation.id, parameter["name"], parameter["example"]


def answers():
    """Where each example of an answer stands; of several that share a response, one."""
    seen = set()
    for operation in OPERATIONS.values():
        for status, response in operation.definition["responses"].items():
            shared = response.get("$ref")
            if shared in seen:
                continue
            seen |= {shared} - {None}
            for media_type, media in resolved(response).get("content", {}).items():
                for name, example in examples_of(media):
                    place = (operation.id, status, media_type, name)
                    yield pytest.param(*place, example, id="-".join(map(str, place)))


@pytest.mark.parametrize(("operation_id", "media_type", "name", "example"), list(requests()))
def test_each_request(operation_id, media_type, name, example, begun):
    if media_type == "application/json":
        validate(example, OPERATIONS[operation_id].body[media_type]["schema"])
    values = {}
    if name == "policy":
        create = OPERATIONS["createMachine"].body["application/json"]["examples"]["topology"]
        begun.must(201, "POST", "/v1/machines?name=two", create["value"])
        values = {"machine": "two"}
    elif operation_id == "freePage":
        order = {"control": 2}.get(name, 1)
        grant = {"allocation_control": {"order": order}}
        granted = begun.must(201, "POST", MACHINE + "/allocations", grant)
        values = {"pfn": granted.json["pfn"]}
    answer = carry_out(
        begun, operation_id, body=example, headers={"Content-Type": media_type}, **values
    )
    assert answer.status < 300, answer


@pytest.mark.parametrize(("operation_id", "name", "example"), list(parameters()))
def test_each_parameter(operation_id, name, example, request):
    is_read = OPERATIONS[operation_id].method == "GET"
    server = request.getfixturevalue("untouched" if is_read else "begun")
    if (operation_id, name) == ("createMachine", "name"):
        server.must(200, "DELETE", MACHINE + "?force=true")
    answer = carry_out(server, operation_id, query=f"{name}={example}")
    assert answer.status < 300, answer


@pytest.mark.parametrize(
    ("operation_id", "status", "media_type", "name", "example"), list(answers())
)
def test_each_answer(operation_id, status, media_type, name, example, begun, tmp_path):
    if status == "507":
        with server_on_a_full_disk(tmp_path) as full:
            if full is None:
                pytest.skip("no file system can be mounted here")
            hold(example, media_type, full.send("POST", example["instance"], {}))
        return
    if media_type == "application/problem+json":
        kind = example["type"].removeprefix("/problems/")
        cause = PROBLEMS.get((operation_id, kind), PROBLEMS[kind])
        hold(example, media_type, cause(begun, OPERATIONS[operation_id], example))
        return
    answer = SUCCESSES.get((operation_id, name), SUCCESSES.get(operation_id, carry_out_plainly))(
        begun, operation_id, {"Accept": media_type}
    )
    hold(example, media_type, answer, operation_id in EXCERPTS)


def hold(example, media_type, answer, is_excerpt=False):
    """The answer is like the example, or holds all that an excerpt shows."""
    assert answer.media_type == media_type, answer
    if media_type == "text/html":
        assert answer.body.decode().startswith(example)
    elif is_excerpt and isinstance(example, str):
        assert holds_lines(answer.body.decode(), example), answer.body
    elif is_excerpt:
        assert holds(yaml.safe_load(answer.body), example), answer.body
    elif media_type.endswith("json"):
        assert list(differences(example, answer.json)) == [], answer.body
    else:
        assert list(differences(example, answer.body.decode())) == []


def holds(whole, excerpt):
    """Whether all members are there, and of a list one that is like each of the excerpt's."""
    if isinstance(excerpt, dict):
        return all(name in whole and holds(whole[name], excerpt[name]) for name in excerpt)
    if isinstance(excerpt, list):
        return all(any(not list(differences(e, w)) for w in whole) for e in excerpt)
    return whole == excerpt


def holds_lines(whole, excerpt):
    """Whether all lines of the excerpt are there, in their order."""
    lines = iter(whole.splitlines())
    return all(any(not list(differences(e, w)) for w in lines) for e in excerpt.splitlines())


# Of these the document shows what is to be seen, not all of it.
EXCERPTS = {
    "listMachines",
    "listControls",
    "listProblems",
    "readyz",
    "getContract",
    "getContractAsJSON",
    "getMetrics",
    "getStart",
}


# What leads to an answer that the operation alone does not


def carry_out_plainly(server, operation_id, headers):
    return carry_out(server, operation_id, headers=headers)


def with_query(query):
    def send(server, operation_id, headers):
        return carry_out(server, operation_id, query=query, headers=headers)

    return send


def with_body(body):
    def send(server, operation_id, headers):
        return carry_out(server, operation_id, body=body, headers=headers)

    return send


def on_imported_machine(server, operation_id, headers):
    """The zones' examples are of the machine whose text is the example of an import."""
    text = {"Content-Type": "text/plain"}
    server.must(201, "POST", "/v1/machines?name=kernel", IMPORT["example"], text)
    return carry_out(server, operation_id, headers=headers, machine="kernel")


def created_first(server, operation_id, headers):
    server.must(200, "DELETE", MACHINE + "?force=true")
    return carry_out(server, operation_id, query="name=bench0", body=BENCH0, headers=headers)


def freed_page(server, operation_id, headers):
    return carry_out(server, operation_id, body={"order": 2}, headers=headers)


def refused(server, operation_id, headers):
    hold_all_but_scattered_pages(server)
    return carry_out(server, operation_id, machine="small", body=FOUR_PAGES, headers=headers)


SUCCESSES = {
    "listMachines": with_query("at=42"),
    "deleteMachine": with_query("force=true"),
    "readyz": with_query("verbose"),
    ("explain", "granted"): with_body(DEVICE),
    ("explain", "refused"): refused,
    "renewLease": with_body({"ttl_seconds": 3600}),
    "freePage": freed_page,
    "batch": with_body({"operations": [{"free": {"id": 42}}, {"free": {"id": 4711}}]}),
    "listLedger": with_query("allocation=42"),
    "streamLedger": with_query("before=2"),
    "createMachine": created_first,
    "putControl": with_body(NETWORK_CARD),
    "allocate": with_body(DEVICE),
    "getPage": with_query("at=42&sort=asc"),
} | {
    operation.id: on_imported_machine
    for operation in OPERATIONS.values()
    if operation.definition["tags"] == ["zones"]
}


# What leads to a problem: a request to the path that the example names as its instance


def to_instance(body=None, query="", headers=None, method=None):
    def send(server, operation, example):
        path = example["instance"] + query
        return server.send(method or operation.method, path, body, headers)

    return send


def after(*steps, then):
    """The same, after requests that must be granted."""

    def send(server, operation, example):
        for method, path, body in steps:
            assert server.send(method, path, body).status < 300
        return then(server, operation, example)

    return send


def scattered(server, operation, example):
    hold_all_but_scattered_pages(server)
    return server.send("POST", "/v1/machines/small/allocations", FOUR_PAGES)


def key_of_another(server, operation, example):
    key = {"Idempotency-Key": "3b2e4c1a"}
    server.must(201, "POST", MACHINE + "/allocations", {}, key)
    return server.send("POST", example["instance"], {"owner": "another"}, key)


def too_many_controls(server, operation, example):
    for number in range(1023):
        server.must(201, "PUT", f"{MACHINE}/controls/c{number}", {})
    return server.send("PUT", example["instance"], {})


def key_in_use(server, operation, example):
    with waiting_request(server, "3b2e4c1a"):
        key = {"Idempotency-Key": "3b2e4c1a"}
        return carry_out(server, operation.id, machine="small", headers=key)


def of_server(cause):
    """An answer that neither the operation nor the example has a part in."""
    return lambda server, operation, example: cause(server)


def with_token(scopes, then, *options):
    """The same, from a caller with these scopes; without any, from one who shows no token."""

    def send(server, operation, example):
        tokens = server.restart_with_tokens({"nic0": scopes or "read"}, *options)
        server.token = tokens["nic0"] if scopes else None
        return then(server, operation, example)

    return send


def too_often(server, operation, example):
    server.restart("--rate-limit", "1")
    answers = at_once(server, 9, lambda: server.send("GET", example["instance"]))
    return next(answer for answer in answers if answer.status == 429)


def malformed(*parts, pause=0.0):
    """The answer to bytes that are no request."""

    def send(server, operation, example):
        head, _, body = raw(server, *parts, pause=pause).partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        fields = http.client.parse_headers(io.BytesIO("\r\n".join([*lines[1:], "", ""]).encode()))
        assert int(lines[0].split()[1]) == example["status"], head
        return Answer(example["status"], fields, body)

    return send


END = "\r\n\r\n"
HEAD = f"POST /v1/machines HTTP/1.1\r\nHost: a\r\nX-Request-Id: {REQUEST_ID}\r\n"
FREE = ("DELETE", MACHINE + "/allocations/42", None)
GRANT_AT_4352 = (
    "POST",
    MACHINE + "/allocations",
    {"allocation_control": {"order": 1, "low_boundary": "0x1100000"}},
)
BACKWARDS = {"nodes": [{"id": 0, "memory": [{"start": "0x2000", "end": "0x1000"}]}]}
NARROW = {"allocation_control": {"low_boundary": "0x1000", "high_boundary": "0x1fff", "order": 1}}

PROBLEMS = {
    "unauthorized": with_token(None, to_instance(method="GET")),
    "insufficient-scope": with_token("read", to_instance({}, "?name=made", method="POST")),
    "not-owner": with_token("free", to_instance(method="DELETE")),
    "cross-origin": to_instance({}, headers={"Origin": "http://a.example"}, method="POST"),
    "too-many-requests": too_often,
    "invalid-request": to_instance({"allocation_control": {"order": 11}}, method="POST"),
    "malformed-json": to_instance("{", method="POST"),
    "malformed-http": malformed("GET / HTTP/1.1" + END),
    "entry-not-found": to_instance(query="?at=4711", method="GET"),
    ("getLedgerEntry", "entry-not-found"): to_instance(),
    "not-acceptable": to_instance(headers={"Accept": "image/png"}, method="GET"),
    "method-not-allowed": to_instance(method="PATCH"),
    "not-found": to_instance(method="GET"),
    "request-timeout": malformed("GET / HTTP/1.1\r\n"),
    "body-too-large": malformed(HEAD + "Content-Length: 99999999" + END),
    "uri-too-long": malformed("GET /" + "a" * 9000 + " HTTP/1.1" + END),
    "expectation-failed": malformed(HEAD + "Content-Length: 1\r\nExpect: more" + END),
    "header-too-large": malformed(HEAD + "Long: " + "a" * 20000 + END),
    "not-implemented": malformed(HEAD + "Transfer-Encoding: gzip, chunked" + END),
    "http-version-not-supported": malformed("GET / HTTP/3.0" + END),
    "machine-exists": to_instance(BENCH0, "?name=bench0"),
    "unsupported-media-type": to_instance(
        "{}", headers={"Content-Type": "image/png"}, method="POST"
    ),
    "invalid-topology": to_instance(BACKWARDS, "?name=backwards"),
    "machine-not-found": to_instance({"operations": []}),
    "machine-in-use": to_instance(),
    "precondition-failed": to_instance({}, headers={"If-Match": '"7"'}, method="POST"),
    "idempotency-key-reused": key_of_another,
    "idempotency-key-in-use": key_in_use,
    "control-not-found": to_instance({"control": "nothing"}),
    ("getControl", "control-not-found"): to_instance(),
    "limit-reached": too_many_controls,
    "built-in-control": to_instance({}),
    "out-of-memory": scattered,
    "unsatisfiable": to_instance(NO_SUCH_NODE),
    ("allocate", "unsatisfiable"): to_instance(NARROW),
    ("batch", "unsatisfiable"): to_instance(
        {"atomic": True, "operations": [{"allocate": {}}, {"allocate": NO_SUCH_NODE}]}
    ),
    "allocation-not-found": to_instance(method="DELETE"),
    "already-freed": after(FREE, then=to_instance({"ttl_seconds": 1})),
    ("freeAllocation", "already-freed"): after(FREE, then=to_instance()),
    ("batch", "already-freed"): after(
        FREE,
        then=to_instance({"atomic": True, "operations": [{"allocate": {}}, {"free": {"id": 42}}]}),
    ),
    "page-not-found": to_instance({}),
    ("getPage", "page-not-found"): to_instance(),
    "not-allocated": to_instance(),
    "not-head": to_instance(),
    "wrong-order": to_instance({"order": 1}),
    "misaligned": after(GRANT_AT_4352, then=to_instance({"order": 1})),
    "unavailable": of_server(too_many_verifications),
    ("streamLedger", "unavailable"): of_server(too_many_streams),
}
