"""Text in columns: the same on every database, whatever characters it holds."""

from sqlalchemy import Dialect, Text, TypeDecorator

# A noncharacter: no text means anything by it, so that nearly every text is stored as it is.
_ESCAPE = "\uffff"


class AnyText(TypeDecorator[str]):
    """Text of any characters, compared by their numbers.

    PostgreSQL takes no U+0000, not even in what a column is compared with, and orders as the language of its machine
    does unless it is told otherwise.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Text:
        """Return the column's type."""
        is_postgresql = dialect.name == "postgresql"
        return Text(collation="C") if is_postgresql else Text()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return a text as it is sent."""
        return escaped(value) if dialect.name == "postgresql" else value

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Return a text as it was given."""
        return unescaped(value) if dialect.name == "postgresql" else value


def escaped(text: str | None) -> str | None:
    """Return a text without U+0000. Two texts have never one result."""
    if text is None or not ("\0" in text or _ESCAPE in text):
        return text
    return text.replace(_ESCAPE, _ESCAPE + "1").replace("\0", _ESCAPE + "0")


def unescaped(text: str | None) -> str | None:
    """Return what ``escaped`` was given."""
    if text is None or _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE + "0", "\0").replace(_ESCAPE + "1", _ESCAPE)
