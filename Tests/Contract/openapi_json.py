"""openapi.yaml as JSON: Sources/CContract/openapi.json, which is served at /openapi.json.

Without an argument it writes the file; with --check it only says whether the file is what it would
write, and exits with 1 where it is not.
"""

import json
import pathlib
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = ROOT / "Sources/CContract/openapi.json"


def rendered(document):
    """Compact JSON, but a line for each path and each component, so that changes can be read."""
    members = []
    for name, value in document.items():
        if name in ("paths", "components"):
            value = lines(value, 2 if name == "components" else 1)
        else:
            value = compact(value)
        members.append(f"{compact(name)}:{value}")
    return "{\n" + ",\n".join(members) + "\n}\n"


def lines(value, depth):
    if depth == 0 or not isinstance(value, dict):
        return compact(value)
    members = [f"{compact(name)}:{lines(member, depth - 1)}" for name, member in value.items()]
    return "{\n" + ",\n".join(members) + "}"


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main():
    text = rendered(yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8")))
    if sys.argv[1:] == ["--check"]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            sys.exit(
                "Sources/CContract/openapi.json, which is served at /openapi.json, is not what"
                " openapi.yaml says now: run `make openapi` and commit the file with openapi.yaml."
            )
    elif not sys.argv[1:]:
        TARGET.write_text(text, encoding="utf-8")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
