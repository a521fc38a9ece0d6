"""BibTeX of the methods that a study uses and of this software. Data sets bring their own with their records."""

from collections.abc import Collection
from typing import Any

from medaug_keras.generators import GENERATORS
from medaug_keras.report.pages.book import Book

BIBTEX = {
    "sohn2015cvae": """@inproceedings{sohn2015cvae,
  title = {Learning Structured Output Representation using Deep Conditional Generative Models},
  author = {Sohn, Kihyuk and Lee, Honglak and Yan, Xinchen},
  booktitle = {Advances in Neural Information Processing Systems}, volume = {28}, year = {2015}
}""",
    "dupont2018jointvae": """@inproceedings{dupont2018jointvae,
  title = {Learning Disentangled Joint Continuous and Discrete Representations},
  author = {Dupont, Emilien},
  booktitle = {Advances in Neural Information Processing Systems}, volume = {31}, year = {2018}
}""",
    "mirza2014cgan": """@misc{mirza2014cgan,
  title = {Conditional Generative Adversarial Nets},
  author = {Mirza, Mehdi and Osindero, Simon},
  year = {2014}, eprint = {1411.1784}, archivePrefix = {arXiv}
}""",
    "miyato2018projection": """@inproceedings{miyato2018projection,
  title = {{cGANs} with Projection Discriminator},
  author = {Miyato, Takeru and Koyama, Masanori},
  booktitle = {International Conference on Learning Representations}, year = {2018}
}""",
    "jolicoeur2019relativistic": """@inproceedings{jolicoeur2019relativistic,
  title = {The relativistic discriminator: a key element missing from standard {GAN}},
  author = {Jolicoeur-Martineau, Alexia},
  booktitle = {International Conference on Learning Representations}, year = {2019}
}""",
}
"""Key → entry, of everything that a kind of generator may cite."""
_STATISTICS = """@article{obuchowski1995,
  title = {Hypothesis testing of diagnostic accuracy for multiple readers and multiple tests: an {ANOVA} approach with
           dependent observations},
  author = {Obuchowski, Nancy A. and Rockette, Howard E.},
  journal = {Communications in Statistics - Simulation and Computation}, volume = {24}, number = {2},
  pages = {285--308}, year = {1995}
}

@article{holm1979,
  title = {A simple sequentially rejective multiple test procedure},
  author = {Holm, Sture},
  journal = {Scandinavian Journal of Statistics}, volume = {6}, number = {2}, pages = {65--70}, year = {1979}
}"""


def methods(generators: Collection[str], *, statistics: bool) -> list[tuple[str, str]]:
    """(what, BibTeX) of the study's generators by kind, and of the tests where any were made."""
    found = [
        (kind.title, "\n\n".join(BIBTEX[key] for key in kind.citations))
        for name, kind in GENERATORS.items()
        if name in generators and kind.citations
    ]
    if statistics:
        found.append(("Crossed replicates × images analysis, and the correction for many tests", _STATISTICS))
    return found


def software(versions: Collection[str]) -> str:
    """This software, in the versions that made the study's records."""
    version = f",\n  version = {{{', '.join(sorted(versions))}}}" if versions else ""
    title = "medaug-keras: does this data augmentation help, by how much, and how sure can I be?"
    return f"@software{{medaug_keras,\n  title = {{{title}}}{version}\n}}"


def cite(book: Book) -> dict[str, Any]:
    """What to cite, and under which licence the data are."""
    entries: dict[str, list[str]] = {}
    for name in book.results.datasets:
        record = book.results.data(name).record
        for entry in (record.values.get("citation") or "").split("\n\n") if record else ():
            if entry.strip():
                entries.setdefault(entry.strip(), []).append(book.results.title(name))
    kinds = {spec.kind for spec in book.results.study.generators.values()}
    records = [outcome.record for outcome in book.results.outcomes.values() if outcome.record is not None]
    return {
        "data": list(entries.items()),
        "licences": [
            (book.results.title(n), record.values.get("licence") or "not stated")
            for n in book.results.datasets
            if (record := book.results.data(n).record) is not None
        ],
        "methods": [
            *((f"What this study repeats or extends: {r.title}", r.citation) for r in book.results.references),
            *methods(kinds, statistics=book.results.replicates > 1),
        ],
        "software": software(
            {r.run["packages"]["medaug-keras"] for r in records if "medaug-keras" in r.run.get("packages", {})}
        ),
    }
