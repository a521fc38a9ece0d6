"""A worker process as its parent sees it: started, given a task, listened to, watched while it is silent, ended.

A worker that hangs cannot report it. While it runs a task, a thread of its own therefore sends a heartbeat every
second: a long epoch lets that thread run, native code that spins or waits while it holds Python's lock does not. The
heartbeat carries the processor time used, so a task that waits forever, as for a file system that is gone, is noticed
too.
"""

import concurrent.futures
import contextlib
import functools
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Pipe, wait
from pathlib import Path
from typing import Any

from medaug_keras.durations import duration
from medaug_keras.plan import Task
from medaug_keras.store import Store

BEAT = 1.0  # seconds between two heartbeats
SAY_AFTER = 60.0  # seconds without one until the user is told
END_AFTER = 600.0  # seconds without one until the process is ended; one that was stopped (SIGSTOP) never is
SLOW_AFTER = 120.0  # seconds of a start until the user is told: Torch may be on a slow disk
READY_WITHIN = 600.0  # seconds of a start until the process is ended
IDLE_AFTER = 600.0  # seconds without processor time until the user is told; a process that waits is not ended
_BUSY = 0.01  # a process that uses less of a processor than this waits
_TRACE = "(most recent call first):"  # the first line of faulthandler's traceback
_PLACE = re.compile(r'File "(.*)", line (\d+)')


@dataclass(frozen=True)
class Death:
    """How a worker died."""

    how: str
    killed: bool
    """Whether by SIGKILL, as when the machine runs out of memory."""
    words: str
    """The last lines that it printed; the traceback of a hang, if it hung."""
    run: Mapping[str, Any]
    """When and where it ran."""
    hung: bool = False


class Worker:
    """One process, the pipe to it, and the file with its output. Raises OSError where none can be started.

    Its messages are ("ready", None), then what `engine.attempt` sends and returns for its task; in between come
    ("beat", None) and ("silent", text for the user), and at its end ("died", Death).
    """

    def __init__(self, gpu: str | None = None) -> None:
        self.gpu = gpu
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`; it has no name, so nothing stays behind
        self.pipe, theirs = Pipe()
        environment = {**os.environ, "KERAS_BACKEND": "torch"}
        environment.setdefault("MEDAUG_KERAS_HOME", os.environ.get("KERAS_HOME", ""))  # where weights are, all the same
        environment["KERAS_HOME"] = f"{os.devnull}/keras"  # a keras.json there would change number formats and layouts
        environment["OMP_NUM_THREADS"] = "1"  # two tasks side by side beat one on two cores
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        try:
            self.process = _started(
                command("worker", str(theirs.fileno())),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
                pass_fds=[theirs.fileno()],
            )
        except BaseException:
            self.pipe.close()
            self.log.close()
            raise
        finally:
            theirs.close()
        self.ready = False
        self.task: Task | None = None
        self._begin()

    def _begin(self) -> None:
        self.since = self.heard = self.worked = time.time()
        self.looked = time.monotonic()
        self.silent = self.idle = self.used = 0.0  # seconds; `used` is processor time
        self.said: set[str] = set()

    def give(self, task: Task, store: Store) -> None:
        """Have it run a task. Raises OSError where it is dead."""
        self.pipe.send((task, store))
        self.task = task
        self._begin()

    def next(self, seconds: float) -> tuple[str, Any]:
        """Its next message within so many seconds (a few), or what its silence means."""
        said = self.receive() if wait([self.pipe], seconds) else ("beat", None)
        return said if said[0] != "beat" else self.look()

    def receive(self) -> tuple[str, Any]:
        """Its next message, once its pipe is ready."""
        try:
            what, content = self.pipe.recv()
        except (EOFError, OSError):  # only the worker holds the other end
            self.process.wait()
            return "died", self._death()
        if what == "ready":
            self.ready = True
            self._begin()
        self.silent, self.heard = 0.0, time.time()
        self.said -= {"silent", "stopped"}
        if what != "beat" or content - self.used >= _BUSY * BEAT:
            self.idle, self.worked = 0.0, self.heard
            self.said -= {"idle"}
        if what == "beat":
            self.used, content = content, None
        return what, content

    def look(self) -> tuple[str, Any]:
        """What its silence means. To be called about every second while it starts or has a task."""
        now = time.monotonic()
        passed, self.looked = min(now - self.looked, 2 * BEAT), now  # without time in which this process was stopped
        self.silent += passed
        self.idle += passed
        pid, since = self.process.pid, _clock(self.heard)
        if self.silent >= SAY_AFTER and _is_stopped(pid):  # on purpose, so it is not ended
            self.silent = SAY_AFTER
            return self._say("stopped", f"has been stopped (SIGSTOP) since {since}; kill -CONT {pid} lets it go on")
        if not self.ready:
            if self.silent >= READY_WITHIN:
                return "died", self._given_up(f"was not ready after {duration(READY_WITHIN)}")
            if self.silent >= SLOW_AFTER:
                words = f"was started at {since} and is not ready; after {duration(READY_WITHIN)} it is ended"
                return self._say("starting", words)
        elif self.silent >= END_AFTER:
            return "died", self._given_up(f"gave no sign of life for {duration(END_AFTER)}")
        elif self.silent >= SAY_AFTER:
            return self._say("silent", f"gives no sign of life since {since}; after {duration(END_AFTER)} it is ended")
        elif self.idle >= IDLE_AFTER:
            words = f"does nothing since {_clock(self.worked)}; perhaps a file system or a network does not answer"
            return self._say("idle", words)
        return "beat", None

    def _say(self, what: str, words: str) -> tuple[str, Any]:
        """Report each state once."""
        if what in self.said:
            return "beat", None
        self.said.add(what)
        return "silent", f"its process {self.process.pid} {words}"

    def _given_up(self, why: str) -> Death:
        """End a process that hangs, after it has written its traceback."""
        with contextlib.suppress(OSError):
            self.process.send_signal(signal.SIGUSR1)  # see `child`
            time.sleep(0.2)
        self.process.kill()
        self.process.wait()
        trace = self._printed().rpartition(_TRACE)[2].lstrip("\n")
        where = _PLACE.search(trace)
        how = f"the process {why}{f' (in {where[1]}, line {where[2]})' if where else ''} and was ended"
        words = "".join(trace.splitlines(keepends=True)[:20])
        return replace(self._death(), how=how, killed=False, words=words, hung=True)

    def _death(self) -> Death:
        code = self.process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        words = "".join(self._printed().splitlines(keepends=True)[-20:])
        run = {
            "started": round(self.since, 3),
            "seconds": round(time.time() - self.since, 3),
            "host": platform.node(),
            "system": platform.platform(),
            "python": platform.python_version(),
        }
        return Death(f"the process ended with {how}", code == -signal.SIGKILL, words, run)

    def _printed(self) -> str:
        """The end of its output."""
        end = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), 2**16, max(0, end - 2**16)).decode(errors="replace")

    def end(self) -> None:
        """End it now, whatever it is doing."""
        self.process.terminate()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:  # it is stopped
            self.process.kill()
            self.process.wait()
        self.pipe.close()
        self.log.close()


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))


def _is_stopped(process: int) -> bool:
    """Whether it was told to pause (SIGSTOP), or a debugger holds it; False where the system does not say."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    except OSError:
        return False


# --- how a process is started ----------------------------------------------------------------------


def command(*words: str) -> list[str]:
    """How to start a child of this process, which works (`worker PIPE`) or does what the command line asks.

    Linux kills it when the *thread* that starts it ends.
    """
    return [sys.executable, "-P", str(Path(__file__).with_name("child.py")), str(os.getpid()), *words]


def _started(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
    """A process that is killed when this one ends, and that does not listen to Ctrl-C.

    Linux kills it when the *thread* ends that started it, and a pool's threads come and go. The main thread stays.
    """

    def start() -> "subprocess.Popen[bytes]":
        # Ctrl-C reaches every process of a terminal; the parent decides, so a worker never listens to it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return subprocess.Popen(command, **options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    if threading.current_thread() is threading.main_thread():
        return start()
    return _thread_that_stays().submit(start).result()


@functools.cache
def _thread_that_stays() -> concurrent.futures.Executor:
    return concurrent.futures.ThreadPoolExecutor(1, "starts-workers")
