"""The same tests for every form of a stream."""

import pytest

from tests.live.promises.forms import CODED_FORMS, FORMS, Session


@pytest.fixture(params=list(FORMS))
def form(request: pytest.FixtureRequest) -> type[Session]:
    """The form in which a test reads."""
    return FORMS[request.param]


@pytest.fixture(params=list(CODED_FORMS))
def coded_form(request: pytest.FixtureRequest) -> type[Session]:
    """The same, and compressed."""
    return CODED_FORMS[request.param]
