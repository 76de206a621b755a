"""What an operator may set."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from msgspec.structs import replace
from platformdirs import user_data_path
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.security.hosts import read_host_name, read_origin
from app.security.keys import read_keys
from graphwire.engine.policies.governor import PRESETS, Options
from graphwire.errors import InvalidInput
from graphwire.events.filters import parse_filter
from graphwire.near_names import near_name

PREFIX = "GRAPHWIRE_"


def _folders(value: object) -> object:
    """Read folders as ``PATH`` is written: separated by the platform's separator or by commas."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.replace(os.pathsep, ",").split(",") if part.strip()]


def _list(value: object) -> object:
    """Read what is separated by commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _types(value: tuple[str, ...]) -> tuple[str, ...]:
    """Check names of event types."""
    try:
        parse_filter(value)
    except InvalidInput as error:
        raise ValueError("; ".join(problem.detail for problem in error.problems)) from error
    return value


def _readable(value: SecretStr | None) -> SecretStr | None:
    """Check the keys while it can still be said what sets them."""
    return value if value is not None and read_keys(value.get_secret_value()) else None


_Host = Annotated[str, AfterValidator(read_host_name)]
_Origin = Annotated[str, AfterValidator(read_origin)]
_Hosts = Annotated[tuple[_Host, ...], NoDecode, BeforeValidator(_list)]
_Origins = Annotated[tuple[_Origin, ...], NoDecode, BeforeValidator(_list)]
_Types = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_list), AfterValidator(_types)]


class Settings(BaseSettings):
    """Everything an operator may set, flat: ``GRAPHWIRE_HEARTBEAT_S=5``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65_535, description="Port to listen on; 0 takes any free one.")
    database_url: SecretStr | None = Field(
        default=None,
        description="Where everything is kept: `sqlite:////path/to/file.db` or "
        "`postgresql://user:password@host/database`; default: a SQLite file in the user's data folder.",
    )
    migrate_at_start: bool = Field(
        default=True,
        description="Bring the database's tables up to date at the start; else a start refuses where they are not, "
        "and `graphwire database upgrade` does it.",
    )
    graphs: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_folders)] = Field(
        default=(), description="Folders with graphs, separated by commas. Their Python code is trusted."
    )
    api_key: Annotated[SecretStr | None, AfterValidator(_readable)] = Field(
        default=None,
        description="Key of at least 16 characters that every request but those to `/health/` must carry; several are "
        "separated by commas. Without one the service is for this machine only.",
    )
    allow_open: bool = Field(default=False, description="Listen on other addresses than loopback without a key.")
    allowed_hosts: _Hosts = Field(
        default=(),
        description="Names of the service that `Host` may have, separated by commas. Those of loopback are always "
        "among them. Default: any name with a key; without one no other, but any address where `ALLOW_OPEN` is set.",
    )
    cors_origins: _Origins = Field(
        default=(),
        description="Origins whose pages may use the service, separated by commas: `https://example.com`.",
    )

    watch_graphs: bool = Field(
        default=True, description="Whether a change in a folder with graphs is taken over while the service runs."
    )
    code_check_timeout_s: float = Field(
        default=10.0, gt=0, description="Time in which a Python file of a folder must have run."
    )
    code_check_bytes: int = Field(
        default=512 * 1024 * 1024,
        ge=128 * 1024 * 1024,
        description="Memory that such a file, with Python itself, may take when it is tried.",
    )

    log_format: Literal["text", "json"] = Field(
        default="text", description="`text` is for people, `json` is an object a line."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What is less severe is not logged."
    )
    access_log: bool = Field(default=False, description="Whether each request is logged when its answer ends.")

    sink_file: Path | None = Field(
        default=None, description="File to which every event is appended as a line of JSON; default: none."
    )
    sink_file_bytes: int = Field(
        default=100 * 1024 * 1024,
        ge=1024,
        description="Size beyond which the file is renamed to `<name>.1`, that one to `<name>.2` and so on.",
    )
    sink_file_keep: int = Field(default=5, ge=0, description="How many renamed files are kept.")
    sink_file_types: _Types = Field(
        default=(), description="Types of events that go to the file, separated by commas; default: all."
    )
    sink_log: bool = Field(default=False, description="Whether events are logged.")
    sink_log_types: _Types = Field(
        default=(
            "execution_started",
            "execution_completed",
            "execution_failed",
            "execution_cancelled",
            "node_failed",
            "node_log",
            "diagnostic",
        ),
        description="Types of events that are logged, separated by commas; those that end an execution always are.",
    )

    max_body_bytes: int = Field(default=10 * 1024 * 1024, ge=1024, description="Largest request body.")
    max_definition_bytes: int = Field(default=5 * 1024 * 1024, ge=1024, description="Largest definition of a graph.")
    max_json_depth: int = Field(default=100, ge=1, le=500, description="Deepest nesting of a body.")
    max_nodes: int = Field(default=10_000, ge=1, description="Most nodes of a graph.")
    max_edges: int = Field(default=50_000, ge=0, description="Most edges of a graph.")
    expose_tracebacks: bool = Field(
        default=False,
        description="Errors of nodes show where in the code they were raised (`traceback`), to all who read them.",
    )
    max_executions: int = Field(
        default=10_000,
        ge=1,
        description="Executions that are accepted and have not ended; likewise those that run elsewhere and report "
        "here. Beyond it a start is refused with `at_capacity`.",
    )
    max_running: int = Field(
        default=1_000,
        ge=1,
        description="Executions that run at once; paused ones do not count. The others wait for their turn.",
    )
    queue_ageing_s: float = Field(
        default=30.0,
        ge=0,
        description="Time after which an execution that waits counts as one priority higher, so that none waits for "
        "ever; 0 leaves priorities as they are.",
    )
    governance: Literal["off", "default", "development", "production", "performance"] = Field(
        default="off",
        description="How fast nodes may begin, by the load of the machine; `off` lets them begin as they are ready.",
    )
    governance_rate: float | None = Field(
        default=None, gt=0, description="Nodes of cost 1 and priority `normal` that begin in a second."
    )
    governance_burst: float | None = Field(
        default=None, ge=1, description="How many may begin at once after a time in which none did."
    )
    governance_cpu_percent: float | None = Field(
        default=None, gt=0, le=100, description="Load of the processors from which on only what is critical begins."
    )
    governance_cpu_soft_percent: float | None = Field(
        default=None, ge=0, le=100, description="Load of the processors from which on less begins."
    )
    governance_memory_mb: float | None = Field(
        default=None, ge=0, description="Free memory, in MiB, below which only what is critical begins."
    )
    governance_max_wait_s: float | None = Field(
        default=None, gt=0, description="Time after which a node that may not begin fails (`budget_exhausted`)."
    )
    foreign_idle_s: float = Field(
        default=3_600.0,
        ge=0,
        description="Time in which an engine elsewhere must report something of its execution; else it fails with "
        "`producer_lost`. 0 waits for ever.",
    )
    max_readers: int = Field(
        default=20_000,
        ge=1,
        description="Streams that are open at once, and polls that wait; never more than nine tenths of the files that "
        "the process may have open.",
    )
    cache_bytes: int = Field(
        default=128 * 1024 * 1024,
        ge=0,
        description="About how much memory keeps graphs that were read or run ready for the next time; the graph that "
        "was used last stays in any case.",
    )

    max_sockets: int = Field(default=10_000, ge=1, description="WebSockets that are open at once.")
    max_subscriptions: int = Field(default=1_000, ge=1, description="Subscriptions of one WebSocket.")
    max_message_bytes: int = Field(
        default=1024 * 1024, ge=1024, description="Largest message to a WebSocket, also after inflating."
    )
    max_bad_messages: int = Field(
        default=100, ge=1, description="Messages to a WebSocket that make no sense, within a minute, that close it."
    )
    ping_s: float = Field(default=20.0, gt=0, description="Time between two pings of a WebSocket.")
    pong_s: float = Field(default=10.0, gt=0, description="Time in which a WebSocket must answer one before it is cut.")

    idempotency_ttl_s: float = Field(
        default=86_400.0, gt=0, description="How long an `Idempotency-Key` stands for what it made."
    )

    retention_days: float = Field(
        default=30.0,
        ge=0,
        le=36_500,
        description="Days for which an execution is kept after its end; 0 keeps it for ever.",
    )
    retention_executions: int = Field(
        default=10_000,
        ge=0,
        description="Executions that are kept after their end, the newest ones; 0 keeps all.",
    )

    retention_service_days: float = Field(
        default=30.0,
        ge=0,
        le=36_500,
        description="Days for which an event of the service (`GET /events`) is kept; 0 keeps it for ever.",
    )
    retention_service_events: int = Field(
        default=100_000,
        ge=0,
        description="Events of the service that are kept, the newest ones; 0 keeps all.",
    )

    resource_check_s: float = Field(
        default=15.0, gt=0, description="Time between two looks at memory and room on the disk."
    )
    memory_warning_bytes: int = Field(
        default=0,
        ge=0,
        description="Memory of the service from which on it warns (`system.resource_warning`), on Linux; 0 is nine "
        "tenths of what the container, else the machine, has.",
    )
    disk_warning_bytes: int = Field(
        default=1024 * 1024 * 1024,
        ge=0,
        description="Free room on the disk of a SQLite database below which the service warns; 0 never does.",
    )

    ring_events: int = Field(default=1024, ge=1, description="Events of an execution kept in memory for its readers.")
    ring_bytes: int = Field(default=4 * 1024 * 1024, ge=1024, description="Bytes of events kept likewise.")
    heartbeat_s: float = Field(default=15.0, gt=0, le=60, description="Silence before a stream sends a heartbeat.")
    write_timeout_s: float = Field(
        default=30.0, gt=0, description="Time in which one write to a client must drain before it is cut."
    )
    disconnect_grace_s: float = Field(
        default=10.0,
        ge=0,
        description="Time after its last reader left before an execution with `on_disconnect: cancel` is.",
    )
    drain_s: float = Field(
        default=20.0,
        gt=0,
        description="Time that running executions get to finish at a shutdown; streams end at once. "
        "Other open responses get a tenth of it before, and the store a tenth after, but a second each.",
    )

    @model_validator(mode="after")
    def _is_sound(self) -> "Settings":
        governor_options(self)
        return self


def closing_s(settings: Settings) -> float:
    """Return how long open responses may take at a shutdown before the executions have their time, and the store after.

    Where the executions have little time, a stream still needs a moment to be told.
    """
    return max(1.0, settings.drain_s * 0.1)


def governor_options(settings: Settings) -> Options | None:
    """Return how fast nodes may begin; None where nothing is governed.

    Raises:
        ValueError: The settings make no sense together.
    """
    if settings.governance == "off":
        return None
    names = ("rate", "burst", "cpu_percent", "cpu_soft_percent", "memory_mb", "max_wait_s")
    given = {name: getattr(settings, f"governance_{name}") for name in names}
    return replace(PRESETS[settings.governance], **{name: value for name, value in given.items() if value is not None})


def database_url(settings: Settings) -> str:
    """Return the URL of the database; makes the data folder of the default."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    folder = user_data_path("graphwire", appauthor=False, ensure_exists=True)
    return f"sqlite:///{folder / 'graphwire.db'}"


def max_readers(settings: Settings) -> int:
    """Return how many streams may be open at once: each takes an open file, and others need some, too."""
    if sys.platform == "win32":
        return settings.max_readers
    import resource  # only Unix has it

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return settings.max_readers if allowed < 0 else max(1, min(settings.max_readers, allowed * 9 // 10))


def secrets_of(settings: Settings) -> list[str]:
    """Return what must never be shown, in a log line say. Of the database's address that is its password."""
    secrets = [value for value in dict(settings).values() if isinstance(value, SecretStr)]
    texts = [secret.get_secret_value() for secret in secrets if secret is not settings.database_url]
    if settings.api_key is not None:
        texts += read_keys(settings.api_key.get_secret_value())
    if settings.database_url is not None:
        texts += _passwords(settings.database_url.get_secret_value())
    return texts


def _passwords(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return [url]
    found = [parts.password, *parse_qs(parts.query).get("password", ())]
    return [text for password in found if password for text in {password, unquote(password)}]


OF_COMMANDS: Final = frozenset({PREFIX + "URL"})
"""Variables of commands that talk to a server, and no settings of it."""


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that looks like a setting and is none.

    pydantic-settings passes over them, so a misspelt name would be silent.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | OF_COMMANDS
    sentences = []
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            near = near_name(name.upper(), known)
            hint = f"; did you mean {near}?" if near else ""
            sentences.append(f"{name} is no setting{hint}")
    return sentences
