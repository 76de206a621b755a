"""Reading the tables of the docs."""

from pathlib import Path

REFERENCE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference"


def rows(page: str, *columns: str) -> list[dict[str, str]]:
    """Return the rows of every table of a reference page that has exactly these columns; cells without backticks."""
    found: list[dict[str, str]] = []
    within = False
    for line in (REFERENCE / page).read_text(encoding="utf-8").splitlines():
        cells = tuple(
            cell.replace("`", "").strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")
        )
        if not line.startswith("|"):
            within = False
        elif cells == columns:
            within = True
        elif within and set(cells[0]) != {"-"}:
            found.append(dict(zip(columns, cells, strict=True)))
    return found


def names(cell: str) -> list[str]:
    """Return the names in a cell that lists them."""
    return [name.strip() for name in cell.split(",") if name.strip()]
