"""What a release says of itself is one thing, wherever it is said."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from medaug_keras import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
NEEDED = [re.match(r"[\w-]+", line)[0] for line in [*PROJECT["dependencies"], *EXTRAS["cluster"], *EXTRAS["dicom"]]]
PAGE = (ROOT / "docs" / "reference" / "licences.md").read_text("utf-8")
FAMILIES = {"Apache-2.0": "Apache", "BSD-3-Clause": "BSD", "BSD-2-Clause": "BSD", "BSL-1.0": "BSL", "MIT-CMU": "MIT"}
"""Licence → the word by which a package without an expression names it."""


def test_program_citation_and_changelog_have_one_version():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == __version__
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert released[0].split()[0] == __version__
    assert released == sorted(released, reverse=True)


def test_every_python_that_is_named_is_tested():
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: \d\.\d+$", line)]
    assert PROJECT["requires-python"] == f">={named[0]}"
    for workflow in ("tests", "release"):
        text = (ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text("utf-8")
        assert f"python: {named}".replace("'", '"') in text
    container = (ROOT / "Containerfile").read_text("utf-8")
    assert re.search(r"^FROM docker\.io/library/python:(\d\.\d+)-slim$", container, re.MULTILINE)[1] in named


@pytest.mark.parametrize("package", NEEDED)
def test_a_package_has_the_licence_that_the_page_names(package: str):
    row = re.search(rf"^\| `{package}` \| (.*?) \|", PAGE, re.MULTILINE)
    assert row, f"add {package} to docs/reference/licences.md"
    found = metadata.metadata(package)
    words = (found.get("License-Expression"), (found.get("License") or "")[:200], *(found.get_all("Classifier") or ()))
    said = " ".join(filter(None, words))
    for licence in re.findall(r"[\w.-]+-[\w.-]+|\b0BSD\b|\bMIT\b|\bZlib\b", row[1]):
        assert licence in said or FAMILIES.get(licence, licence) in said, (licence, said)


def test_no_package_is_named_that_is_not_needed():
    assert set(re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE)) == set(NEEDED)
