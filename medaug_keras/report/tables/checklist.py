"""A published checklist beside what the records say."""

from collections.abc import Mapping

from medaug_keras.report.numbers.checklist import Answer, Checklist
from medaug_keras.report.tables.table import Column, Entry, Row, Table

SAYS, NOTHING = "say something", "say nothing"


def checklist(listed: Checklist, answers: Mapping[str, Answer], titles: Mapping[str, str]) -> Table:
    """A row for each item; `titles` are those of the study's pages."""
    columns = (
        Column("item", "Item"),
        *((Column("item_before", listed.before, extra=True),) if listed.before else ()),
        Column("topic", "Topic", "sentence"),
        Column("records", "What the records say", "sentence"),
        Column("page", "Page"),
        Column("to_write", "For you to write", "sentence"),
        Column("key", "Key in study.yaml", extra=True),
    )
    rows = []
    for item in listed.items:
        there = [answers[name] for name in item.answers if name in answers]
        page = there[0].page if there else ""
        none = "not known yet" if item.answers else "not in the records"
        rows.append(
            Row(
                (
                    Entry(item.number),
                    *((_entry(item.before, "not in that version"),) if listed.before else ()),
                    Entry(item.topic),
                    _entry(" ".join(_sentence(one.text) for one in there), none),
                    _entry(titles[page.partition(".")[0]] if there else "", none, href=page),
                    _entry(item.left, "nothing that the records leave open; check what they say"),
                    _entry(item.key, "no key"),
                ),
                {"records": SAYS if there else NOTHING},
            )
        )
    return Table(
        f"checklist-{listed.name}",
        f"Items of {listed.title}, beside what the records say.",
        columns,
        tuple(rows),
        "tables.checklist.checklist",
        (
            f"Numbers are those of the published list ({listed.cite}); topics are in our words, so read the list "
            "itself. No item is ticked here: whether a paper reports it, its readers decide.",
        ),
        ("records",),
    )


def _entry(text: str, missing: str, href: str = "") -> Entry:
    """A text; where it is empty, why (beside a value, the reason would be a remark on it)."""
    return Entry(text, href=href) if text else Entry(missing=missing, href=href)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
