"""What ran, on what, when and with which versions: from the records, so that rendering twice says the same."""

from datetime import UTC, datetime

from medaug_keras.store import Record

from . import format
from .results import Results
from .table import select_words


def environment(record: Record, *, show_host: bool) -> list[tuple[str, str]]:
    """When and with what a task was made, as the engine noted it; on which host, if that is asked for."""
    run = record.run
    found = []
    if "started" in run:
        found.append(("Started", moment(run["started"])))
    if "seconds" in run:
        found.append(("Took", format.seconds(run["seconds"])))
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


def circumstances(results: Results) -> list[tuple[str, str]]:
    """What ran, on what, when and with which versions: over all finished tasks of the study."""
    records = [outcome.record for outcome in results.outcomes.values() if outcome.record is not None]
    study = results.study
    found = [
        ("Data sets", format.together(results.title(name) for name in results.datasets)),
        ("Arms", format.together(results.label(arm) for arm in results.arms)),
        ("Replicates", format.count(results.replicates)),
        ("Epoch shown", select_words(results.select)),
        ("Compared with", results.variant(*results.reference) if results.reference[0] in study.arms else "–"),
    ]
    if not records:
        return found
    started = [r.run["started"] for r in records if "started" in r.run]
    ended = [r.run["started"] + r.run.get("seconds", 0) for r in records if "started" in r.run]
    if started:
        found.append(("Run", f"{moment(min(started))} to {moment(max(ended))}"))
    total = sum(r.run.get("seconds", 0) for r in records)
    found.append(("Time in tasks", format.seconds(total)))
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
