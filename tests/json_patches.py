"""Applying a JSON Patch, as RFC 6902 has it, as far as the service makes use of it."""

import copy
from collections.abc import Sequence
from typing import Any


def patched(document: Any, patch: Sequence[dict[str, Any]]) -> Any:
    """Return what a patch makes of a document.

    Raises:
        LookupError, ValueError: It does not fit the document.
    """
    document = copy.deepcopy(document)
    for operation in patch:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place = document
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place[name]
        match operation["op"], place:
            case "add", list() if last == "-":
                place.append(operation["value"])
            case "add", dict():
                place[last] = operation["value"]
            case "replace", dict():
                place[last]  # there must be one
                place[last] = operation["value"]
            case "remove", dict():
                del place[last]
            case unexpected:
                raise ValueError(unexpected)
    return document
