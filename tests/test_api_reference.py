"""The page on Python is made of the docstrings, and has everything that is public."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from mkdocs.config import load_config
from mkdocs.structure.files import get_files

import api_reference
import medaug_keras as ma


def test_the_site_has_the_page_and_leads_to_it():
    config = load_config(str(Path(__file__).parent.parent / "mkdocs.yml"))
    files = config.plugins.run_event("files", get_files(config), config=config)
    found = files.get_file_from_path(api_reference.PAGE)
    assert found is not None
    assert found.content_string == api_reference.page()
    assert f"Python: {api_reference.PAGE}" in (Path(config.config_file_path)).read_text("utf-8")


def test_everything_on_it_has_a_docstring():
    assert api_reference.missing() == []


@pytest.mark.parametrize("module", ["api", "classifiers", "evaluation", "generators", "stats"])
def test_every_public_function_and_class_has_its_heading_and_its_arguments(module: str):
    page, found = api_reference.page(), importlib.import_module(f"medaug_keras.{module}")
    names = getattr(found, "__all__", None) or [
        name
        for name, value in vars(found).items()
        if getattr(value, "__module__", "") == found.__name__ and name[0] != "_"
    ]
    for name in names:
        value = getattr(found, name)
        if not (inspect.isfunction(value) or inspect.isclass(value)):
            continue
        called = f"ma.{name}" if module == "api" else f"{module}.{name}"
        said = re.search(rf"^### {re.escape(called)}\n\n```py\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
        assert said, called
        if inspect.isfunction(value):
            assert all(argument in said[1] for argument in inspect.signature(value).parameters), called


def test_what_a_notebook_gets_is_on_it():
    page = api_reference.page()
    assert all(f"### ma.{name}\n" in page for name in ma.api.__all__ if name != "Asked")
