"""Plain pages for browsers: no script, nothing from elsewhere."""

from html import escape

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }}
code {{ overflow-wrap: anywhere }}
td, th {{ padding: 0 1rem .5rem 0; text-align: left; vertical-align: top }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def page(title: str, body: str) -> str:
    """Return a page. ``title`` is text, ``body`` is HTML."""
    return _PAGE.format(title=escape(title), body=body)
