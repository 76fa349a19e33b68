"""Worker processes of this machine, as an Executor: fresh interpreters, one BLAS thread each.

Unlike `ProcessPoolExecutor` they never import the calling script again (no `if __name__ == "__main__"` is needed, and a
window does not start twice), a worker that dies takes one task with it and is replaced, and all of them can be ended at
once. They end by themselves when the calling process does, however that ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import IO, Any

from nnopt.errors import NnoptError

_LENGTH = struct.Struct("<Q")
_START = f"import sys, json; sys.path[:] = json.loads(sys.argv[1]); from {__name__} import _serve; _serve()"


class WorkerDied(NnoptError):
    """A worker process ended in the middle of a task: killed, out of memory, or crashed.

    >>> with Processes(1) as executor:
    ...     executor.submit(os._exit, 3).result()
    Traceback (most recent call last):
    nnopt.runs.processes.WorkerDied: a worker process ended with exit code 3
    """


class Processes(Executor):
    """Up to `workers` processes, started as tasks come.

    What is submitted is pickled: functions of importable modules and arguments that they know. Interrupts of the
    terminal do not reach the workers.

    >>> import math
    >>> with Processes(1) as executor:
    ...     executor.submit(math.sqrt, 16.0).result()
    4.0
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._tasks: queue.SimpleQueue[tuple[Future[Any], bytes] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = self._killed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker call fn(*args, **kwargs). The future raises WorkerDied if it died over it."""
        future: Future[Any] = Future()
        call = pickle.dumps((fn, args, kwargs))
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._tasks.put((future, call))
            self._waiting += 1
            if len(self._threads) < min(self.workers, self._waiting):
                thread = threading.Thread(target=self._attend, name="nnopt-worker", daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; the workers end once they have done what was submitted."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                self._cancel_all()
            for _ in self._threads:
                self._tasks.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def kill(self) -> None:
        """End all workers now, whatever they are doing; open futures are cancelled or raise WorkerDied."""
        with self._lock:
            self._closed = self._killed = True
            self._cancel_all()
            for process in self._processes:
                process.kill()
        self.shutdown()

    def _cancel_all(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                task = self._tasks.get_nowait()
                if task is not None:
                    task[0].cancel()

    def _attend(self) -> None:
        """One thread per worker: hand it tasks, take its answers, replace it when it has died."""
        process: subprocess.Popen[bytes] | None = None
        while (task := self._tasks.get()) is not None:
            future, call = task
            if future.set_running_or_notify_cancel():
                try:
                    process = process if process is not None else self._start()
                    good, answer = _ask(process, call)
                except (EOFError, OSError) as error:
                    good, answer = False, WorkerDied(f"a worker process {_end(process, error)}")
                    self._forget(process)
                    process = None
                except Exception as error:  # an answer that cannot be read here
                    good, answer = False, error
                # an idle thread is counted before anyone can react to the result
                with self._lock:
                    self._waiting -= 1
                future.set_result(answer) if good else future.set_exception(answer)
            else:
                with self._lock:
                    self._waiting -= 1
        self._forget(process)

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", _START, json.dumps([entry for entry in sys.path if isinstance(entry, str)])]
        with self._lock:
            if self._killed:
                raise OSError("was not started any more")
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                # interrupts of the terminal go to the caller's process group only
                process_group=0 if os.name == "posix" else None,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )  # fmt: skip
            self._processes.add(process)
        return process

    def _forget(self, process: subprocess.Popen[bytes] | None) -> None:
        """End a worker: it ends when its input does."""
        if process is not None:
            with self._lock:
                self._processes.discard(process)
            with contextlib.suppress(OSError):
                process.communicate()


def _ask(process: subprocess.Popen[bytes], call: bytes) -> tuple[bool, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    _send(process.stdin, call)
    good, answer = pickle.loads(_receive(process.stdout))
    return good, answer


def _end(process: subprocess.Popen[bytes] | None, error: Exception) -> str:
    if process is None:
        return f"could not be started: {error}"
    code = process.wait()
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _send(stream: IO[bytes], message: bytes) -> None:
    stream.write(_LENGTH.pack(len(message)) + message)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes:
    """The next message. Raises EOFError at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) == _LENGTH.size:
        (length,) = _LENGTH.unpack(head)
        message = stream.read(length)
        if len(message) == length:
            return message
    raise EOFError


# ---- in the worker


def _serve() -> None:
    """What a worker does: answer the calls that come over standard input, until it ends."""
    answers = os.fdopen(os.dup(1), "wb")
    # what a plug-in prints must not come between the answers
    os.dup2(2, 1)
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, calls), daemon=True).start()
    try:
        while True:
            _send(answers, _answer(calls.get()))
    except SystemExit as end:
        # at once: the thread that listens would make the interpreter abort on its way out
        os._exit(end.code if isinstance(end.code, int) else 1)


def _listen(stream: IO[bytes], calls: queue.SimpleQueue[bytes]) -> None:
    try:
        while True:
            calls.put(_receive(stream))
    except (EOFError, OSError):
        # nobody waits for an answer any more, not even for the one being computed
        os._exit(0)


def _answer(call: bytes) -> bytes:
    try:
        fn, args, kwargs = pickle.loads(call)
        return pickle.dumps((True, fn(*args, **kwargs)))
    except Exception as error:  # the caller's: it gets it as the future's exception
        error.add_note("".join(traceback.format_exception(error)))
        try:
            message = pickle.dumps((False, error))
            pickle.loads(message)
        except Exception:  # whatever a foreign class does when it is copied
            message = pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
        return message
