"""Bodies that nobody would write: corpora and examples, changed at random. A seed always gives the same one."""

import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from app.api.schemas.examples import CANCELS, GRAPH, JUDGED_GRAPHS, STARTS
from graphwire.graphs.documents import write_document

JSON = "application/json"
YAML = "application/yaml"
LARGEST = 200_000
_BITS = (
    *(b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\\u0000", b"\\ud800", b"null", b"1e999", b"-", b"0x"),
    *(b"\xff", b"\x00", b"&a ", b"*a", b"!!", b"<<: ", b"---\n", b"\t", b"\r", b"\n", b"? ", b"| ", b"# "),
    b"\xe2\x80\xa8",
)
_ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**53,
    2**63,
    -(2**63),
    2**64,
    1e308,
    0.1,
    "",
    [],
    {},
    [[]],
    {"": None},
)


@dataclass(frozen=True)
class Body:
    """A body, and where it goes."""

    method: str
    path: str
    media_type: str
    data: bytes


@dataclass(frozen=True)
class Corpora:
    """Texts made by others, to begin with."""

    texts: Sequence[bytes]
    strings: Sequence[str]


def read_corpora(folder: Path) -> Corpora:
    """Read what JSON and YAML parsers are tested with, and strings that are known for trouble."""
    texts: list[bytes] = []
    for name in ("json-parsing.tar.gz", "yaml-test-suite.tar.gz"):
        with tarfile.open(folder / name) as archive:
            for member in archive.getmembers():
                file = archive.extractfile(member) if member.isfile() and member.size <= LARGEST else None
                if file is not None:
                    texts.append(file.read())
    return Corpora(texts, json.loads((folder / "blns.json").read_text(encoding="utf-8")))


def body(seed: int, corpora: Corpora) -> Body:
    """Return the body of a seed."""
    random = Random(seed)
    method, path, examples, media_types = random.choice(_ROUTES)
    media_type = random.choice(media_types)
    if random.random() < 0.3:
        data = random.choice(corpora.texts)
    else:
        value = random.choice(examples)
        for _ in range(random.randint(0, 3)):
            value = _changed(random, value, corpora.strings)
        data = _written(value, media_type)
    for _ in range(random.choice((0, 0, 0, 1, 1, 2, 5))):
        data = _cut(random, data, corpora.texts)
    return Body(method, path, media_type, data[:LARGEST])


_STARTS = tuple(each["value"] for each in STARTS.values())
_GRAPHS = (GRAPH, *(each["value"] for each in JUDGED_GRAPHS.values()))
_ROUTES: tuple[tuple[str, str, tuple[Any, ...], tuple[str, ...]], ...] = (
    ("POST", "/graphs", _GRAPHS, (JSON, YAML)),
    ("PUT", "/graphs/fuzzed", tuple({**graph, "id": "fuzzed"} for graph in _GRAPHS), (JSON, YAML)),
    ("POST", "/graphs/validate", _GRAPHS, (JSON, YAML)),
    ("POST", "/graphs/hello/execute", _STARTS, (JSON,)),
    ("POST", "/graphs/hello/execute/wait", _STARTS, (JSON,)),
    ("POST", "/graphs/hello/execute/stream", ({"state": 1}, {"seed": "x"}, {"none": 0}), (JSON,)),
    ("POST", "/executions/{execution}/cancel", tuple(each["value"] for each in CANCELS.values()), (JSON,)),
)


def _written(value: Any, media_type: str) -> bytes:
    if media_type == JSON:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        return write_document(value, "yaml")
    except (TypeError, ValueError):
        return json.dumps(value).encode()


def _changed(random: Random, value: Any, strings: Sequence[str]) -> Any:
    """Return a value with something else at one place."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        key = random.choice(list(value))
        changed = dict(value)
        match random.randrange(6):
            case 0:
                del changed[key]
            case 1:
                changed[random.choice(strings)] = changed.pop(key)
            case 2:
                changed[random.choice(strings)] = _odd(random, strings)
            case _:
                changed[key] = _changed(random, changed[key], strings)
        return changed
    if isinstance(value, list) and value and random.random() < 0.85:
        index = random.randrange(len(value))
        match random.randrange(4):
            case 0:
                return value[:index] + value[index + 1 :]
            case 1:
                return value + [value[index]] * random.choice((1, 2, 200))
            case _:
                return [*value[:index], _changed(random, value[index], strings), *value[index + 1 :]]
    return _odd(random, strings)


def _odd(random: Random, strings: Sequence[str]) -> Any:
    match random.randrange(5):
        case 0:
            return random.choice(_ODD)
        case 1:
            return random.choice(strings) * random.choice((1, 1, 100))
        case 2:
            return [random.choice(strings), random.choice(_ODD)]
        case 3:
            return {random.choice(strings): random.choice(_ODD)}
        case _:
            return random.choice(strings)


def _cut(random: Random, data: bytes, texts: Sequence[bytes]) -> bytes:
    """Return a text with some bytes changed, doubled, left out, or taken from another one."""
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + random.choice((1, 1, 2, 10, 100)))
    match random.randrange(6):
        case 0:
            middle = b""
        case 1:
            middle = data[start:end] * random.choice((2, 3, 150))
        case 2:
            middle = random.randbytes(end - start)
        case 3:
            other = random.choice(texts)
            middle = other[random.randrange(len(other) + 1) :][:1_000]
        case _:
            middle = random.choice(_BITS) * random.choice((1, 1, 1, 2, 120))
    return data[:start] + middle + data[end:]
