"""Writes the generated pages: ``python -m tests.docs``."""

from tests.docs.generated import PAGES

for path, make in PAGES.items():
    path.write_text(make(), encoding="utf-8")
