"""Programs that answer a line of JSON for a line of JSON: readers in Node, Go and Python."""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parsers.body import Body, Value

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def program(*command: str) -> Iterator["Program"]:
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Program(process)
    finally:
        process.kill()
        process.communicate()


class Program:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def ask(self, body: Body) -> None:
        assert self.process.stdin
        self.body = body
        question = {"type": body.content_type, "content": base64.b64encode(body.content).decode()}
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self) -> list[Value]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"{self.process.args!r} ended at {self.body}"
        return [
            Value(reader, place, tuple(path), base64.b64decode(text)) for reader, place, path, text in json.loads(line)
        ]
