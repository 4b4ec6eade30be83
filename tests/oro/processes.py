"""Programs started by the checks, on free ports of the loopback interface; each is ended with its process group."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

_started = []


def free_ports(count):
    """Different free ports."""
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def launch(command, log, **options):
    """Starts a program that does not listen."""
    with open(log, "ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   start_new_session=True, **options)
    _started.append(process)
    return process


def start(command, port, log, **options):
    """Starts a program and waits until it listens. Raises RuntimeError with the end of its log on failure."""
    process = launch(command, log, **options)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return process
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{Path(log).name}: not listening: {Path(log).read_text(errors='replace').strip()[-300:]}")


def stop(process):
    """Ends a program with its process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(5)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            pass


def stop_all():
    """Ends every program that was started and still runs."""
    for process in _started:
        stop(process)


def last_words(text, limit=230):
    """The line of a failed program's output with its error; without one, the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    error = next((line for line in lines if "Error" in line or "rror:" in line or "xception" in line), lines[-1] if lines else "no output")
    return error[:limit]
