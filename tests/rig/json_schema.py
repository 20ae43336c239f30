# SPDX-License-Identifier: GPL-2.0-only
"""Whether what ivshmemctl prints with --json is as its schema says, and has nothing else."""

import json
import pathlib
import typing

import jsonschema  # type: ignore

TOP = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((TOP / "tools/ctl/ivshmemctl-1.schema.json").read_text())


def strict(schema: typing.Any) -> typing.Any:
    """The same, without members that may be added one day."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: strict(value) for name, value in schema.items()}
    # A property may have the name "properties" as well, but none has.
    if "properties" in schema:
        schema["additionalProperties"] = False
    return schema


def conforms(name: str, *texts: str | bytes) -> None:
    """Each is as the definition of this name, strictly, and as some definition."""
    definition = {"$ref": f"#/definitions/{name}"}
    validator = jsonschema.Draft7Validator({**strict(SCHEMA), "anyOf": [definition]})
    assert texts
    for text in texts:
        found = json.loads(text)
        validator.validate(found)
        jsonschema.Draft7Validator(SCHEMA).validate(found)
