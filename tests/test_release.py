"""What a release says of itself is one thing, wherever it is said."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from medaug_keras import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PYTHONS = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: \d\.\d+$", line)]
PINNED = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
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


@pytest.mark.parametrize("python", PYTHONS)
def test_what_is_pinned_takes_the_first_release_of_every_python_that_is_named(python: str):
    """Debian 12 has 3.11.2, and a package that asks for 3.11.5 cannot be installed there."""
    asked = {d.name: d.metadata.get("Requires-Python") for d in metadata.distributions() if d.name in PINNED}
    assert len(asked) > 100
    refused = {name: r for name, r in asked.items() if r and not SpecifierSet(r).contains(f"{python}.0")}
    assert not refused


def test_every_python_that_is_named_is_tested():
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    for workflow in ("tests", "release"):
        text = (ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text("utf-8")
        assert f"python: {PYTHONS}".replace("'", '"') in text
    container = (ROOT / "Containerfile").read_text("utf-8")
    assert re.search(r"^FROM docker\.io/library/python:(\d\.\d+)-slim$", container, re.MULTILINE)[1] in PYTHONS


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
