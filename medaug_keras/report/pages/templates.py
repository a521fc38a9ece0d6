"""The templates of pages, and what they can call."""

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from medaug_keras.report import format
from medaug_keras.report.pages.cells import cells


@cache
def environment_of_templates() -> Environment:
    """Jinja with our filters: a misspelt name is an error, and what is not marked as safe is escaped for HTML.

    Made once, because it keeps the compiled templates: they are a tenth of what a small report costs.
    """
    templates = Environment(
        loader=PackageLoader("medaug_keras.report"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {
        "md": format.markdown,
        "text": format.html,
        "yaml": format.yaml_text,
        "count": format.count,
        "percent": format.percent,
        "points": format.points,
        "seconds": format.seconds,
        "bytes": format.bytes_,
        "together": format.together,
        "raw": Markup,
        "plain": format.plain,
        "json": script_json,
    }
    templates.globals |= {
        "row_cells": cells,
        "shown": format.shown,
        "plural": format.plural,
        "replicates_words": format.replicates_words,
        "DASH": format.DASH,
        "MARKS": format.MARKS,
        "verdict_words": format.verdict_words,
    }
    return templates


def script_json(value: Any) -> Markup:
    """A value as JSON for a script element of a page, whatever is in its texts: on one line, and no mark of HTML."""
    return Markup(re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", format.json_text(value).replace("\n", "")))
