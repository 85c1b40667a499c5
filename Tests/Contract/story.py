"""A server state in which each example of the document can be carried out as it stands there:
machine `bench0` is entry 2 of the ledger, its control `nic0-rx` entry 3, and allocation 42 lives.
"""

import contextlib
import json
import signal
import socket
import subprocess
import threading
import time

from server import Server
from contract import DOCUMENT, OPERATIONS, examples_of

NETWORK_CARD = {"flags": ["GFP_KERNEL"], "order": 2, "high_boundary": "0x3fffffff"}
BENCH0 = {
    "nodes": [
        {"id": 0, "cpus": [0, 1], "memory": [{"start": "0x1000", "end": "0x3ffffff"}]},
    ]
}
DEVICE = {
    "control": "nic0-rx",
    "additional_flags": ["__GFP_COMP"],
    "owner": "task:4711",
    "labels": {"driver": "e1000e"},
}
MACHINE = "/v1/machines/bench0"


def begin(server):
    """Makes the ledger's first 42 entries."""
    server.must(201, "POST", "/v1/machines?name=bench0", BENCH0)
    server.must(201, "PUT", MACHINE + "/controls/nic0-rx", NETWORK_CARD)
    elsewhere = {
        "allocation_control": {"flags": "GFP_HIGHUSER_MOVABLE", "low_boundary": "0x2000000"}
    }
    for _ in range(19):
        granted = server.must(201, "POST", MACHINE + "/allocations", elsewhere).json
        server.must(200, "DELETE", f"{MACHINE}/allocations/{granted['id']}")
    granted = server.must(201, "POST", MACHINE + "/allocations", DEVICE)
    assert granted.json["id"] == 42


PATH_EXAMPLES = {
    "machine": "bench0",
    "name": "nic0-rx",
    "id": "42",
    "pfn": "4096",
    "sequence": "42",
    "slug": "out-of-memory",
}


def target(operation, **values):
    """The path of an operation, with the document's examples for its parameters."""
    path = operation.path
    for parameter in operation.parameters:
        if parameter["in"] == "path":
            name = parameter["name"]
            value = values.get(name, parameter.get("example", PATH_EXAMPLES.get(name)))
            path = path.replace("{" + name + "}", str(value))
    return path


def first_body(operation):
    """The first example of a JSON body, None where the operation has no body."""
    media = operation.body.get("application/json")
    return None if media is None else next(examples_of(media))[1]


# What an operation is asked with where a test does not say it.
QUERIES = {
    "createMachine": "name=made",
    "freeOwned": "owner=task:4711",
    # Else it has no end.
    "streamLedger": "before=3",
}


def with_defaults(operation_id, query):
    default = QUERIES.get(operation_id, "")
    if default and default.partition("=")[0] + "=" not in query:
        query = "&".join(filter(None, [default, query]))
    return "?" + query if query else ""


def carry_out(
    server, operation_id, *, method=None, query="", body=..., headers=None, token=None, **values
):
    """Sends an operation as the document's examples have it, but for what is given."""
    operation = OPERATIONS[operation_id]
    if body is ...:
        body = first_body(operation)
    if token:
        headers = {**(headers or {}), "Authorization": f"Bearer {token}"}
    path = target(operation, **values) + with_defaults(operation_id, query)
    return server.send(method or operation.method, path, body, headers)


# What leads to a status, for each operation that documents it


def succeed(server, operation_id):
    """The answer of the document's first example; what it needs is made before."""
    if operation_id == "deleteMachine":
        return carry_out(server, operation_id, query="force=true")
    return carry_out(server, operation_id)


def create(server, operation_id):
    if operation_id == "putControl":
        return carry_out(server, operation_id, name="new")
    return carry_out(server, operation_id)


def bad_request(server, operation_id):
    return carry_out(server, operation_id, query="nonsense=1")


def not_modified(server, operation_id):
    version = succeed(server, operation_id).headers["ETag"]
    return carry_out(server, operation_id, headers={"If-None-Match": version})


def not_found(server, operation_id):
    absent = {
        "getLedgerEntry": {"sequence": 4711},
        "getProblem": {"slug": "nothing"},
    }
    if operation_id in absent:
        return carry_out(server, operation_id, **absent[operation_id])
    if "{machine}" not in OPERATIONS[operation_id].path:
        return carry_out(server, operation_id, query="at=4711")
    return carry_out(server, operation_id, machine="nowhere")


def not_acceptable(server, operation_id):
    return carry_out(server, operation_id, headers={"Accept": "image/png"})


def conflict(server, operation_id):
    if operation_id == "createMachine":
        return carry_out(server, operation_id, query="name=bench0")
    if operation_id == "deleteMachine":
        return carry_out(server, operation_id)
    if operation_id in ("putControl", "deleteControl"):
        return carry_out(server, operation_id, name="dma-30bit")
    if operation_id == "allocate":
        hold_all_but_scattered_pages(server)
        return carry_out(server, operation_id, machine="small", body=FOUR_PAGES)
    if operation_id == "freePage":
        return carry_out(server, operation_id, pfn=5000)
    if operation_id == "freeOwned":
        with waiting_request(server, "a"):
            return carry_out(server, operation_id, headers={"Idempotency-Key": "a"})
    server.must(200, "DELETE", MACHINE + "/allocations/42")
    if operation_id == "batch":
        operations = [{"allocate": {}}, {"free": {"id": 42}}]
        return carry_out(server, operation_id, body={"atomic": True, "operations": operations})
    return carry_out(server, operation_id)


def not_owner(server, operation_id):
    """Allocation 42 was granted when there were no tokens, so that it is nobody's."""
    server.token = server.restart_with_tokens({"nic0": "allocate,free"})["nic0"]
    if operation_id == "batch":
        body = {"atomic": True, "operations": [{"free": {"id": 42}}]}
        return carry_out(server, operation_id, body=body)
    if operation_id == "freePage":
        return carry_out(server, operation_id, body={"order": 2})
    return carry_out(server, operation_id)


def precondition_failed(server, operation_id):
    return carry_out(server, operation_id, headers={"If-Match": '"1"'})


def unsupported_media_type(server, operation_id):
    return carry_out(server, operation_id, headers={"Content-Type": "image/png"})


def unprocessable(server, operation_id):
    if operation_id == "explain":
        return carry_out(server, operation_id, body=NO_SUCH_NODE)
    key = {"Idempotency-Key": "3b2e4c1a"}
    server.must(201, "POST", MACHINE + "/allocations", {"owner": "first"}, key)
    return carry_out(server, operation_id, headers=key)


def unavailable(server, operation_id):
    if operation_id == "readyz":
        return while_stopping(server)
    if operation_id == "streamLedger":
        return too_many_streams(server)
    assert operation_id == "verifyLedger"
    return too_many_verifications(server)


FOUR_PAGES = {"allocation_control": {"order": 2}}
NO_SUCH_NODE = {"allocation_control": {"node": 7}}

CAUSES = {
    "200": succeed,
    "201": create,
    "204": succeed,
    "304": not_modified,
    "400": bad_request,
    "403": not_owner,
    "404": not_found,
    "406": not_acceptable,
    "409": conflict,
    "412": precondition_failed,
    "415": unsupported_media_type,
    "422": unprocessable,
    "503": unavailable,
}


def hold_all_but_scattered_pages(server):
    """Makes machine `small` of 64 pages and leaves six single pages of it free."""
    small = {
        "nodes": [{"id": 0, "cpus": [0], "memory": [{"start": 0, "end": "0x3ffff"}]}],
        "zones": None,
        "watermarks": {"min_free_kbytes": 0},
    }
    server.must(201, "POST", "/v1/machines?name=small", small)
    request = {"additional_flags": ["__GFP_MEMALLOC"]}
    ids = []
    while (answer := server.send("POST", "/v1/machines/small/allocations", request)).status == 201:
        ids.append(answer.json["id"])
    assert len(ids) == 64
    for place in range(1, 12, 2):
        server.must(200, "DELETE", f"/v1/machines/small/allocations/{ids[place]}")


def while_stopping(server):
    """What readiness is answered with between the signal to stop and the end."""
    server.restart("--stop-notice", "10")
    server.process.send_signal(signal.SIGTERM)
    while (answer := carry_out(server, "readyz")).status == 200:
        time.sleep(0.01)
    return answer


def too_many_streams(server):
    """The answer where as many streams are open as there may be."""
    request = b"GET /v1/ledger/stream HTTP/1.1\r\nHost: a\r\n\r\n"
    with contextlib.ExitStack() as streams:
        for _ in range(DOCUMENT["x-limits"]["streams"]):
            stream = streams.enter_context(connected(server))
            stream.sendall(request)
            assert stream.recv(12) == b"HTTP/1.1 200"
        return carry_out(server, "streamLedger")


@contextlib.contextmanager
def waiting_request(server, key):
    """A request under this key that waits for pages, which machine `small` has not."""
    hold_all_but_scattered_pages(server)
    body = json.dumps({**FOUR_PAGES, "wait_ms": 60000})
    head = [
        "POST /v1/machines/small/allocations HTTP/1.1",
        "Host: a",
        f"Idempotency-Key: {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    with connected(server) as connection:
        connection.sendall("\r\n".join([*head, "", body]).encode())
        # What comes later is taken up later.
        server.must(200, "GET", "/livez")
        yield


def connected(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=90)


def at_once(server, count, ask):
    """Asks so many times, with all of them waiting when the server looks."""
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask())) for _ in range(count)]
    server.process.send_signal(signal.SIGSTOP)
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    server.process.send_signal(signal.SIGCONT)
    for thread in threads:
        thread.join()
    return answers


def too_many_verifications(server):
    answers = at_once(server, 6, lambda: carry_out(server, "verifyLedger"))
    return next(answer for answer in answers if answer.status == 503)


def raw(server, *parts, pause=0.0):
    """What the server answers to these bytes, up to the end of the connection."""
    with connected(server) as connection:
        for part in parts:
            connection.sendall(part.encode() if isinstance(part, str) else part)
            time.sleep(pause)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                answer += piece
        return answer


@contextlib.contextmanager
def server_on_a_full_disk(directory):
    """A server whose ledger is on a small file system that has just been filled; None where this
    process may not mount one."""
    disk = directory / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        server = Server(disk / "server")
        try:
            begin(server)
            fill(disk)
            yield server
        finally:
            (disk / "filling").unlink(missing_ok=True)
            server.stop()
    finally:
        subprocess.check_call(["umount", "--lazy", str(disk)])


def fill(disk):
    """Takes all room of a file system. The server goes on writing its index there, so that what
    was free a moment ago may be so no more."""
    for _ in range(100):
        free = 4096 * int(subprocess.check_output(["stat", "-f", "-c", "%a", str(disk)]))
        filling = ["fallocate", "-l", str(free), str(disk / "filling")]
        if subprocess.run(filling, capture_output=True, check=False).returncode == 0:
            return
    raise AssertionError("the file system cannot be filled")
