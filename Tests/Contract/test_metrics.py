"""What monitors read, by the parsers of those who wrote the formats."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from story import MACHINE, begin, carry_out

KINDS = {
    "http_server_request_duration_seconds": "histogram",
    "gfpd_ledger_commit_duration_seconds": "histogram",
    "gfpd_ledger_fsync_duration_seconds": "histogram",
    "gfpd_ledger_entries": "counter",
    "gfpd_free_pages": "gauge",
    "process_cpu_seconds": "counter",
    "process_resident_memory_bytes": "gauge",
    "process_start_time_seconds": "gauge",
}


def families(server, parse, media_type):
    """The families of `/metrics` by name; no two have one name."""
    answer = carry_out(server, "getMetrics", headers={"Accept": media_type})
    assert answer.media_type == media_type
    parsed = list(parse(answer.body.decode()))
    assert len({family.name for family in parsed}) == len(parsed)
    return {family.name: family for family in parsed}


def value(family, name, **labels):
    [sample] = [s for s in family.samples if s.name == name and s.labels == labels]
    return sample.value


def test_both_formats_say_the_same_of_each_family(server):
    begin(server)
    new = families(server, open_metrics, "application/openmetrics-text")
    old = families(server, prometheus, "text/plain")
    assert KINDS.items() <= {name: family.type for name, family in new.items()}.items()
    assert {n: f.type for n, f in new.items()} == {n: f.type for n, f in old.items()}
    assert all(family.documentation for family in new.values())


def test_what_was_done_is_counted(server):
    begin(server)
    metrics = families(server, open_metrics, "application/openmetrics-text")
    entries = metrics["gfpd_ledger_entries"]
    # With the machine `default` that the server made itself.
    for kind, outcome, count in (
        ("machine_created", "done", 2),
        ("allocate", "granted", 20),
        ("free", "done", 19),
        ("free", "refused", 0),
    ):
        assert value(entries, "gfpd_ledger_entries_total", kind=kind, outcome=outcome) == count
    labels = {
        "http_request_method": "POST",
        "http_response_status_code": "201",
        "http_route": "/v1/machines/{machine}/allocations",
    }
    requests = metrics["http_server_request_duration_seconds"]
    assert value(requests, requests.name + "_count", **labels) == 20
    # One commit for each: they came one after the other.
    commits = metrics["gfpd_ledger_commit_duration_seconds"]
    assert value(commits, commits.name + "_count") == 41


def test_free_pages_are_those_of_the_zones(server):
    begin(server)
    metrics = families(server, open_metrics, "application/openmetrics-text")
    free = [s for s in metrics["gfpd_free_pages"].samples if s.labels["machine"] == "bench0"]
    zones = server.must(200, "GET", MACHINE + "/zones").json["items"]
    assert sum(sample.value for sample in free) == sum(zone["free"] for zone in zones)
    assert {int(sample.labels["order"]) for sample in free} == set(range(11))
