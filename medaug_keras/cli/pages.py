"""The report and its site, during a run and at its end."""

import argparse
import csv
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from medaug_keras import worker
from medaug_keras.counts import plural
from medaug_keras.durations import Durations, counted
from medaug_keras.ownership import NotOursError, read_note
from medaug_keras.places import MOVED, check_places, site_of
from medaug_keras.plan import Plan, Task
from medaug_keras.spec import Study
from medaug_keras.store import Outcome, Store

from .mistakes import ReportError, SiteError, is_crash, named, refusal
from .options import report_words

LIVE = "MEDAUG_LIVE"
"""Set in the environment of a process that renders pages during a run: nobody asked for them, so no look is logged."""

SERVE = "NO_MKDOCS_2_WARNING=1 mkdocs serve"
"""The command that serves the site; it begins with what silences the theme's announcement, the first thing said."""


def check_report(options: argparse.Namespace, study: Study) -> None:
    """Raises NotOursError where a report would cost or publish what this program did not make."""
    site = None if getattr(options, "no_site", False) else site_of(options.docs, options.site)
    places = {"docs": options.docs, "site": site, "results": options.results, "data": options.data}
    check_places(study, file=options.study, **places)
    file = _single_file(options, study)
    if file is not None:
        from medaug_keras.report import check_single_file

        check_single_file(file, {f"--{name}": place for name, place in places.items() if place and name != "data"})


def _single_file(options: argparse.Namespace, study: Study) -> Path | None:
    """The file that all pages go to, if one is asked for."""
    file: Path | None = getattr(options, "single_file", None)
    return Path(f"{study.name}.html") if file == Path() else file


def render(
    options: argparse.Namespace,
    study: Study,
    whole: Plan,
    asked: Plan,
    store: Store,
    beside: tuple[Study, Plan] | None,
    *,
    anew: bool,
) -> str:
    """Write the pages, build the site unless told not to; returns their answer and where they are. Raises ReportError.

    `asked` is the part of the study that the first page speaks of first. Unless `anew`, pages are left alone whose
    inputs are what they were.
    """
    from medaug_keras import report
    from medaug_keras.report.format import bytes_

    def expected(tasks: Mapping[str, Task], outcomes: Mapping[str, Outcome]) -> float | None:
        return Durations.of(whole, outcomes).total(counted(tasks.values()))

    site = site_of(options.docs, options.site)
    with _explained("The report could not be made", options):
        pages = report.render(
            study,
            whole,
            store,
            options.docs,
            beside=beside,
            asked=asked,
            expected=expected,
            anew=anew,
            look=LIVE not in os.environ,
            show_host=options.show_host,
            file=options.study,
            say=_say,
        )
    assets, index = pages.parent / "assets", pages.parent / "index.md"
    note = read_note(assets)
    made = [options.results, pages, assets, *([index] if note and "index" in note.about else [])]
    if options.no_site:
        said = f"Pages: {pages}"
    else:
        from mkdocs.exceptions import MkDocsException

        there = f"The pages are in {pages}, but the site could not be built from them"
        with _explained(there, options):
            try:
                report.build_site(options.docs, site, anew=anew, say=_say)
            except MkDocsException as error:
                raise SiteError(f"{there}. MkDocs says: {error}\nLook at mkdocs.yml, or use --no-site.") from error
        serve = f", or: {SERVE}" if report.own_configuration() else ""
        said = f"Report: {_shown(site)}/studies/{study.name}/index.html (double-click it{serve})"
        made.append(site)
    single = _single_file(options, study)
    if single is not None:
        with _explained(f"The pages are in {pages}, but {single} could not be written", options):
            report.single_file(options.docs, study.name, single)
        said += f"\nTo send: {_shown(single)} ({bytes_(single.stat().st_size)}, all pages but those of single runs)"
        made.append(single)
    crash = options.results / "failures" / "report.txt"
    if is_crash(crash):  # of an earlier attempt
        with suppress(OSError):
            crash.unlink()
    answer = json.loads((pages / "data" / "study.json").read_bytes())["answer"]
    return "\n".join([*answer, said, f"Written: {', '.join(map(_shown, made))}"])


def _say(text: str) -> None:
    """Print at once: a process that renders pages during a run can be ended at any time."""
    print(text, file=sys.stderr, flush=True)


def fewer_than_shown(options: argparse.Namespace, study: Study, whole: Plan) -> str:
    """What to say where the pages that are there show more finished runs than there are now; empty where they do not.

    A result that was changed counts as there: the pages are to say that it is damaged.
    """
    pages = options.docs / "studies" / study.name
    try:
        with open(pages / "data" / "runs.csv", newline="", encoding="utf-8") as file:
            shown = sum(row.get("status") == "done" for row in csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return ""
    store = Store(options.results)
    there = sum(store.is_done(run.task) for run in whole.runs)
    if there >= shown:
        return ""
    runs = plural(shown, "finished run")
    return f"The pages in {pages} show {runs}; of this study as it is asked for now, {options.results} has {there}."


@contextmanager
def _explained(what: str, options: argparse.Namespace) -> Iterator[None]:
    """Turn an unexpected error into a ReportError."""
    try:
        yield
    except (SiteError, NotOursError):
        raise
    except Exception as error:
        if refusal(error) is not None:
            raise
        again = shlex.join(["python", "-m", "medaug_keras", *report_words(options)])
        raise ReportError(
            f"{what}: {named(error)}\nNo result is lost: they are in {options.results}. To try again: {again}"
        ) from error


def _shown(path: Path) -> str:
    """A path as short as it can be from here."""
    here = Path.cwd()
    path = Path(os.path.abspath(path))
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


class LivePages:
    """Renders the pages while the study runs, in a process of its own, never more than a tenth of the time."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.command = worker.command(*report_words(options), "--no-site")
        self.process: subprocess.Popen[bytes] | None = None
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 - `finish` closes it
        self.started, self.next = 0.0, time.monotonic() + 10

    def changed(self) -> None:
        """After a result: render, if the last rendering was long enough ago."""
        now = time.monotonic()
        if self.process is not None:
            if self.process.poll() is None:
                return
            self.next = now + 9 * (now - self.started)
            self.process = None
        if now >= self.next:
            self.started = now
            self.process = subprocess.Popen(
                self.command,
                stdout=subprocess.DEVNULL,
                stderr=self.said,
                env=os.environ | {LIVE: "1"},
            )

    def finish(self) -> None:
        """End a rendering that is still running, and report the files of others that it moved."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        with self.said:
            self.said.seek(0)
            for line in dict.fromkeys(self.said.read().decode(errors="replace").splitlines()):
                if line.startswith(MOVED):  # the report at the end says the rest again
                    _say(line)
