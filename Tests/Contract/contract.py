"""`openapi.yaml` as data: its operations, what each may answer, and its examples."""

import re
from pathlib import Path
from typing import NamedTuple

import jsonschema
import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

ROOT = Path(__file__).parents[2]
PATH = ROOT / "openapi.yaml"
DOCUMENT = yaml.safe_load(PATH.read_text())
METHODS = ("get", "put", "post", "delete")

REGISTRY = Registry().with_resource(
    "urn:contract", Resource(contents=DOCUMENT, specification=DRAFT202012)
)


def resolved(node):
    """The object that a `$ref` within the document stands for."""
    while "$ref" in node:
        target = DOCUMENT
        for token in node["$ref"].removeprefix("#/").split("/"):
            target = target[token]
        node = target
    return node


def validate(value, schema):
    """Holds a value to a schema of the document, formats included."""
    text = yaml.safe_dump(schema).replace("#/components", "urn:contract#/components")
    jsonschema.Draft202012Validator(
        yaml.safe_load(text),
        registry=REGISTRY,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    ).validate(value)


class Operation(NamedTuple):
    method: str
    path: str
    definition: dict
    parameters: tuple

    @property
    def id(self):
        return self.definition["operationId"]

    def response(self, status):
        return resolved(self.definition["responses"][status])

    @property
    def statuses(self):
        return [status for status in self.definition["responses"] if status != "default"]

    @property
    def body(self):
        return self.definition.get("requestBody", {}).get("content", {})


def operations():
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                definition = item[method]
                parameters = item.get("parameters", []) + definition.get("parameters", [])
                yield Operation(
                    method.upper(), path, definition, tuple(resolved(p) for p in parameters)
                )


OPERATIONS = {operation.id: operation for operation in operations()}


def examples_of(media):
    """Each example of a media type object with its name, which is None for a lone one."""
    if "example" in media:
        yield None, media["example"]
    for name, example in media.get("examples", {}).items():
        yield name, resolved(example)["value"]


def _without_numbers(text):
    return " ".join(re.sub(r"\b[0-9a-f]{64}\b|0x[0-9a-f]+|[0-9]+", "#", text).split())


def differences(example, actual, at=""):
    """Where an answer is not what an example shows: the members and the kinds of their values must
    be the same, and texts but for the numbers in them and the ids of requests. Each element of a
    list must be like one of the example's."""
    if isinstance(example, dict) and isinstance(actual, dict):
        for name in example.keys() ^ actual.keys():
            yield f"{at}/{name}: in the {'example' if name in example else 'answer'} alone"
        for name in example.keys() & actual.keys():
            yield from differences(example[name], actual[name], f"{at}/{name}")
    elif isinstance(example, list) and isinstance(actual, list):
        if bool(example) != bool(actual):
            yield f"{at}: {len(example)} elements in the example, {len(actual)} in the answer"
        for index, element in enumerate(actual if example else []):
            fewest = min((list(differences(e, element, f"{at}/{index}")) for e in example), key=len)
            yield from fewest
    elif isinstance(example, str) and isinstance(actual, str):
        if at.endswith("/request_id"):
            return
        if _without_numbers(example) != _without_numbers(actual):
            yield f"{at}: {example!r} in the example, {actual!r} in the answer"
    elif type(example) is not type(actual):
        yield f"{at}: {example!r} in the example, {actual!r} in the answer"
