"""A gfpd that serves on a port of its own, and a plain client that says exactly what is sent."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

BINARY = os.environ["GFPD_BINARY"]
REQUEST_ID = "1f0c2a6d"
TOPOLOGY = {"nodes": [{"id": 0, "cpus": [0], "memory": [{"start": 0, "end": "0x3ffffff"}]}]}


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def media_type(self):
        return self.headers.get("Content-Type", "").partition(";")[0]

    @property
    def json(self):
        return json.loads(self.body)


class Server:
    """gfpd on a ledger of its own, whose first machine is `default`."""

    def __init__(self, directory, *arguments, ledger=None):
        """`ledger`: the directory of a ledger to begin with a copy of."""
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.topology = self.directory / "topology.json"
        self.topology.write_text(json.dumps(TOPOLOGY))
        if ledger:
            shutil.copytree(ledger, self.ledger)
        self.start(*arguments)

    @property
    def ledger(self):
        return self.directory / "data"

    def start(self, *arguments):
        command = [BINARY, "serve", "--port", "0", "--data", str(self.ledger)]
        with open(self.directory / "errors", "wb") as errors:
            self.process = subprocess.Popen(
                [*command, "--topology", str(self.topology), *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={"GFPD_STOP_NOTICE": "0"} | os.environ,
            )
        ready = self.process.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:(\d+)", ready)
        assert match, ready + (self.directory / "errors").read_text()
        self.port = int(match[1])
        self.url = match[0]
        self.token = None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0

    def restart(self, *arguments):
        """Goes on with the same ledger and other options."""
        self.stop()
        self.start(*arguments)

    def restart_with_tokens(self, principals, *arguments):
        """Goes on with tokens for these principals, whose scopes are given by their names; answers
        with the tokens by name."""
        made = {name: made_token(name, scopes) for name, scopes in principals.items()}
        file = self.directory / "tokens"
        file.write_text("".join(line + "\n" for _, line in made.values()))
        self.restart("--tokens", str(file), *arguments)
        return {name: token for name, (token, _) in made.items()}

    def send(self, method, target, body=None, headers=None):
        """Sends one request; a body that is no text or bytes is sent as JSON. A header that is None
        is left out. `token` goes with it where there is one."""
        fields = {"X-Request-Id": REQUEST_ID, **(headers or {})}
        if self.token:
            fields.setdefault("Authorization", f"Bearer {self.token}")
        fields = {name: value for name, value in fields.items() if value is not None}
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if body is not None:
            fields.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, target, body, fields)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def must(self, status, method, target, body=None, headers=None):
        """The same, of a request whose answer is known."""
        answer = self.send(method, target, body, headers)
        assert answer.status == status, (method, target, answer)
        return answer


def made_token(principal, scopes):
    """A new token, and the line that lets it in."""
    command = [BINARY, "token", principal, "--scopes", scopes]
    return subprocess.check_output(command, text=True).splitlines()
