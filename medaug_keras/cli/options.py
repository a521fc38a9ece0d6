"""The command line: verbs, options, their defaults and help."""

import argparse
import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path

from medaug_keras import gpus
from medaug_keras.reading.strict_yaml import near
from medaug_keras.reading.words import did_you_mean

from .mistakes import RequestError

STARTS = {
    "demo": "demo.yaml",
    "example": "example.yaml",
    "own-images": "own-data.yaml",
    "paper": "paper.yaml",
    "as-published": "as-published.yaml",
    "medmnist-benchmark": "medmnist-benchmark.yaml",
    "medmnist-augmented": "medmnist-augmented.yaml",
}
"""What `init` can start from → its file in the package's folder `studies`."""
FILTERS = ("dataset", "arm", "sampling", "replicate", "task")

_EXAMPLES = """examples:
  python -m medaug_keras init my-study         # a folder with a study
  python -m medaug_keras studies/demo.yaml     # small, needs no download
  python -m medaug_keras study.yaml            # a published study, repeated
  python -m medaug_keras study.yaml --only dataset=breastmnist --only arm=gda
  python -m medaug_keras study.yaml --set classifier.epochs=2 --replicates 1
  python -m medaug_keras check study.yaml      # what is wrong or odd
  python -m medaug_keras plan study.yaml       # what is to do, and for how long
  python -m medaug_keras explain study.yaml breastmnist/gda/weighted/0
  python -m medaug_keras reproduce study.yaml breastmnist/gda/weighted/0

exit codes: 0 all done; 1 some of it could not be done; 2 the request is wrong;
  130 interrupted"""


def parser() -> argparse.ArgumentParser:
    """The command line's verbs and options, with their help."""
    program = argparse.ArgumentParser(
        prog="python -m medaug_keras",
        description="Does this data augmentation help, on my medical images, by how much, and how sure can I be?",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = program.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str, example: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=f"example:\n  python -m medaug_keras {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name not in ("init", "schema"):
            _study_options(added)
        return added

    run = verb("run", "run a study and make its report (the verb may be left out)", "study.yaml --replicates 1")
    run.add_argument("--only", action="append", default=[], metavar="NAME=VALUE", help=_ONLY)
    run.add_argument("--workers", type=_positive, help="processes (default: one a core; with GPUs, see the next)")
    run.add_argument(
        "--workers-per-gpu",
        type=_positive,
        metavar="N",
        help=f"processes that share a GPU, where there are GPUs (default: {gpus.WORKERS_PER_GPU})",
    )
    run.add_argument(
        "--scheduler", metavar="ADDRESS", help="use a Dask cluster, as tcp://host:8786, or its scheduler's file (.json)"
    )
    run.add_argument(
        "--repair", action="store_true", help="check every file of what is done; set aside and remake what was changed"
    )
    _report_options(run)
    run.add_argument("--quiet", action="store_true", help="print errors only")
    checked = verb("check", "say what is wrong with a study and its data", "check study.yaml")
    checked.add_argument(
        "--audit",
        type=_folder,
        metavar="DIR",
        help="write into this folder, for each data set, which images to leave out (`drop`) so that no split knows "
        "another, comparing anew after each that is left out; and which are the same, or nearly, and of two classes",
    )
    planned = verb("plan", "say what is done, what is to do and how long it takes", "plan study.yaml --json")
    planned.add_argument("--json", action="store_true", help="every task, for scripts")
    planned.add_argument(
        "--register", action="store_true", help="note the study and the time in the results folder, before its results"
    )
    planned.add_argument(
        "--power",
        action="store_true",
        help="also which differences the study could show, how many replicates a wanted one needs, and what they cost",
    )
    planned.add_argument(
        "--difference",
        type=_points,
        metavar="POINTS",
        help="the wanted one, for --power (default: the study's margin, or 1)",
    )
    planned.add_argument("--only", action="append", default=[], metavar="NAME=VALUE", help=_ONLY)
    planned.add_argument("--workers", type=_positive, default=gpus.CORES, help="for the expected time")
    why = verb("explain", "say why a task would run", "explain study.yaml breastmnist/gda/weighted/0")
    why.add_argument("task", metavar="TASK", help="a task's id, or DATASET/ARM/SAMPLING/REPLICATE")
    rendered = verb("report", "make the pages and the site from what is there", "report study.yaml")
    rendered.add_argument("--only", action="append", default=[], metavar="NAME=VALUE", help=_ONLY)
    _report_options(rendered)
    rendered.add_argument(
        "--single-file",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FILE.html",
        help="also write the study's pages as one HTML file to send, without single runs (default: NAME.html)",
    )
    again = verb(
        "reproduce",
        "make a run again elsewhere, and say whether it is the one that is kept",
        "reproduce study.yaml breastmnist/gda/weighted/0",
    )
    again.add_argument("run", metavar="RUN", help="DATASET/ARM/SAMPLING/REPLICATE, or a task's id")
    again.add_argument(
        "--keep", type=_folder, metavar="DIR", help="make it in this new folder, which stays (default: a temporary one)"
    )
    again.add_argument(
        "--kept-needs", action="store_true", help="copy what the run needs from the results; make only itself again"
    )
    again.add_argument("--workers", type=_positive, help="processes (default: one a core)")
    again.add_argument("--quiet", action="store_true", help="print errors and what came out only")
    again.set_defaults(scheduler=None, workers_per_gpu=None)
    new = verb("init", "write a study to start from into a folder", "init my-study --from own-images")
    new.add_argument("folder", type=_folder, metavar="FOLDER", help="made where it is missing; no file is overwritten")
    new.add_argument(
        "--from",
        dest="start",
        metavar="START",
        choices=STARTS,
        default="demo",
        help=f"which study to start from: {', '.join(STARTS)} (default: demo)",
    )
    verb("schema", "print the JSON Schema of a study", "schema > study.schema.json")
    return program


_ONLY = "narrow to dataset=, arm=, sampling= or replicate=, or to the very task=; repeatable"
DEFAULTS: dict[str, Callable[[], Path | None]] = {
    "data": lambda: Path(os.path.expanduser(os.environ.get("MEDMNIST_ROOT") or "~/.medmnist")),
    "results": lambda: Path("results"),
    "docs": lambda: Path("docs"),
    "site": lambda: None,
}


def _study_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", type=Path, metavar="STUDY.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting; repeatable")
    parser.add_argument("--replicates", type=_positive, metavar="N", help="instead of the study's number")
    parser.add_argument(
        "--data",
        type=_folder,
        default=DEFAULTS["data"](),
        metavar="DIR",
        help="MedMNIST's files (default: $MEDMNIST_ROOT or ~/.medmnist)",
    )
    parser.add_argument(
        "--results", type=_folder, default=DEFAULTS["results"](), metavar="DIR", help="default: results"
    )
    parser.add_argument("--docs", type=_folder, default=DEFAULTS["docs"](), metavar="DIR", help="default: docs")
    parser.add_argument(
        "--site", type=_folder, default=DEFAULTS["site"](), metavar="DIR", help="default: site, beside the docs folder"
    )
    parser.add_argument(
        "--unverified-data", action="store_true", help="accept MedMNIST files whose MD5 is not the official one"
    )
    parser.add_argument("--allow-code", action="store_true", help="run the Python code of the study's own (builder)")
    parser.set_defaults(only=[])


def _report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-site", action="store_true", help="write the pages but do not build the site")
    parser.add_argument(
        "--replace", action="store_true", help="replace a report that shows more finished runs than there are now"
    )
    parser.add_argument("--show-host", action="store_true", help="name on the pages the machine that made each run")


def _folder(text: str) -> Path:
    folder = Path(os.path.expanduser(text))
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        return folder
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text[:80]}: {error.strerror}") from None
    if not is_folder:
        raise argparse.ArgumentTypeError(f"{text} is a file, not a folder")
    return folder


def _points(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 100:
        raise argparse.ArgumentTypeError(f"expected points above 0 and below 100, got {text!r}")
    return number


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return number


def words_again(options: argparse.Namespace) -> list[str]:
    """The options that decide which study is meant and where its files are."""
    words = []
    for name in ("data", "results", "docs", "site"):
        if getattr(options, name) != DEFAULTS[name]():
            words += [f"--{name}", str(getattr(options, name))]
    for override in options.set:
        words += ["--set", override]
    if options.replicates is not None:
        words += ["--replicates", str(options.replicates)]
    flags = {
        "--unverified-data": "unverified_data",
        "--allow-code": "allow_code",
        "--replace": "replace",
        "--show-host": "show_host",
    }
    return words + [word for word, name in flags.items() if getattr(options, name, False)]


def report_words(options: argparse.Namespace) -> list[str]:
    """The verb `report` and its words, of the same study and the same part of it."""
    single = getattr(options, "single_file", None)
    return [
        "report",
        str(options.study),
        *words_again(options),
        *(f"--only={text}" for text in options.only),
        *([] if single is None else ["--single-file"] if single == Path() else [f"--single-file={single}"]),
    ]


def with_verb(words: list[str], verbs: Collection[str]) -> list[str]:
    """The words with `run` in front where they begin with a study's file. Raises RequestError."""
    if not words or words[0] in verbs or words[0] in ("-h", "--help"):
        return words
    known = Path(words[0]).suffix in (".yaml", ".yml") or os.path.exists(words[0])
    if not words[0].startswith("-") and not known:
        meant = near(Path(words[0][:80]))
        raise RequestError(
            f"{words[0][:80]} is neither a verb nor the .yaml file of a study"
            f"{f'; did you mean {meant}?' if meant else did_you_mean(words[0], verbs)}\n"
            "python -m medaug_keras -h shows examples."
        )
    return ["run", *words]
