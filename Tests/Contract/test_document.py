"""The document itself: valid as OpenAPI 3.1, and whole."""

import json
import re

import pytest
from contract import DOCUMENT, OPERATIONS, ROOT, examples_of, resolved, validate
from openapi_spec_validator import OpenAPIV31SpecValidator

KINDS = (ROOT / "Sources/API/ProblemKind.swift").read_text()


def media_types():
    """Each place where a body is described."""
    for operation in OPERATIONS.values():
        for media_type, media in operation.body.items():
            yield pytest.param(media_type, media, id=f"{operation.id}-{media_type}")
        for status, response in operation.definition["responses"].items():
            for media_type, media in resolved(response).get("content", {}).items():
                yield pytest.param(media_type, media, id=f"{operation.id}-{status}-{media_type}")


def answers():
    """Each answer with a problem: its status, None for `default`, and its examples."""
    for operation in OPERATIONS.values():
        for status, response in operation.definition["responses"].items():
            content = resolved(response).get("content", {})
            for _, example in examples_of(content.get("application/problem+json", {})):
                yield operation.id, status, example


def statuses_of_kinds():
    """The status of each kind of problem, as the source has it."""
    slugs = dict(re.findall(r'case (\w+) = "([a-z0-9-]+)"', KINDS))
    table = KINDS[KINDS.index("var status: Int") : KINDS.index("var title: String")]
    return {
        slugs[name]: int(status)
        for cases, status in re.findall(r"case (\.[^:]*):\s*(\d+)", table)
        for name in re.findall(r"\.(\w+)", cases)
    }


def test_json_is_the_same_document():
    """Where it is not: `make openapi`."""
    assert json.loads((ROOT / "Sources/CContract/openapi.json").read_text()) == DOCUMENT


def test_is_valid():
    errors = [str(error) for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()]
    assert errors == []


@pytest.mark.parametrize(("media_type", "media"), list(media_types()))
def test_each_body_has_examples_that_its_schema_allows(media_type, media):
    examples = dict(examples_of(media))
    assert examples
    for example in examples.values():
        if media_type.endswith("json") or media_type == "application/yaml":
            validate(example, media["schema"])


def test_each_kind_of_problem_has_an_example_with_its_status():
    kinds = statuses_of_kinds()
    assert kinds.keys() == set(DOCUMENT["components"]["schemas"]["Slug"]["enum"])
    shown = set()
    for operation_id, status, example in answers():
        slug = example["type"].removeprefix("/problems/")
        assert example["status"] == kinds[slug], (operation_id, status)
        assert status in (str(kinds[slug]), "default"), (operation_id, slug)
        shown.add(slug)
    assert shown == kinds.keys()


def test_statuses_of_any_request_are_listed():
    """`x-statuses` are the statuses of kinds that some operation does not list."""
    listed = set.intersection(*({int(s) for s in o.statuses} for o in OPERATIONS.values()))
    anywhere = set(DOCUMENT["components"]["responses"]["Problem"]["x-statuses"])
    assert anywhere <= set(statuses_of_kinds().values())
    assert not anywhere & listed
    named = {int(s) for o in OPERATIONS.values() for s in o.statuses if int(s) >= 400}
    assert set(statuses_of_kinds().values()) == anywhere | named


def test_each_link_leads_to_an_operation_and_its_parameters():
    for link in DOCUMENT["components"]["links"].values():
        names = {parameter["name"] for parameter in OPERATIONS[link["operationId"]].parameters}
        assert link["parameters"].keys() <= names
