"""`init`: a folder with a study to start from, taken from those in the package."""

import argparse
import json
import os
import re
from pathlib import Path

from medaug_keras.reading import schema

from .mistakes import DONE, RequestError
from .options import STARTS

STUDIES = Path(__file__).parents[1] / "studies"
_SCHEMA = "study.schema.json"
_README = """\
# {title}
Here, `python -m medaug_keras study.yaml` runs the study, or goes on with it. Then open `site/index.html`.
Editors complete `study.yaml` with the help of `study.schema.json`. `python -m medaug_keras -h` shows the rest.
"""


def init(options: argparse.Namespace) -> int:
    """Write a study, what it extends, the schema for editors and a README. Overwrites nothing, or writes nothing."""
    folder: Path = options.folder
    files = _files(options.start, folder.resolve().name)
    if os.path.lexists(folder / "README.md"):
        del files["README.md"]  # there is one to read already
    there = [str(folder / name) for name in files if os.path.lexists(folder / name)]
    if there:
        raise RequestError(f"Nothing is written, for it is there already: {', '.join(there)}. Name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with (folder / name).open("x", encoding="utf-8") as file:  # not even one that came in between
            file.write(content)
    print(f"Written: {', '.join(str(folder / name) for name in files)}")
    print(f"Next: cd {folder}, then python -m medaug_keras study.yaml")
    return DONE


def _files(start: str, title: str) -> dict[str, str]:
    """Name → content."""
    study = _study(STARTS[start])
    extended = {name: _study(name) for name in STARTS.values() if f"extends: {name}" in study}
    return {
        "study.yaml": study,
        **extended,
        _SCHEMA: json.dumps(schema(), indent=2) + "\n",
        "README.md": _README.format(title=title),
    }


def _study(name: str) -> str:
    """A study of the package as it stands beside the schema and the studies that it names."""
    text = (STUDIES / name).read_text("utf-8")
    text = re.sub(r"\$schema=\S+", f"$schema={_SCHEMA}", text, count=1)
    text = text.replace("../study.yaml", "paper.yaml")  # where the repository has it
    return text.replace("own-data.yaml", "study.yaml").replace("docs/reference/study.md", _SCHEMA)
