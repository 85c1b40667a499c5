"""A client that a generator made from the document alone allocates, lists and frees."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from contract import OPERATIONS, PATH

GENERATOR = Path(sys.executable).parent / "openapi-python-client"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The generated package, imported as `made`."""
    directory = tmp_path_factory.mktemp("client")
    command = [GENERATOR, "generate", "--path", PATH, "--meta", "none"]
    subprocess.run([*command, "--output-path", directory / "made"], check=True)
    sys.path.insert(0, str(directory))
    yield importlib.import_module("made")
    sys.path.remove(str(directory))


@pytest.fixture
def call(made, server):
    """Calls an operation by its id, and hands out what the client makes of the answer."""
    client = made.Client(base_url=server.url, raise_on_unexpected_status=True)

    def call(operation_id, *arguments, **options):
        [tag] = OPERATIONS[operation_id].definition["tags"]
        module = importlib.import_module(f"made.api.{tag}.{snake_case(operation_id)}")
        return module.sync(*arguments, client=client, **options)

    return call


def snake_case(operation_id):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation_id).lower()


def model(name):
    return getattr(importlib.import_module("made.models"), name)


def test_has_each_operation_with_its_answers(made):
    for operation in OPERATIONS.values():
        [tag] = operation.definition["tags"]
        module = importlib.import_module(f"made.api.{tag}.{snake_case(operation.id)}")
        assert callable(module.sync_detailed)


def test_allocates_lists_and_frees(made, call):
    control = model("AllocationControl")(order=2, flags=["GFP_KERNEL"])
    request = model("AllocationRequest")(allocation_control=control, owner="task:4711")
    granted = call("allocate", "default", body=request, idempotency_key="a")
    assert (granted.order, granted.pages, granted.owner) == (2, 4, "task:4711")
    assert call("allocate", "default", body=request, idempotency_key="a") == granted
    assert call("getAllocation", "default", granted.id) == granted
    assert call("listAllocations", "default", owner="task:4711").items == [granted]

    freed = call("freeAllocation", "default", granted.id)
    assert (freed.allocation, freed.pages, freed.state) == (granted.id, 4, "freed")
    assert call("listAllocations", "default").items == []
    again = call("freeAllocation", "default", granted.id)
    assert (again.type_, again.status) == ("/problems/already-freed", 409)
    history = call("listLedger", allocation=granted.id)
    assert [str(entry.kind) for entry in history.items] == ["allocate", "free", "free"]


def test_pages_through_a_list(made, call):
    ids = [call("allocate", "default").id for _ in range(7)]
    page = call("listAllocations", "default", page_size=3)
    found = [allocation.id for allocation in page.items]
    while page.next_page_token:
        page = call("listAllocations", "default", page_size=3, page_token=page.next_page_token)
        found += [allocation.id for allocation in page.items]
    assert found == ids


def test_makes_an_explanation_binding(made, call):
    """What `explain` said at a version is what `If-Match` with that version gets."""
    machine = call("getMachine", "default")
    request = model("AllocationRequest")(allocation_control=model("AllocationControl")(order=3))
    version = f'"{machine.sequence}"'
    explained = call("explain", "default", body=request, if_match=version)
    granted = call("allocate", "default", body=request, if_match=version)
    assert granted.pfn == explained.would_grant.pfn
    late = call("allocate", "default", body=request, if_match=version)
    assert (late.status, late.type_) == (412, "/problems/precondition-failed")
    assert late.current == granted.sequence


def test_reads_each_zone(made, call):
    for operation in OPERATIONS.values():
        if operation.definition["tags"] == ["zones"]:
            assert len(call(operation.id, "default").items) > 0


def test_shows_a_token(made, server):
    """With a token the same client does what its scopes allow, and is told what they do not."""
    tokens = server.restart_with_tokens({"nic0": "read,allocate,free", "audit": "read"})

    def call_as(name, operation_id, *arguments, **options):
        client = made.AuthenticatedClient(base_url=server.url, token=tokens[name])
        [tag] = OPERATIONS[operation_id].definition["tags"]
        module = importlib.import_module(f"made.api.{tag}.{snake_case(operation_id)}")
        return module.sync(*arguments, client=client, **options)

    request = model("AllocationRequest")(owner="task:4711")
    granted = call_as("nic0", "allocate", "default", body=request)
    assert call_as("audit", "listAllocations", "default").items == [granted]
    refused = call_as("audit", "freeAllocation", "default", granted.id)
    assert (refused.status, refused.type_) == (403, "/problems/insufficient-scope")
    released = call_as("nic0", "freeOwned", "default", owner="task:4711")
    assert (released.freed_allocations, released.freed_pages) == (1, 1)
    entries = call_as("audit", "listLedger", allocation=granted.id).items
    assert [entry.principal for entry in entries] == ["nic0", "nic0"]


def test_sees_that_nothing_has_changed(made, server):
    client = made.Client(base_url=server.url)
    module = importlib.import_module("made.api.machines.get_machine")
    whole = module.sync_detailed("default", client=client)
    again = module.sync_detailed("default", client=client, if_none_match=whole.headers["ETag"])
    assert (again.status_code, again.content, again.parsed) == (304, b"", None)
