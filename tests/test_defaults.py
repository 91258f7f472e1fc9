"""What a parameters file leaves out stays what it was: experiments of before keep their integers and their digests.

``golden/defaults.json`` has the default of every field of the public records. A new field is added to it by

    python tests/test_defaults.py
"""

import dataclasses
import json
from pathlib import Path

import pytest

import spikingconvnet

GOLDEN = Path(__file__).parent / "golden" / "defaults.json"


def records():
    """Public records but Settings, some of which follow the data: dict of class name to class."""
    found = {name: spikingconvnet.find(name) for name in spikingconvnet.PUBLIC if name != "Settings"}
    return {name: value for name, value in found.items() if dataclasses.is_dataclass(value)}


def defaults(record):
    """Defaults of a record: dict of field to their ``repr``."""
    return {field.name: repr(field.default) for field in dataclasses.fields(record)
            if field.default is not dataclasses.MISSING}


KEPT = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


@pytest.mark.parametrize("name", [f"{value.__module__}.{name}".removeprefix("spikingconvnet.")
                                  for name, value in sorted(records().items())])
def test_a_record_has_the_defaults_that_it_had(name):
    name = name.rpartition(".")[2]
    found, kept = defaults(records()[name]), KEPT.get(name, {})
    assert {field: found.get(field) for field in kept} == kept


def test_no_record_of_before_is_missing():
    assert set(KEPT) <= set(records())


if __name__ == "__main__":
    found = {name: defaults(value) for name, value in sorted(records().items())}
    GOLDEN.write_text(json.dumps({name: values for name, values in found.items() if values}, indent=1) + "\n")
