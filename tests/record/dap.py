"""A client of the Debug Adapter Protocol, as an editor is one: launches a program under debugpy, and asks where it stopped."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys


class Session:
    """One program; ``with`` ends it."""

    def __init__(self, folder, program):
        self.folder, self.program, self.numbers = folder, program, itertools.count(1)
        self.events, self.answers = [], {}

    def __enter__(self):
        self.adapter = subprocess.Popen(
            [sys.executable, "-m", "debugpy.adapter"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=self.folder
        )
        self.ask("initialize", adapterID="test", pathFormat="path")
        launched = self.send(
            "launch", program=self.program, python=[sys.executable], console="internalConsole", justMyCode=False, subProcess=False
        )
        self.until("initialized")
        self.ask("setExceptionBreakpoints", filters=["uncaught"])
        self.ask("configurationDone")
        self.answer(launched)
        return self

    def __exit__(self, *_):
        self.ask("disconnect", terminateDebuggee=True)
        self.adapter.stdin.close()
        self.adapter.wait(30)
        self.adapter.stdout.close()

    def send(self, command, **arguments):
        number = next(self.numbers)
        message = json.dumps({"seq": number, "type": "request", "command": command, "arguments": arguments}).encode()
        self.adapter.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(message), message))
        self.adapter.stdin.flush()
        return number

    def ask(self, command, **arguments):
        return self.answer(self.send(command, **arguments))

    def answer(self, number):
        while number not in self.answers:
            self._read()
        return self.answers.pop(number).get("body") or {}

    def until(self, event):
        """The first event of this kind."""
        while True:
            for each in self.events:
                if each["event"] == event:
                    self.events.remove(each)
                    return each["body"]
            self._read()

    def _read(self):
        size = 0
        while (line := self.adapter.stdout.readline()) != b"\r\n":
            assert line, "the adapter has ended"
            size = int(line.partition(b":")[2])
        message = json.loads(self.adapter.stdout.read(size))
        if message["type"] == "response":
            self.answers[message["request_seq"]] = message
        elif message["type"] == "event":
            self.events.append({"body": {}, **message})

    def stack(self):
        """Where it stands, from the innermost frame on."""
        thread = self.until("stopped")["threadId"]
        return self.ask("stackTrace", threadId=thread)["stackFrames"]

    def variables(self, frame):
        (scope, *_) = self.ask("scopes", frameId=frame["id"])["scopes"]
        return self.below(scope["variablesReference"])

    def below(self, reference):
        return {each["name"]: each for each in self.ask("variables", variablesReference=reference)["variables"]}

    def source(self, frame):
        reference = frame["source"]["sourceReference"]
        return self.ask("source", source=frame["source"], sourceReference=reference)["content"] if reference else None
