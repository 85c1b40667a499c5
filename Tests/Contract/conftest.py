"""The servers that tests begin with, each test one of its own."""

import pytest
from server import Server
from story import begin


@pytest.fixture
def server(tmp_path):
    """A server with the machine `default` alone, stopped behind the test."""
    server = Server(tmp_path / "server")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def story(tmp_path_factory):
    """The directory of a ledger in which the story has begun."""
    server = Server(tmp_path_factory.mktemp("story"))
    begin(server)
    server.stop()
    return server.ledger


@pytest.fixture
def begun(tmp_path, story):
    """A server that goes on with the story, stopped behind the test."""
    server = Server(tmp_path / "server", ledger=story)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def untouched(tmp_path_factory, story):
    """A server that goes on with the story, of which nothing is asked that changes it."""
    server = Server(tmp_path_factory.mktemp("untouched"), ledger=story)
    yield server
    server.stop()
