"""What ran, on what, when and with which versions: from the records, so that rendering twice says the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from medaug_keras.looks import Line, Looks
from medaug_keras.plan import Plan, Task
from medaug_keras.report import format
from medaug_keras.report.numbers.results import METRICS, STATE_WORDS, Results, Run, select_words
from medaug_keras.store import Outcome, Record


def environment(done: Run, *, show_host: bool) -> list[tuple[str, str]]:
    """When and with what a done run was made, as the engine recorded it; `show_host` adds the machine's name."""
    run = (done.parts[0].record if done.parts and done.parts[0].record else done.record).run
    found = []
    started, spent = done.times(lambda record: record.run.get("started")), done.times(lambda record: record.spent)
    if started:
        found.append(("Started", moment(min(started))))
    if spent:
        found.append(("Took", format.seconds(sum(spent))))
    for key, title in (("device", "Device"), ("processor", "Processor"), ("threads", "Threads"), ("system", "System")):
        if run.get(key):
            found.append((title, str(run[key])))
    if show_host:
        found.append(("Host", str(run.get("host", ""))))
    versions = {"Python": run.get("python", ""), **run.get("packages", {})}
    found.append(("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    return found


def moment(seconds: float) -> str:
    """Seconds since 1970 → 2026-11-22 20:51 UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def latest(results: Results) -> str:
    """The day of the newest result, such as 22 November 2026; empty while there is none."""
    ended = [end for outcome in results.outcomes.values() if outcome.record and (end := _end(outcome.record))]
    if not ended:
        return ""
    day = datetime.fromtimestamp(max(ended), UTC)
    return f"{day.day} {day:%B %Y}"


Expected = Callable[[Mapping[str, Task], Mapping[str, Outcome]], float | None]
"""Tasks to do, and the outcome of every task → seconds that they take in one process; None if unknown."""


@dataclass(frozen=True)
class Standing:
    """Progress of the requested part, and of the rest of the study."""

    partial: bool
    """Whether only a part of the study was requested."""
    states: Mapping[str, int]
    """State → number of requested tasks."""
    sentences: tuple[str, ...]


def standing(results: Results, asked: Plan, expected: Expected | None) -> Standing:
    """The state of the requested part, the rest of the study in one sentence, and when the newest result arrived."""
    rest = {name: task for name, task in results.plan.tasks.items() if name not in asked.tasks}
    sentences = []
    if rest:
        counts = results.states_of(rest)
        counted = format.together(f"{format.count(number)} {STATE_WORDS[s]}" for s, number in counts.items())
        sentences.append(f"The rest of the study: {format.plural(len(rest), 'task')}, {counted}.")
    left = [name for name in results.plan.tasks if results.outcomes[name].state != "done"]
    runs = len({run.task for run in results.runs if not run.done})
    if 0 < runs < len(left):
        sentences.append(
            f"{format.plural(len(left), 'task')} of the study {'is' if len(left) == 1 else 'are'} not done: "
            f"{format.plural(runs, 'run')}, and {format.count(len(left) - runs)} that runs need or that judge them or "
            "their images."
        )
    ended = [_end(outcome.record) for outcome in results.outcomes.values() if outcome.record is not None]
    if any(ended):
        sentences.append(f"As of {moment(max(filter(None, ended)))}, when the newest result arrived.")
    to_do = {name: task for name, task in results.plan.tasks.items() if results.outcomes[name].state != "done"}
    if expected is not None and to_do and any(ended):
        parts = [("Left" if rest else "Left of the study", {n: t for n, t in to_do.items() if n in asked.tasks})]
        parts += [("Left of the rest", {n: t for n, t in to_do.items() if n in rest})]
        sentences += [_left(word, expected(tasks, results.outcomes)) for word, tasks in parts if tasks]
    return Standing(bool(rest), results.states_of(asked.tasks), tuple(sentences))


def _left(word: str, seconds: float | None) -> str:
    if seconds is None:
        return f"{word}: not known before one task of each kind is done."
    return f"{word}: about {format.seconds(seconds)} of one process."


def _end(record: Record) -> float | None:
    """When a task finished, in seconds since 1970."""
    return record.run["started"] + record.run.get("seconds", 0) if "started" in record.run else None


def registered(one: Line) -> str:
    """When a study was registered, and whether there were results by then."""
    return f"{how_registered(one)}, {moment(one.time)}, study {one.study[:16]}"


def how_registered(one: Line) -> str:
    """Whether there were results when a study was registered."""
    if not one.done:
        return "before its results"
    return f"when {format.part(one.done, one.runs, 'run')} had a result"


def others_registered(looks: Looks) -> list[str]:
    """What the log says of other designs of a study, and of what was known when it was registered; in sentences."""
    one, found = looks.registered, []
    for designs, when in ((looks.earlier, "earlier" if one else ""), (looks.later, "later")):
        if not designs:
            continue
        many = "Another design" if len(designs) == 1 else f"{format.count(len(designs))} other designs"
        said = [f"{registered(of)} (what differs: {'; '.join(changed(of, looks.now))})" for of in designs[:4]]
        more = f"; and {format.count(len(designs) - 4)} more" if len(designs) > 4 else ""
        head = f"{many} of this study {'was' if len(designs) == 1 else 'were'} registered {when}".rstrip()
        found.append(f"{head}: {'; '.join(said)}{more}.")
    if one is None:
        return found
    if one.others:
        found.append(
            f"When this design was registered, the results folder had {format.plural(one.others, 'trained network')} "
            f"that {'is' if one.others == 1 else 'are'} not of it."
        )
    elif one.others is None and looks.earlier:
        found.append(
            "Whether the results folder had results of other designs when this one was registered is not known: an "
            "earlier version noted it."
        )
    if looks.first_looks:
        own = sum(look.study == one.study for look in looks.first_looks)
        whose = {0: "other designs of this study", len(looks.first_looks): "this design"}
        found.append(
            f"The log has {format.plural(len(looks.first_looks), 'look')} from before this registration, at results of "
            f"{whose.get(own, 'this and other designs of this study')}."
        )
    return found


def margin_since(looks: Looks) -> str:
    """What the log says of today's margin, to follow “a margin”: that it was set or changed after a registration or
    after results were seen; empty where it says nothing of the kind."""
    one, now = looks.registered, looks.now
    if one is None and any(changed(of, now) == [_MARGIN] for of in looks.earlier):
        return "that is not the registered one"
    seen = looks.first_looks if one is not None else looks.before
    if any(changed(of, now) == [_MARGIN] for of in seen if of.study != now.study):
        return "that was set after results had been looked at with another one, or with none"
    return ""


def changed(then: Line, now: Line) -> list[str]:
    """What of a study is another than in an entry of the log, as far as it tells; arms count on each data set."""
    found = []
    if then.primary != now.primary:
        found.append(
            f"metric, {format.in_sentence(METRICS[then.primary])} then, {format.in_sentence(METRICS[now.primary])} now"
        )
    if then.select != now.select:
        found.append(f"epoch, {select_words(then.select)} then, {select_words(now.select)} now")
    before, today = ({family.against: set(family.arms) for family in one.families} for one in (then, now))
    if before.keys() != today.keys():
        return [*found, "data sets, baseline, or how the baseline is made"]
    more = sum(len(today[name] - before[name]) for name in today)
    fewer = sum(len(before[name] - today[name]) for name in today)
    if more or fewer:
        counted = ((more, "new or changed"), (fewer, "gone or changed"))
        found.append(
            f"arms, over all data sets {format.together(f'{format.count(n)} {word}' for n, word in counted if n)}"
        )
    replicates = [one.runs / max(1, sum(len(f.arms) + 1 for f in one.families)) for one in (then, now)]
    if replicates[0] != replicates[1]:
        found.append(f"replicates, {replicates[0]:g} then, {replicates[1]:g} now")
    return found or [_MARGIN]


_MARGIN = "margin"


def circumstances(results: Results, asked: Plan) -> list[tuple[str, str]]:
    """What ran, on what, when and with which versions: over all finished tasks of the study."""
    records = [outcome.record for outcome in results.outcomes.values() if outcome.record is not None]
    study = results.study
    shown = [name for name in results.datasets if name in asked.data]
    more = len(results.datasets) - len(shown)
    found = [
        (
            "Data sets",
            format.together(results.title(name) for name in shown)
            + (f"; {more} more in the rest of the study" if more else ""),
        ),
        (
            "Arms",
            f"{len(results.variants())}: {format.together(results.variant(*pair) for pair in results.variants())}",
        ),
        ("Replicates", format.count(results.replicates)),
        ("Epoch shown", select_words(results.select)),
        ("Compared with", results.variant(*results.reference) if results.reference[0] in study.arms else "–"),
    ]
    one, others = results.looks.registered, others_registered(results.looks)
    if one is not None or others:
        said = registered(one) if one is not None else "not as it is now"
        found.append(("Registered", " ".join([f"{said}.", *others]) if others else said))
    if not records:
        return found
    started = [r.run["started"] for r in records if "started" in r.run]
    ended = [end for r in records if (end := _end(r)) is not None]
    if started:
        found.append(("Run", f"{moment(min(started))} to {moment(max(ended))}"))
    total = sum(r.spent or 0 for r in records)
    found.append(("Time in tasks", format.seconds(total)))
    if study.precision != "float32":
        found.append(("Precision", study.precision))
    for key, title in (("device", "Device"), ("processor", "Processor")):
        words = sorted({str(r.run[key]) for r in records if r.run.get(key)})
        if words:
            found.append((title, "; ".join(words)))
    versions: dict[str, set[str]] = {}
    for record in records:
        for name, version in {"Python": record.run.get("python", ""), **record.run.get("packages", {})}.items():
            versions.setdefault(name, set()).add(version)
    found.append(("Versions", ", ".join(f"{name} {' and '.join(sorted(v))}" for name, v in versions.items())))
    return found
