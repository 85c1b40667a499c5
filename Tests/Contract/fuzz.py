"""Runs schemathesis against a gfpd of its own: `fuzz.py CASES [SEED]`.

Runs of one seed each follow one another, the first with the seed given (1 where none is), the
others with fresh ones, until so many cases have been sent. Nothing is excluded; the first run that
finds a failure ends it.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from contract import OPERATIONS, PATH
from server import Server
from story import begin

HERE = Path(__file__).parent
# Cases that a phase of a run makes of one operation.
FEWEST, MOST = 8, 60


def examples(cases):
    """So many that one run is enough, where few cases are asked for."""
    return min(max(cases // len(OPERATIONS), FEWEST), MOST)


def run(server, seed, cases):
    """Prints what schemathesis says; how many cases it sent, or None where one failed."""
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        *("--config-file", str(HERE / "schemathesis.toml")),
        *("run", str(PATH), "--url", server.url, "--seed", str(seed), "--no-color"),
        *("--max-examples", str(examples(cases)), "--continue-on-failure"),
    ]
    environment = os.environ | {"PYTHONPATH": str(HERE), "GFPD_CONTRACT": str(PATH)}
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            command, env=environment, cwd=scratch, capture_output=True, text=True, check=False
        )
    print(done.stdout + done.stderr, flush=True)
    cases = re.search(r"(\d+) generated", done.stdout)
    return int(cases[1]) if done.returncode == 0 and cases else None


def main(cases, seed=1):
    sent = 0
    while sent < cases:
        with tempfile.TemporaryDirectory() as directory:
            server = Server(directory)
            begin(server)
            more = run(server, seed, cases - sent)
            server.stop()
        if more is None:
            sys.exit(f"schemathesis found a failure with seed {seed}")
        sent += more
        seed = random.randrange(2**32)
    print(f"{sent} passed, 0 failed")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
