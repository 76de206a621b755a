"""What the service has of an execution that has ended."""

from typing import Any

from tests.live.serving import Service


async def stored(service: Service, execution: str) -> list[Any]:
    """Return all events of an execution, page by page."""
    events: list[Any] = []
    page: dict[str, Any] = {"next": 0, "ended": False}
    while not page["ended"]:
        address = f"/executions/{execution}/events"
        answer = await service.client.get(
            address, params={"after": page["next"]}, headers={"Accept": "application/json"}
        )
        page = answer.json()
        events += page["events"]
    return events
