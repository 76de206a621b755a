"""Which tests run on which database."""

import pytest

POSTGRESQL = pytest.param("postgresql", "sse", marks=pytest.mark.needs("postgresql"))


def each_form_on_sqlite_and_one_on_postgresql(name: str, forms: list[str]) -> pytest.MarkDecorator:
    """Have a test read every form of one database, and one of the other: what a form does does not depend on it.

    Args:
        name: The fixture that gives the form.
        forms: What it is given.
    """
    cases = [*[("sqlite", form) for form in forms], POSTGRESQL]
    return pytest.mark.parametrize(("database_url", name), cases, indirect=True)
