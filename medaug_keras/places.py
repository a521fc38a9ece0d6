"""Where pages and site go, and whether they may go there: asked before a run, and again when they are written.

docs/studies/NAME holds the pages of one study, docs/studies/assets and index.md what all share, and site is the site.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from medaug_keras.ownership import NotOursError, is_ours, read_note
from medaug_keras.spec import MedMnistData, Study, files

STUDIES = "studies"
"""The folder of docs that this program writes."""
MOVED = "Not as this program left it"
"""How a line begins that says where a file was moved to."""


def site_of(docs: Path, site: Path | None) -> Path:
    """The folder of the site: `site` beside docs, unless it is given."""
    return site or docs.parent / "site"


def check_places(study: Study, *, file: Path, docs: Path, site: Path | None, results: Path, data: Path) -> None:
    """Raises NotOursError where writing pages, or a site unless it is None, would cost or publish files of others."""
    private = {f"--results {results}": results}
    for name, spec in study.datasets.items():
        for keys, path in files(spec):
            what = "the data set" if keys == ("path",) else f"{'.'.join(keys)} of the data set"
            private[f"{what} {name} ({path})"] = Path(path)
        if any(isinstance(one, MedMnistData) for one in (spec, *spec.outside.values())):
            private[f"--data {data}"] = data
    if study.classifier.weights_file is not None:
        private[f"the file of weights ({study.classifier.weights_file})"] = Path(study.classifier.weights_file)
    made = (path for path in study.sums if path != study.classifier.weights_file)
    private |= {f"the images made elsewhere ({path})": Path(path) for path in made}
    folders = {f"--docs {docs}": docs} | ({f"--site {site}": site} if site is not None else {})
    wrong = [text for said, folder in folders.items() for text in _misplaced(said, folder, private)]
    if site is not None and (_holds(site, docs) or _holds(docs, site)):
        wrong.append(f"--site {site} and --docs {docs} lie in one another.")
    if wrong:
        raise NotOursError("\n".join([*wrong, "Pages and site need folders of their own, as --docs docs --site site."]))
    check_study(study, file, docs)
    if site is not None:
        check_site(docs, site)


def _misplaced(said: str, folder: Path, private: Mapping[str, Path]) -> list[str]:
    if _holds(folder, Path.cwd()):
        return [f"{said} is or holds the current folder, so everything in it could be published."]
    found = [
        f"{said} holds {name}, which could be published." for name, path in private.items() if _holds(folder, path)
    ]
    around = {name: path for name, path in private.items() if not name.startswith("--data ")}  # no folder there is read
    return found or [f"{said} lies in {name}." for name, path in around.items() if _holds(path, folder)]


def _holds(folder: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def check_study(study: Study, file: Path | None, docs: Path) -> dict[str, str]:
    """What the note of a study's pages says of it: checksums only, for it may be published with them.

    Raises NotOursError where docs/studies/NAME holds the pages of another file's study.
    """
    if study.name == "assets":
        raise NotOursError(
            "A study cannot be called assets: the folder of this name holds what the pages of all studies use."
        )
    target = docs / STUDIES / study.name
    note = read_note(target)
    before = dict(note.about) if note else {}
    now = {"study": hashlib.sha256(study.model_dump_json().encode()).hexdigest()}
    if file is None:
        return before | now
    now["file"] = address(file, target)
    if before.get("file", now["file"]) == now["file"]:
        return now
    if before.get("study") == now["study"]:  # a copy of it, as data/study.yaml beside the pages
        return before
    raise NotOursError(
        f"{target} holds the pages of a study that has the same name, {study.name}, but comes from another file than "
        f"{file}. Give one of them another name (`name:` in the file, or --set name=...), or use another --docs. If "
        f"that study is no longer needed, or its file has only moved, delete {target}: pages can be made again."
    )


def check_site(docs: Path, site: Path) -> None:
    """Raises NotOursError where the folder of the site holds what this program did not make of these `docs`."""
    if not is_ours(site):
        what = f"{site} holds files that this program did not make" if site.exists() else f"{site} leads nowhere"
        raise NotOursError(
            f"{what}, so no site is built there. Name another folder with --site DIR, or use --no-site. If it is an "
            "old site that can go, delete it."
        )
    note = read_note(site)
    here = address(docs, site)
    if note is not None and note.about.get("docs", here) != here:
        raise NotOursError(
            f"{site} holds the site of another docs folder than {docs}. Name another folder with --site DIR."
        )


def address(path: Path, folder: Path) -> str:
    """Digest of where a path lies as seen from a folder: it stays when both are moved together, and tells nothing."""
    return hashlib.sha256(os.fsencode(os.path.relpath(path.resolve(), folder.resolve()))).hexdigest()
