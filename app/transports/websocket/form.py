"""Events and notices of a subscription as notifications: texts of JSON-RPC, and the frames that carry them."""

from collections.abc import Hashable, Iterator

from app.transports.jsonrpc import TAIL, encode_notice, event_head
from app.transports.websocket.messages import text_frame
from graphwire.events.hub import Published


class NotificationForm:
    """How a subscription with this name is written, on whatever socket: as frames that are not compressed.

    Attributes:
        head: What stands before an event in its message.
    """

    silence: bytes | None = None
    has_begun = True

    def __init__(self, subscription: str) -> None:
        self._subscription = subscription
        self.head = event_head(subscription)

    def continued(self) -> "NotificationForm":
        """Return it as it is."""
        return self

    @property
    def kind(self) -> Hashable:
        """All subscriptions with this name."""
        return NotificationForm, self._subscription

    def enclosed(self, piece: bytes) -> bytes:
        """Return a piece as it is: frames are whole."""
        return piece

    def text(self, line: bytes) -> bytes:
        """Return the message that carries a notice."""
        return encode_notice(self._subscription, line)

    def events(self, items: list[Published]) -> Iterator[bytes]:
        """Return the frames that carry these events."""
        return (text_frame(b"".join((self.head, item.line, TAIL))) for item in items)

    def notice(self, name: str, line: bytes, cursor: int | None) -> bytes:
        """Return the frame that carries a notice."""
        return text_frame(self.text(line))
