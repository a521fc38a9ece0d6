"""Shows how a run goes: one line for the study and one for each running task, or plain lines when not a terminal."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from medaug_keras.durations import Durations, counted, duration
from medaug_keras.engine import Event
from medaug_keras.plan import Plan, Task

if TYPE_CHECKING:  # Rich is imported only for a terminal
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text


class Progress:
    """Listens to the engine. Use it as a context."""

    def __init__(
        self,
        plan: Plan,
        *,
        done: set[str],
        durations: Durations,
        workers: int,
        quiet: bool,
        out: TextIO = sys.stderr,
    ) -> None:
        self.plan, self.workers, self.quiet, self.out = plan, workers, quiet, out
        self.done = set(done)
        self.given_up: set[str] = set()
        self.durations = durations
        # Kind and size of task → how many are left. Kept up to date: there may be ten thousand tasks.
        self.left = counted(task for name, task in plan.tasks.items() if name not in self.done)
        self.running: dict[str, tuple[Task, float, str]] = {}
        self.live = _live(out, self._lines) if out.isatty() and not quiet else None

    def __enter__(self) -> Self:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def __call__(self, event: Event) -> None:
        """Record an event and show it."""
        name = event.task.id
        if event.what == "start":
            self.running[name] = (event.task, time.monotonic(), "")
        elif event.what in ("epoch", "message", "silent"):
            if name in self.running:
                task, started, _ = self.running[name]
                self.running[name] = (task, started, event.text or self._epoch(event))
            if event.what != "epoch":
                self._say(f"{event.task.title}: {event.text}", always=event.what == "silent")
        elif event.what == "done":
            _, started, _ = self.running.pop(name)
            self.durations.learn(event.task, time.monotonic() - started)
            self.done.add(name)
            self._take(event.task)
            self._say(f"{self._count()} {event.task.title}: done in {time.monotonic() - started:.1f} s{self._left()}")
        elif event.what == "found":
            self.running.pop(name, None)
            self.done.add(name)
            self._take(event.task)
            self._say(f"{self._count()} {event.task.title}: done by another run")
        elif event.what in ("busy", "stopped"):
            self.running.pop(name, None)
            if event.what == "stopped":
                self._say(f"{event.task.title}: {event.text}; nothing more is started", always=True)
        else:
            self.running.pop(name, None)
            self.given_up.add(name)
            self._take(event.task)
            word = "FAILED" if event.what == "failed" else "blocked"
            self._say(
                f"{self._count()} {event.task.title}: {word} {event.text}".rstrip(), always=event.what == "failed"
            )

    def _say(self, line: str, *, always: bool = False) -> None:
        if self.live is not None:
            if always:
                self.live.console.print(line, markup=False, highlight=False)
        elif always or not self.quiet:
            print(line, file=self.out, flush=True)

    def _count(self) -> str:
        total = len(self.plan.tasks)
        return f"[{len(self.done) + len(self.given_up):{len(str(total))}}/{total}]"

    def _take(self, task: Task) -> None:
        """One task less is left."""
        for what in counted([task]):
            self.left[what] -= 1

    def _left(self) -> str:
        seconds = self.durations.left(self.left, self.workers)
        return f", about {duration(seconds)} left" if seconds else ""

    def _epoch(self, event: Event) -> str:
        shown = [("loss", "loss"), ("val_loss", "val_loss"), ("val_accuracy", "validation accuracy")]
        parts = [f"{text} {event.logs[name]:.4g}" for name, text in shown if name in event.logs]
        epochs = self._epochs(event.task)
        return "  ".join([f"epoch {event.epoch} of {epochs}" if epochs else f"epoch {event.epoch}", *parts])

    def _epochs(self, task: Task) -> int:
        """How many epochs a task trains at most; 0 where that is not known."""
        training = task.params["settings"]
        classes = self.plan.sources[task.dataset].classes if training.get("per_class") else 1
        return int(training["epochs"]) * classes

    def _lines(self, console: "Console") -> "Text":
        """What fits on the terminal: long lines wrap, and tasks that find no room are counted."""
        from rich.text import Text

        room = console.height - 1
        shown = [Text(f"{self._count()} tasks{self._left()}", overflow="fold")]
        tasks = list(self.running.values())
        for number, (task, started, text) in enumerate(tasks):
            shown.append(Text(f"  {task.title}  {text}  {duration(time.monotonic() - started)}", overflow="fold"))
            if sum(len(one.wrap(console, console.width)) for one in shown) > room - (number + 1 < len(tasks)):
                shown[-1] = Text(f"  and {len(tasks) - number} more")
                break
        return Text("\n", overflow="fold").join(shown)


def _live(out: TextIO, lines: Callable[["Console"], "Text"]) -> "Live":
    from rich.console import Console
    from rich.live import Live

    console = Console(file=out)
    return Live(console=console, refresh_per_second=4, get_renderable=lambda: lines(console))
