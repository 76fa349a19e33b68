"""A real Dask cluster of this machine for tests: a scheduler and two workers, each a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LIMIT = 60.0


class Cluster:
    """Processes that end with the test, by their own handles."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {**os.environ, "DASK_CONFIG": str(folder)}
        self._processes: list[subprocess.Popen[bytes]] = []

    def open(self) -> None:
        folder = self._folder
        file = folder / "scheduler.json"
        self.scheduler = self.start("dask_scheduler", "--port", "0", "--scheduler-file", file)
        wait_until(file.exists, self.scheduler)
        # the file is there before its content
        wait_until(lambda: file.read_bytes().rstrip().endswith(b"}"), self.scheduler)
        self.address = json.loads(file.read_text())["address"]
        self.workers = [
            self.start(
                "dask_worker", self.address, "--nthreads", "1", "--no-nanny", "--local-directory", folder,
                "--name", f"worker-{number}",
            )
            for number in range(2)
        ]  # fmt: skip

    def start(self, name: str, *arguments: object) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{name}", "--host", "127.0.0.1", "--no-dashboard",
             *map(str, arguments)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self._environment, cwd=self._folder,
        )  # fmt: skip
        self._processes.append(process)
        return process

    def wait_for_workers(self) -> None:
        """Until both are there."""
        with self._client() as client:
            client.wait_for_workers(len(self.workers), timeout=LIMIT)

    def kill_a_worker_at_work(self) -> int:
        """Kill a worker, by a signal that it cannot catch, while it has tasks; how many it had."""
        with self._client() as client:
            names = {entry["name"]: address for address, entry in client.scheduler_info()["workers"].items()}
            until = time.monotonic() + LIMIT
            while time.monotonic() < until:
                for number, process in enumerate(self.workers):
                    tasks = client.processing()[names[f"worker-{number}"]]
                    if tasks:
                        process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
                        process.wait()
                        return len(tasks)
        raise AssertionError("no worker had anything to do")

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _client(self):
        return importlib.import_module("distributed").Client(self.address, timeout=LIMIT, set_as_default=False)


def wait_until(reached: Callable[[], bool], process: subprocess.Popen) -> None:
    until = time.monotonic() + LIMIT
    while not reached():
        assert process.poll() is None, f"ended with exit code {process.returncode}"
        assert time.monotonic() < until
        time.sleep(0.02)
