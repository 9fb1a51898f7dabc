"""The command ``zoo`` without the seconds that its imports take, for examples that run many of them.

A server that has imported what commands import forks a process for each call, which has the arguments, the
folder, the environment and the streams of whoever calls. Signals are passed on, and the exit code comes back.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLIENT = """\
#!{python} -IS
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: server.send(bytes([number])))
asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
server.sendall(asked)
sys.exit(int.from_bytes(server.recv(1), "big"))
"""
FAILED = 120
"""Exit code where a process ended without one, by a signal."""


@contextmanager
def forked_command(folder: Path) -> Iterator[Path]:
    """A folder for the path, with the command in it, for as long as this is entered."""
    address = str(folder / "socket")
    client = folder / "bin" / "zoo"
    client.parent.mkdir()
    client.write_text(CLIENT.format(python=sys.executable, address=address))
    client.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, __file__, address], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        try:
            yield client.parent
        finally:
            server.kill()


def serve(address: str) -> None:
    """Answer calls until killed; each call goes on in a process of its own."""
    import lightning.pytorch  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import scipy.stats  # noqa: F401

    import zoo.analysis.compare
    import zoo.cli.app
    import zoo.training.run  # noqa: F401
    from zoo import registry

    for family, kinds in registry.BUILTIN.items():
        for kind in kinds:
            registry.spec_class(family, kind)

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    gc.collect()
    gc.freeze()  # else each process copies what it looks through
    print("ready", flush=True)
    while True:
        call, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            return attend(call)
        call.close()
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG) is not None:
            pass


def attend(call: socket.socket) -> None:
    """One call, from the request to the exit code."""
    size, streams, *_ = socket.recv_fds(call, 4, 3)
    asked = b""
    while len(asked) < int.from_bytes(size, "big"):
        asked += call.recv(2**16)
    child = os.fork()
    if child == 0:
        call.close()
        return command(streams, *json.loads(asked))
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(child)
    listens = True
    while ended not in (ready := select.select([ended, *([call] if listens else [])], [], [])[0]):
        if call in ready:
            said = call.recv(1)
            listens = bool(said)
            os.kill(child, said[0] if said else signal.SIGTERM)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if listens:
        call.send(bytes([status if status >= 0 else FAILED]))
    os._exit(0)


def command(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """The command itself, to its end."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["zoo", *arguments]
    from zoo.cli import main

    ended = 0
    try:
        main()
    except SystemExit as said:
        ended = int(said.code or 0)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ended)  # without taking apart what the server had imported


if __name__ == "__main__":
    serve(sys.argv[1])
