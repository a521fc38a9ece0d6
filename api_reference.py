"""The page reference/python.md of the site, made of the docstrings of public names when MkDocs builds it.

Source files are read, not imported, so that the texts below the fields of classes are seen too.
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PACKAGE = Path(__file__).parent / "medaug_keras"
PAGE = "reference/python.md"

MODULES: dict[str, tuple[str, ...]] = {
    "api": (),
    "classifiers": (),
    "generators": (),
    "generators.fitting": ("TrainingData", "Recipe", "Trained"),
    "augmentation": ("augmentation", "labels_to_make", "copies"),
    "data": (
        "DataError",
        "Dataset",
        "Split",
        "load_medmnist",
        "load_npz",
        "load_folder",
        "load_table",
        "load_made",
        "load_phantom",
    ),
    "evaluation": (),
    "stats": (),
}
"""Module → its names that are listed; all public ones where none is named."""
CALLED = {"api": "medaug_keras"}
"""Module → as what its names are imported, where that is not its own name."""

_HEAD = """# Python

What can be imported and stays: names that are not on this page may change without notice.
[In a notebook](../how-to/notebook.md) shows them at work. This page is made of the docstrings; arrays are NumPy's, and
shapes stand in brackets.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to the site: MkDocs calls this."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for name, chosen in MODULES.items():
        tree = _tree(_file(name))
        called = CALLED.get(name, f"medaug_keras.{name}")
        parts.append(f"## {called}\n\n{_text(ast.get_docstring(tree) or '')}\n")
        for public in chosen or _public(tree):
            node = _found(name, public)
            if node is not None:
                parts += _entry(node, f"{called.rpartition('.')[2]}.{public}" if name != "api" else f"ma.{public}")
    return "\n".join(parts).rstrip() + "\n"


def missing() -> list[str]:
    """Public functions and classes on the page without a docstring."""
    return re.findall(r"^### (.*)\n\n```py\n(?:.*\n)*?```\n\n(?=#|\Z)", page(), re.MULTILINE)


def _file(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _public(tree: ast.Module) -> list[str]:
    """The names of `__all__`, or those that a module defines, in the order of the file."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return list(ast.literal_eval(node.value))
    defined = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    return [node.name for node in defined if not node.name.startswith("_")]


def _found(module: str, name: str) -> ast.FunctionDef | ast.ClassDef | None:
    """Where a name is defined, whichever module of ours it is imported from; None where it is a value."""
    tree = _tree(_file(module))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("medaug_keras."):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _found((node.module or "").removeprefix("medaug_keras."), alias.name)
    return None


def _entry(node: ast.FunctionDef | ast.ClassDef, called: str, level: int = 3) -> Iterator[str]:
    yield f"{'#' * level} {called}\n"
    if isinstance(node, ast.FunctionDef):
        yield f"```py\n{_signature(node)}\n```\n"
        yield f"{_text(ast.get_docstring(node) or '')}\n"
        return
    fields = list(_fields(node))
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    yield f"```py\nclass {node.name}{f'({bases})' if bases else ''}\n```\n"
    yield f"{_text(ast.get_docstring(node) or '')}\n"
    if fields:
        yield "| | | |\n| --- | --- | --- |\n" + "".join(
            f"| `{name}` | `{kind.replace('|', 'or')}` | {_text(said)} |\n" for name, kind, said in fields
        )
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_") and ast.get_docstring(inner):
            yield from _entry(inner, f"{called}.{inner.name}", level + 1)


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Name, type and text of each field of a data class."""
    for one, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and not one.target.id.startswith("_"):
            said = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            yield one.target.id, ast.unparse(one.annotation), " ".join(str(said).split())


def _signature(node: ast.FunctionDef) -> str:
    parts = list(_parameters(node.args))
    result = f" -> {ast.unparse(node.returns)}".replace("'", "") if node.returns else ""
    if {ast.unparse(one) for one in node.decorator_list} & {"property", "cached_property"}:
        return f"{node.name}{result}"
    line = f"{node.name}({', '.join(parts)}){result}"
    return line if len(line) <= 100 else f"{node.name}(\n" + "".join(f"    {one},\n" for one in parts) + f"){result}"


def _parameters(found: ast.arguments) -> Iterator[str]:
    """Each parameter as it is written, and the star before those that are given by name."""
    plain = [one for one in (*found.posonlyargs, *found.args) if one.arg not in ("self", "cls")]
    defaults = [None] * (len(plain) - len(found.defaults)) + list(found.defaults)
    for one, default in zip(plain, defaults, strict=True):
        yield f"{ast.unparse(one)} = {ast.unparse(default)}" if default else ast.unparse(one)
    if found.vararg or found.kwonlyargs:
        yield f"*{ast.unparse(found.vararg) if found.vararg else ''}"
    for one, default in zip(found.kwonlyargs, found.kw_defaults, strict=True):
        yield f"{ast.unparse(one)} = {ast.unparse(default)}" if default else ast.unparse(one)
    if found.kwarg:
        yield f"**{ast.unparse(found.kwarg)}"


def _text(docstring: str) -> str:
    """A docstring as Markdown: what is not `code` is words."""
    text = textwrap.dedent(docstring)
    pieces = re.split(r"(`[^`\n]*(?:\n[^`\n]*)?`)", text)
    return "".join(one if one.startswith("`") else _words(one) for one in pieces).strip()


def _words(text: str) -> str:
    text = text.replace("<", "&lt;")
    return re.sub(r"(?<!^)([*_\[\]|])", r"\\\1", text)
