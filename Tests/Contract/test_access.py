"""Who is let in, as the document has it: `security` of each operation, and the limit of requests."""

import pytest
from contract import OPERATIONS, resolved, validate
from server import Server
from story import at_once, carry_out

ANYWHERE = resolved({"$ref": "#/components/responses/Problem"})
SCOPES = ("read", "allocate", "free", "admin")


def needed_scopes(operation):
    """One of these will do; none where anybody may ask."""
    requirements = operation.definition["security"]
    return {scope for r in requirements for scopes in r.values() for scope in scopes}


GUARDED = [o.id for o in OPERATIONS.values() if needed_scopes(o)]
OPEN = [o.id for o in OPERATIONS.values() if not needed_scopes(o)]
WITH_SCOPE = [(operation_id, scope) for operation_id in GUARDED for scope in SCOPES]


def hold(answer, status, slug):
    """The answer is that problem, with the headers that the document gives it."""
    assert (answer.status, answer.json["type"]) == (status, f"/problems/{slug}"), answer
    validate(answer.json, ANYWHERE["content"]["application/problem+json"]["schema"])
    assert status in ANYWHERE["x-statuses"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, story):
    """A server with a principal for each scope, whose name is its scope's, and their tokens."""
    server = Server(tmp_path_factory.mktemp("guarded"), ledger=story)
    tokens = server.restart_with_tokens({scope: scope for scope in SCOPES})
    yield server, tokens
    server.stop()


def test_each_operation_has_a_requirement():
    for operation in OPERATIONS.values():
        assert needed_scopes(operation) <= set(SCOPES)
        assert {"bearer", "certificate"} >= {
            scheme for r in operation.definition["security"] for scheme in r
        }
    assert GUARDED and OPEN


@pytest.mark.parametrize("operation_id", GUARDED)
@pytest.mark.parametrize(
    ("credentials", "error"),
    [(None, None), ("Basic bmljMDpuaWMw", None), ("Bearer gfpd_nobody", 'error="invalid_token"')],
)
def test_a_stranger_is_refused(operation_id, credentials, error, guarded):
    server, _ = guarded
    answer = carry_out(server, operation_id, headers={"Authorization": credentials})
    hold(answer, 401, "unauthorized")
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="gfpd"')
    assert ("error=" in challenge) == (error is not None) and (error or "") in challenge


@pytest.mark.parametrize("operation_id", OPEN)
def test_the_rest_is_open_to_all(operation_id, guarded):
    server, _ = guarded
    assert carry_out(server, operation_id).status == 200


@pytest.mark.parametrize(("operation_id", "scope"), WITH_SCOPE)
def test_a_scope_opens_what_names_it(operation_id, scope, guarded):
    server, tokens = guarded
    needed = needed_scopes(OPERATIONS[operation_id])
    answer = carry_out(server, operation_id, query="nonsense=1", token=tokens[scope])
    if scope in needed or scope == "admin":
        assert answer.status == 400, answer
        return
    hold(answer, 403, "insufficient-scope")
    assert set(answer.json["needed_scopes"]) == needed
    challenge = answer.headers["WWW-Authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert all(name in challenge for name in needed)


def test_each_operation_of_a_batch_needs_its_scope(guarded):
    server, tokens = guarded
    for scope, other in (("allocate", {"free": {"id": 42}}), ("free", {"allocate": {}})):
        answer = carry_out(server, "batch", body={"operations": [other]}, token=tokens[scope])
        hold(answer, 403, "insufficient-scope")


def test_an_owner_is_its_principal(begun):
    """What one principal was granted, another one neither frees nor renews, unless `admin`."""
    tokens = begun.restart_with_tokens(
        {"nic0": "allocate,free", "nic1": "allocate,free", "root": "admin", "audit": "read"}
    )
    granted = carry_out(begun, "allocate", token=tokens["nic0"]).json
    place = {"id": granted["id"], "pfn": granted["pfn"]}
    for operation_id in ("freeAllocation", "freePage", "renewLease"):
        answer = carry_out(begun, operation_id, token=tokens["nic1"], **place)
        assert (answer.status, answer.json["type"]) == (403, "/problems/not-owner")
        validate(answer.json, ANYWHERE["content"]["application/problem+json"]["schema"])
    assert carry_out(begun, "renewLease", token=tokens["nic0"], **place).status == 200
    assert carry_out(begun, "freeAllocation", token=tokens["root"], **place).status == 200
    entries = carry_out(
        begun, "listLedger", query=f"allocation={granted['id']}", token=tokens["audit"]
    ).json["items"]
    principals = [entry["principal"] for entry in entries]
    assert principals[0] == "nic0" and principals[-1] == "root"
    assert set(principals[1:-1]) == {"nic0", "nic1"}


def test_a_limit_is_told_and_held(begun):
    begun.restart("--rate-limit", "2")
    answers = at_once(begun, 9, lambda: carry_out(begun, "listMachines"))
    for answer in answers:
        assert answer.headers["RateLimit-Policy"] == '"requests";q=2;w=1'
        assert answer.headers["RateLimit"].startswith('"requests";r=')
    assert {answer.status for answer in answers} == {200, 429}
    for answer in answers:
        if answer.status == 429:
            hold(answer, 429, "too-many-requests")
            assert int(answer.headers["Retry-After"]) >= 1
    assert carry_out(begun, "livez").status == 200
