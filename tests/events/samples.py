"""One instance of every event and notice, with the data that it is on the wire, written out."""

from typing import Any, Final

from msgspec import Raw

from graphwire.events import notices, service_types, types

FAILURE: Final = types.Failure(code="exception", type="ValueError", message="no price", node="price", attempt=1)

EVENTS: Final[list[tuple[types.EventData, str]]] = [
    (
        types.ExecutionStarted(entry=["a"], seed=7, options=Raw(b'{"detail":"full"}')),
        '{"entry":["a"],"seed":7,"options":{"detail":"full"}}',
    ),
    (types.NodeStarted(node_type="function", attempt=1), '{"node_type":"function","attempt":1}'),
    (
        types.NodeCompleted(attempt=1, duration_ms=12.4, edges=["price>ship"], result=Raw(b'{"total":90}')),
        '{"attempt":1,"duration_ms":12.4,"edges":["price>ship"],"result":{"total":90}}',
    ),
    (
        types.NodeFailed(attempt=1, duration_ms=0.5, error=FAILURE, will_retry=False, edges=[]),
        '{"attempt":1,"duration_ms":0.5,"error":{"code":"exception","type":"ValueError","message":"no price",'
        '"node":"price","attempt":1},"will_retry":false,"edges":[]}',
    ),
    (
        types.ExecutionCompleted(outcome="success", duration_ms=3.0, steps=2, state=Raw(b'{"total":90}')),
        '{"outcome":"success","duration_ms":3.0,"steps":2,"state":{"total":90}}',
    ),
    (
        types.ExecutionFailed(error=FAILURE, duration_ms=3.0, steps=2),
        '{"error":{"code":"exception","type":"ValueError","message":"no price","node":"price","attempt":1},'
        '"duration_ms":3.0,"steps":2}',
    ),
    (
        types.ExecutionCancelled(reason=None, duration_ms=3.0, steps=2),
        '{"reason":null,"duration_ms":3.0,"steps":2}',
    ),
    (types.NodeEntered(), "{}"),
    (types.NodeExited(next=["ship"]), '{"next":["ship"]}'),
    (
        types.ConditionEvaluated(edge="price>ship", expression="state.total > 0", value=True),
        '{"edge":"price>ship","expression":"state.total > 0","value":true}',
    ),
    (
        types.StateMergeConflictDetected(
            key="x", nodes=["a", "b"], values=[Raw(b"1"), Raw(b"null")], policy="last_write_wins", value=Raw(b"1")
        ),
        '{"key":"x","nodes":["a","b"],"values":[1,null],"policy":"last_write_wins","value":1}',
    ),
    (types.NodeSkippedDueToErrorPolicy(reason="exception"), '{"reason":"exception"}'),
    (types.CheckpointRestored(valid_to=5, next=65_542), '{"valid_to":5,"next":65542}'),
    (
        types.StreamEnd(status="completed", total_events=9, duration_ms=3.0),
        '{"status":"completed","total_events":9,"duration_ms":3.0}',
    ),
    (types.DataFlow(edge="price>ship", bytes=12), '{"edge":"price>ship","bytes":12}'),
    (types.ExecutionTimeout(limit="timeout_s", limit_s=1.5), '{"limit":"timeout_s","limit_s":1.5}'),
    (types.StateChanged(keys=["total"]), '{"keys":["total"]}'),
    (
        types.NodeMessage(scope="chat", message=Raw(b'"hello"'), metadata=Raw(b"{}")),
        '{"scope":"chat","message":"hello","metadata":{}}',
    ),
    (
        types.Diagnostic(problem="slow_store", severity="warning", message="It takes long.", facts=Raw(b'{"s":3}')),
        '{"code":"slow_store","severity":"warning","message":"It takes long.","facts":{"s":3}}',
    ),
    (
        types.LlmChunk(stream_id="s1", text="Hel", is_final=False),
        '{"stream_id":"s1","text":"Hel","is_final":false}',
    ),
    (types.NodeProgress(completed=3.0, total=9.5), '{"completed":3.0,"total":9.5}'),
    (
        types.NodeLog(level="info", message="fetched", fields=Raw(b'{"n":1}')),
        '{"level":"info","message":"fetched","fields":{"n":1}}',
    ),
    (types.EventsDropped(count=4), '{"count":4}'),
    (
        types.NodeCancelled(attempt=1, duration_ms=0.5, reason="cancelled"),
        '{"attempt":1,"duration_ms":0.5,"reason":"cancelled"}',
    ),
    (types.JoinReleased(missing=["a>c"]), '{"missing":["a>c"]}'),
    (
        types.CommandAccepted(command="cancel", arguments=Raw(b'{"reason":null}'), by="key:ops"),
        '{"command":"cancel","arguments":{"reason":null},"by":"key:ops"}',
    ),
    (
        types.CircuitBreakerStateChanged(breaker="price", old_state="closed", new_state="open", failure_count=5),
        '{"breaker":"price","old_state":"closed","new_state":"open","failure_count":5}',
    ),
    (
        types.CircuitBreakerOperationAttempted(breaker="price", circuit_state="half_open", attempt=1),
        '{"breaker":"price","circuit_state":"half_open","attempt":1}',
    ),
    (
        types.CircuitBreakerOperationBlocked(
            breaker="price", reason="it is open for 12 s more", circuit_state="open", failure_count=5
        ),
        '{"breaker":"price","reason":"it is open for 12 s more","circuit_state":"open","failure_count":5}',
    ),
    (
        types.ResourceBudgetExhausted(resource_type="cost", requested=2.0, available=0.5),
        '{"resource_type":"cost","requested":2.0,"available":0.5}',
    ),
    (
        types.RetryScheduled(attempt=2, delay_ms=1000.0, max_attempts=4),
        '{"attempt":2,"delay_ms":1000.0,"max_attempts":4}',
    ),
    (types.RetryAttempted(attempt=2, delay_ms=1000.0), '{"attempt":2,"delay_ms":1000.0}'),
    (types.ExecutionPaused(reason="command", by="key:ops"), '{"reason":"command","by":"key:ops"}'),
    (types.ExecutionResumed(paused_ms=5000.0), '{"paused_ms":5000.0}'),
    (
        types.BreakpointHit(when="before", hits=1, condition="state.total > 100"),
        '{"when":"before","hits":1,"condition":"state.total > 100"}',
    ),
    (types.StepCompleted(mode="over"), '{"mode":"over"}'),
    (types.NodeQuarantined(failures=5, duration_s=60.0), '{"failures":5,"duration_s":60.0}'),
    (types.NodeQuarantineCleared(reason="expired"), '{"reason":"expired"}'),
    (types.VariableChanged(keys=["total"], by="key:ops"), '{"keys":["total"],"by":"key:ops"}'),
    (
        types.ExecutionQueued(position=3, priority="normal", reason="1,000 executions run"),
        '{"position":3,"priority":"normal","reason":"1,000 executions run"}',
    ),
    (
        types.NodeSuspended(
            attempt=1,
            duration_ms=0.4,
            interrupt_id="4f2a9c01d7e35b88",
            payload=Raw(b'{"question":"Ship?"}'),
            schema=Raw(b'{"type":"boolean"}'),
            expires_at="2026-11-21T19:45:30.123456Z",
        ),
        '{"attempt":1,"duration_ms":0.4,"interrupt_id":"4f2a9c01d7e35b88","payload":{"question":"Ship?"},'
        '"schema":{"type":"boolean"},"expires_at":"2026-11-21T19:45:30.123456Z"}',
    ),
    (
        types.InputReceived(interrupt_id="4f2a9c01d7e35b88", value=Raw(b"true"), by="key:ops"),
        '{"interrupt_id":"4f2a9c01d7e35b88","value":true,"by":"key:ops"}',
    ),
]

NOTICES: Final[list[tuple[notices.Notice, str, dict[str, Any]]]] = [
    (notices.Heartbeat(), '"type":"heartbeat","code":20', {}),
    (
        notices.StreamLagged(from_seq=1, to_seq=7, dropped=7),
        '"type":"stream_lagged","code":22',
        {"from_seq": 1, "to_seq": 7, "dropped": 7},
    ),
    (
        notices.ExecutionProgress(percent=50.0, completed=1, total=2, running=["price"], eta_s=1.5),
        '"type":"execution_progress","code":23',
        {"percent": 50.0, "completed": 1, "total": 2, "running": ["price"], "eta_s": 1.5},
    ),
    (
        notices.StreamClosed(reason="shutting_down", detail="Back soon.", retry_ms=1500),
        '"type":"stream_closed","code":50',
        {"code": "shutting_down", "detail": "Back soon.", "retry_ms": 1500},
    ),
]

SERVICE_EVENTS: Final[list[tuple[service_types.ServiceEvent, str]]] = [
    (service_types.GraphCreated(version=1, source="api"), '{"version":1,"source":"api"}'),
    (service_types.GraphUpdated(version=2, source="folder"), '{"version":2,"source":"folder"}'),
    (service_types.GraphDeleted(version=2), '{"version":2}'),
    (service_types.ServiceExecutionStarted(graph_version=2), '{"graph_version":2}'),
    (service_types.ServiceExecutionQueued(graph_version=2), '{"graph_version":2}'),
    (
        service_types.ServiceExecutionCompleted(outcome="success", duration_ms=12.4, steps=3, last_seq=9),
        '{"outcome":"success","duration_ms":12.4,"steps":3,"last_seq":9}',
    ),
    (
        service_types.ServiceExecutionFailed(
            error=types.Failure(code="exception", type="ValueError", message="no stock", node="price"),
            duration_ms=0.9,
            steps=1,
            last_seq=5,
        ),
        '{"error":{"code":"exception","type":"ValueError","message":"no stock","node":"price"},"duration_ms":0.9,'
        '"steps":1,"last_seq":5}',
    ),
    (
        service_types.ServiceExecutionCancelled(reason="not needed", duration_ms=0.9, steps=1, last_seq=6),
        '{"reason":"not needed","duration_ms":0.9,"steps":1,"last_seq":6}',
    ),
    (service_types.ServiceExecutionDeleted(reason="retention"), '{"reason":"retention"}'),
    (service_types.SystemStartup(version="1.0.0", previous="stopped"), '{"version":"1.0.0","previous":"stopped"}'),
    (service_types.SystemShutdown(), "{}"),
    (
        service_types.SystemResourceWarning(resource="disk", is_short=True, value_bytes=1_000, limit_bytes=2_000),
        '{"resource":"disk","is_short":true,"value_bytes":1000,"limit_bytes":2000}',
    ),
    (
        service_types.SystemQueueStatus(
            queued=2, running=1_000, max_running=1_000, by_priority={"low": 2}, oldest_s=1.5
        ),
        '{"queued":2,"running":1000,"max_running":1000,"by_priority":{"low":2},"oldest_s":1.5}',
    ),
    (
        service_types.SystemDiagnostic(
            problem="storage_available", severity="info", message="It is back.", facts=Raw(b'{"s":3}')
        ),
        '{"code":"storage_available","severity":"info","message":"It is back.","facts":{"s":3}}',
    ),
]
