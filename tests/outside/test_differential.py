"""Short runs of the differential test, and whether it would find a fault at all."""

import random
import re
import shutil
import socket
import threading

import differential
import events
import pytest
import tracking

import harness

COMMANDS = 100_000
needs_peer = pytest.mark.skipif(shutil.which(harness.peer_command()[0]) is None, reason="no redis-server to compare with")
pytestmark = [needs_peer, pytest.mark.timeout(300)]


def run(ours, peer, seed, commands, families=None):
    lines = []
    test = differential.Differential(seed, ours, peer, families, report=lines.append)
    try:
        return test.run(commands), "\n".join(lines)
    finally:
        test.close()


def words(command):
    return " ".join(command)


@pytest.mark.parametrize("seed", [1, 2, random.SystemRandom().getrandbits(32)], ids=["1", "2", "random"])
def test_no_difference_from_the_peer(seed):
    differences, text = run(words(harness.ours_command()), words(harness.peer_command()), seed, COMMANDS)
    print(text)
    assert not differences, text


@pytest.mark.parametrize("seed", [1, random.SystemRandom().getrandbits(32)], ids=["1", "random"])
def test_keyspace_events_are_those_of_the_peer(seed):
    lines = []
    test = events.Events(seed, words(harness.ours_command()), words(harness.peer_command()), report=lines.append)
    try:
        differences = test.run(20_000)
    finally:
        test.close()
    assert not differences, "\n".join(lines)


@pytest.mark.parametrize("seed", [1, random.SystemRandom().getrandbits(32)], ids=["1", "random"])
def test_trackers_are_told_of_the_same_keys_as_the_peer_s(seed):
    lines = []
    test = tracking.Tracking(seed, words(harness.ours_command()), words(harness.peer_command()), report=lines.append)
    try:
        differences = test.run(15_000)
    finally:
        test.close()
    assert not differences, "\n".join(lines)


class FaultyProxy(threading.Thread):
    """Stands before a server and changes what passes: the fault that has to be found."""

    def __init__(self, server, change_request=None, change_reply=None):
        super().__init__(daemon=True)
        self.server = server
        self.changes = (change_request, change_reply)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.target = "127.0.0.1:%d" % self.listener.getsockname()[1]

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.server.address)
            for source, sink, change in ((client, server, self.changes[0]), (server, client, self.changes[1])):
                threading.Thread(target=self.pass_on, args=(source, sink, change), daemon=True).start()

    @staticmethod
    def pass_on(source, sink, change):
        try:
            while data := source.recv(1 << 22):
                sink.sendall(change(data) if change else data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


@pytest.mark.parametrize(
    "what, change_request, change_reply, at_most",
    [
        ("a reply's text", None, lambda data: data.replace(b"-ERR no such key", b"-ERR no such kay"), 1),
        ("a number", None, lambda data: data.replace(b":24\r\n", b":42\r\n"), 3),
        ("a write that is lost", lambda data: data.replace(b"\r\nPERSIST\r\n", b"\r\npersisX\r\n"), None, 2),
        ("wrong data", lambda data: data.replace(b"\r\nRENAMENX\r\n", b"\r\nCOPYCOPY\r\n"), None, 3),
        ("an expiry", lambda data: data.replace(b"\r\nPEXPIREAT\r\n$2\r\nk1\r\n$13\r\n41", b"\r\nPEXPIREAT\r\n$2\r\nk1\r\n$13\r\n42"), None, 3),
    ],
)  # fmt: skip
def test_a_fault_is_found_and_made_small(start, what, change_request, change_reply, at_most):
    server = start(command=harness.peer_command())
    proxy = FaultyProxy(server, change_request, change_reply)
    proxy.start()
    differences, text = run(proxy.target, words(harness.peer_command()), 3, 60_000, ["strings", "keys"])
    print(text)
    assert differences, f"{what} was not found"
    assert differences[0].reproduced
    assert len(differences[0].history) <= at_most, text


def test_a_server_that_dies_is_found(start):
    server = start(command=harness.peer_command())

    def close_on_lcs(data):
        if re.search(rb"\*\d+\r\n\$3\r\nLCS\r\n", data):
            raise OSError
        return data

    proxy = FaultyProxy(server, close_on_lcs)
    proxy.start()
    differences, text = run(proxy.target, words(harness.peer_command()), 3, 5_000, ["strings"])
    assert differences and differences[0].kind == "gone" and differences[0].reproduced
    assert len(differences[0].history) == 1 and differences[0].history[0][1][0] == b"LCS"


def test_data_that_no_reply_shows_is_compared(start):
    server = start(command=harness.peer_command())
    # the string commands alone never ask for an expiry
    proxy = FaultyProxy(server, lambda data: data.replace(b"\r\nPXAT\r\n$13\r\n41", b"\r\nPXAT\r\n$13\r\n42"))
    proxy.start()
    differences, text = run(proxy.target, words(harness.peer_command()), 3, 20_000, ["strings"])
    assert differences and differences[0].kind == "state" and differences[0].reproduced
    assert len(differences[0].history) <= 2, text


def test_a_message_to_a_tracker_that_is_lost_is_found(start):
    server = start(command=harness.peer_command())
    lost = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$2\r\nk1\r\n"
    proxy = FaultyProxy(server, None, lambda data: data.replace(lost, b""))
    proxy.start()
    lines = []
    test = tracking.Tracking(3, proxy.target, words(harness.peer_command()), report=lines.append)
    try:
        assert test.run(20_000), "nothing was found"
    finally:
        test.close()


def test_an_event_that_is_lost_is_found(start):
    server = start(command=harness.peer_command())
    proxy = FaultyProxy(server, None, lambda data: data.replace(b":expire\r\n", b":expirx\r\n"))
    proxy.start()
    lines = []
    test = events.Events(3, proxy.target, words(harness.peer_command()), report=lines.append)
    try:
        assert test.run(20_000), "nothing was found"
    finally:
        test.close()
