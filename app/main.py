"""The composition root: the one place where concrete parts meet."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from app.api import cors, guards, manual, problems
from app.api.beside import Beside
from app.api.dependencies import Bounds
from app.api.head import HeadAsGet
from app.api.middleware import BodyLimit, RequestId
from app.api.routers import (
    client,
    documentation,
    executions,
    explanations,
    foreign,
    forks,
    graphs,
    health,
    looking_back,
    many,
    service,
    service_events,
    sockets,
    steering,
    streams,
)
from app.observability.access_log import AccessLog
from app.security.hosts import is_loopback
from app.security.keys import read_keys
from app.services.admission import Admissions
from app.services.announcements import Announcements
from app.services.checkpoints import CheckpointService
from app.services.executions import ExecutionService
from app.services.folders import Folders
from app.services.foreign import ForeignService
from app.services.forks import ForkService
from app.services.governance import Governance
from app.services.graphs import GraphService
from app.services.idempotency import Idempotency
from app.services.launching import Launcher
from app.services.presence import Presence
from app.services.producers import Producers
from app.services.readiness import Readiness
from app.services.recovery import Recovery
from app.services.remembered import Memory
from app.services.resources import Resources, gauges
from app.services.retention import Retention
from app.services.retention_policy import Limits
from app.services.service_log import ServiceLog
from app.services.streams import StreamService
from app.settings import Settings, closing_s, database_url, governor_options, max_readers
from app.storage.database import Database
from app.storage.opening import open_database
from app.storage.repositories.checkpoints import CheckpointRepository
from app.storage.repositories.executions import ExecutionRepository
from app.storage.repositories.graphs import GraphRepository
from app.storage.repositories.idempotency import IdempotencyRepository
from app.storage.repositories.service_events import ServiceEventRepository
from app.storage.sqlite_database import path_of
from app.storage.store import SqlExecutionStore
from app.transports.broadcast import OUTLET, Broadcasts
from app.transports.sending import AFTERWARDS
from app.transports.websocket.sockets import Sockets
from graphwire.clock import Clock, SystemClock
from graphwire.engine.policies.admission import Admission
from graphwire.engine.supervisor import Supervisor
from graphwire.events.filters import parse_filter
from graphwire.events.room import Room
from graphwire.graphs.code_trial import CodeTrial
from graphwire.nodes import builtin_registry
from graphwire.sinks import Log, NdjsonFile, Sink, Sinks

log = logging.getLogger(__name__)


def create_app(settings: Settings, *, sinks: Sequence[Sink] = ()) -> FastAPI:
    """Build the application. Nothing is opened before its lifespan begins.

    Args:
        settings: What an operator set.
        sinks: Get every event, besides the sinks that the settings name.

    ``app.state.drain()`` ends all streams and refuses new work; the server calls it before it waits for open
    responses. Idempotent; it does nothing before the lifespan has begun.
    """
    app = FastAPI(
        title="Graphwire",
        version=version("graphwire"),
        description=manual.DESCRIPTION,
        lifespan=_lifespan(settings, sinks),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=manual.operation_id,
    )
    app.state.drain = _nothing
    # The last one added is the outermost.
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    guards.install(app, _access(settings))
    if settings.access_log:
        app.add_middleware(AccessLog, afterwards=AFTERWARDS, outlet=OUTLET)
    app.add_middleware(RequestId)
    cors.install(app, settings.cors_origins)
    # Looked through in this order at each request.
    routers = (
        streams.router,
        service_events.router,
        executions.router,
        looking_back.router,
        many.router,
        steering.router,
        forks.router,
        foreign.router,
        sockets.router,
        graphs.router,
        graphs.drawings,
        explanations.router,
        documentation.router,
        client.router,
        service.router,
        health.router,
    )
    for router in routers:
        app.include_router(router)
    problems.install(app, [*app.routes, *(route for router in routers for route in router.routes)])
    app.openapi = lambda: manual.describe(app, asks_for_key=settings.api_key is not None)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


def _access(settings: Settings) -> guards.Access:
    keys = read_keys(settings.api_key.get_secret_value()) if settings.api_key is not None else ()
    if keys:
        return guards.Access(keys=keys, hosts=settings.allowed_hosts or None, origins=settings.cors_origins)
    # Without a key a page may lead its own name here (DNS rebinding): only names that are known are answered.
    return guards.Access(
        hosts=(settings.host, *settings.allowed_hosts),
        takes_addresses=not is_loopback(settings.host),
        origins=settings.cors_origins,
    )


def _lifespan(settings: Settings, sinks: Sequence[Sink]) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        clock = SystemClock()
        async with AsyncExitStack() as stack:  # closes in reverse, also after a failed start
            opened = open_database(database_url(settings), migrates=settings.migrate_at_start)
            database = await stack.enter_async_context(opened)
            store = await stack.enter_async_context(SqlExecutionStore(database, stop_s=closing_s(settings)))
            announcements = await stack.enter_async_context(
                Announcements(ServiceEventRepository(database), clock, version=app.version)
            )
            store.when_changed(announcements.storage_changed)
            delivered = await stack.enter_async_context(_sinks(settings, sinks, announcements))
            supervisor = await stack.enter_async_context(Supervisor(drain_s=settings.drain_s))
            governance = await stack.enter_async_context(_governance(settings, clock))
            state = _services(settings, clock, database, store, supervisor, delivered, announcements, governance)
            state["governance"] = governance
            await stack.enter_async_context(state["service_log"])
            stack.callback(state["presence"].close)
            stack.callback(state["beside"].close)
            folders = await stack.enter_async_context(_folders(settings, state["graphs"]))
            state["readiness"] = Readiness(state["executions"], store, folders, delivered)
            await state["executions"].take_up()
            await state["foreign"].open()
            await stack.enter_async_context(state["retention"])
            await stack.enter_async_context(_resources(settings, announcements))
            app.state.drain = _drain(state["executions"], state["streams"], state["sockets"])
            try:
                yield state
            finally:
                app.state.drain()

    return lifespan


@asynccontextmanager
async def _sinks(settings: Settings, given: Sequence[Sink], announcements: Announcements) -> AsyncIterator[Sinks]:
    async with Sinks(given, told=announcements.sink_troubled) as sinks:
        if settings.sink_file is not None:
            file = NdjsonFile(settings.sink_file, max_bytes=settings.sink_file_bytes, keep=settings.sink_file_keep)
            sinks.add(file, filter=parse_filter(settings.sink_file_types))
        if settings.sink_log:
            sinks.add(Log(), filter=parse_filter(settings.sink_log_types))
        yield sinks


def _resources(settings: Settings, announcements: Announcements) -> Resources:
    path = path_of(database_url(settings))
    measured = gauges(
        memory_bytes=settings.memory_warning_bytes,
        disk_bytes=settings.disk_warning_bytes,
        folder=None if path is None else path.parent,
    )
    return Resources(measured, announcements.announce, every_s=settings.resource_check_s)


def _folders(settings: Settings, graphs: GraphService) -> Folders:
    return Folders(
        graphs,
        settings.graphs,
        CodeTrial(timeout_s=settings.code_check_timeout_s, max_bytes=settings.code_check_bytes),
        max_file_bytes=settings.max_definition_bytes,
        is_watched=settings.watch_graphs,
    )


def _graphs(settings: Settings, clock: Clock, database: Database, supervisor: Supervisor) -> GraphService:
    return GraphService(
        GraphRepository(database),
        builtin_registry(),
        supervisor,
        clock,
        Memory(settings.cache_bytes),
        max_nodes=settings.max_nodes,
        max_edges=settings.max_edges,
    )


@asynccontextmanager
async def _governance(settings: Settings, clock: Clock) -> AsyncIterator[Governance | None]:
    options = governor_options(settings)
    if options is None:
        yield None
        return
    async with Governance(options, clock) as governance:
        yield governance


def _launcher(
    settings: Settings,
    clock: Clock,
    database: Database,
    store: SqlExecutionStore,
    supervisor: Supervisor,
    announcements: Announcements,
    registered: GraphService,
    room: Room,
    governance: Governance | None,
) -> Launcher:
    policy = Admission(max_running=settings.max_running, ageing_s=settings.queue_ageing_s)
    return Launcher(
        registered,
        ExecutionRepository(database),
        store,
        supervisor,
        Admissions(policy, supervisor, clock, announcements.announce),
        clock,
        room,
        governance,
        ring_events=settings.ring_events,
        ring_bytes=settings.ring_bytes,
        tracebacks=settings.expose_tracebacks,
    )


def _services(
    settings: Settings,
    clock: Clock,
    database: Database,
    store: SqlExecutionStore,
    supervisor: Supervisor,
    sinks: Sinks,
    announcements: Announcements,
    governance: Governance | None,
) -> dict[str, Any]:
    registered, room = _graphs(settings, clock, database, supervisor), Room()
    presence, executions = Presence(grace_s=settings.disconnect_grace_s), ExecutionRepository(database)
    elsewhere = ForeignService(
        registered,
        executions,
        store,
        supervisor,
        Producers(clock, idle_s=settings.foreign_idle_s),
        sinks,
        clock,
        room,
        ring_events=settings.ring_events,
        ring_bytes=settings.ring_bytes,
        max_executions=settings.max_executions,
    )
    launcher = _launcher(settings, clock, database, store, supervisor, announcements, registered, room, governance)
    running = ExecutionService(
        registered,
        executions,
        store,
        supervisor,
        presence,
        sinks,
        elsewhere,
        launcher,
        Recovery(registered, executions, store, supervisor, launcher, clock),
        clock,
        max_executions=settings.max_executions,
    )
    looked_back = CheckpointService(running, CheckpointRepository(database), store)
    watched = StreamService(store, presence, clock, max_readers=max_readers(settings))
    return {
        "graphs": registered,
        "executions": running,
        "foreign": elsewhere,
        "checkpoints": looked_back,
        "forks": ForkService(running, looked_back, registered, executions, store, clock),
        "streams": watched,
        "service_log": ServiceLog(database, ring_events=settings.ring_events, ring_bytes=settings.ring_bytes),
        "retention": Retention(
            database,
            store,
            supervisor,
            watched,
            clock,
            limits=_limits(settings),
            keys_stand=timedelta(seconds=settings.idempotency_ttl_s),
        ),
        "idempotency": Idempotency(IdempotencyRepository(database), clock, ttl_s=settings.idempotency_ttl_s),
        "presence": presence,
        "sockets": Sockets(limit=settings.max_sockets),
        "clock": clock,
        "broadcasts": Broadcasts(clock),
        "beside": Beside(),
        "bounds": _bounds(settings),
    }


def _limits(settings: Settings) -> Limits:
    return Limits.of(
        days=settings.retention_days,
        executions=settings.retention_executions,
        service_days=settings.retention_service_days,
        service_events=settings.retention_service_events,
    )


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        max_body_bytes=settings.max_body_bytes,
        max_definition_bytes=settings.max_definition_bytes,
        max_json_depth=settings.max_json_depth,
        heartbeat_s=settings.heartbeat_s,
        max_subscriptions=settings.max_subscriptions,
        max_bad_messages=settings.max_bad_messages,
    )


def _drain(running: ExecutionService, watched: StreamService, sockets: Sockets) -> Any:
    def drain() -> None:
        running.drain()
        watched.drain()
        sockets.drain()

    return drain


def _nothing() -> None:
    """There is nothing to end before the start."""
