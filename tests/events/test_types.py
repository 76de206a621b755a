"""Names and codes are promises: what is released here never changes."""

import pytest

from graphwire.events.notices import NOTICES_BY_TYPE
from graphwire.events.types import EVENTS_BY_TYPE

RELEASED = {
    "execution_started": 0,
    "node_started": 1,
    "node_completed": 2,
    "node_failed": 3,
    "execution_completed": 4,
    "execution_failed": 5,
    "execution_cancelled": 6,
    "node_entered": 7,
    "node_exited": 8,
    "condition_evaluated": 9,
    "state_merge_conflict_detected": 10,
    "node_skipped_due_to_error_policy": 16,
    "checkpoint_restored": 17,
    "heartbeat": 20,
    "stream_end": 21,
    "stream_lagged": 22,
    "execution_progress": 23,
    "data_flow": 24,
    "execution_timeout": 27,
    "state_changed": 28,
    "node_message": 34,
    "diagnostic": 35,
    "llm_chunk": 36,
    "node_progress": 47,
    "node_log": 48,
    "events_dropped": 49,
    "stream_closed": 50,
    "node_cancelled": 51,
    "join_released": 52,
    "command_accepted": 53,
    "circuit_breaker_state_changed": 11,
    "circuit_breaker_operation_attempted": 12,
    "circuit_breaker_operation_blocked": 13,
    "resource_budget_exhausted": 14,
    "retry_scheduled": 15,
    "retry_attempted": 18,
    "execution_paused": 25,
    "execution_resumed": 26,
    "breakpoint_hit": 32,
    "step_completed": 33,
    "node_quarantined": 41,
    "node_quarantine_cleared": 42,
    "variable_changed": 45,
    "execution_queued": 46,
    "node_suspended": 54,
    "input_received": 55,
}
BARRIERS = {
    "checkpoint_restored",
    "execution_started",
    "execution_completed",
    "execution_failed",
    "execution_cancelled",
    "stream_end",
    "command_accepted",
    "execution_queued",
    "execution_paused",
}


@pytest.mark.capability("EVT-02", "EVT-03")
def test_names_and_codes_are_those_that_were_released() -> None:
    codes = {name: data.code for name, data in [*EVENTS_BY_TYPE.items(), *NOTICES_BY_TYPE.items()]}

    assert codes == RELEASED


@pytest.mark.capability("EVT-03")
def test_no_code_is_used_twice() -> None:
    assert len(set(RELEASED.values())) == len(RELEASED)


def test_starts_commands_and_ends_are_barriers_and_nothing_else_is() -> None:
    assert {name for name, data in EVENTS_BY_TYPE.items() if data.is_barrier} == BARRIERS
