"""What was looked for in a data set, as a table."""

from medaug_keras.data import Check
from medaug_keras.report.tables.table import Column, Entry, Row, Table


def checks(name: str, title: str, found: list[Check]) -> Table:
    """A row for each check of a data set."""
    columns = (
        Column("check", "Check"),
        Column("result", "Result"),
        Column("found", "What was found", kind="sentence"),
        Column("advice", "What to do", kind="sentence"),
    )
    rows = tuple(
        Row(
            (
                Entry(check.title),
                Entry(check.level),
                Entry(" ".join(one.text for one in check.found)),
                Entry(check.advice) if check.advice else Entry(missing="nothing"),
            ),
            factors={"result": check.level},
        )
        for check in found
    )
    return Table(f"checks-{name}", f"What was looked for in {title}.", columns, rows, "tables.checks.checks")
