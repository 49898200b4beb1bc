"""Random commands, and whether all that follows them has the same data: a replica, the log read again, a save read
again, the next start."""

import random
import time

import pytest

from generator import FAMILIES, Generator
from harness import encode, wait_until

COMMANDS = 20_000
# What would change the server instead of its data, or what the connection is.
LEFT_OUT = {
    b"AUTH", b"CLIENT", b"CONFIG", b"DEBUG", b"HELLO", b"MONITOR", b"PSUBSCRIBE", b"QUIT", b"REPLICAOF", b"RESET",
    b"SHUTDOWN", b"SLAVEOF", b"SSUBSCRIBE", b"SUBSCRIBE",
}  # fmt: skip


def write(server, seed, families):
    """Send random commands, and wait until all are run."""
    generator = Generator(seed, families)
    with server.connect() as connection:
        for _ in range(COMMANDS // 100):
            batch = [command for command in generator.batch(100) if bytes(command[0]).upper() not in LEFT_OUT]
            requests = [encode(*command) for command in batch] + [encode("DISCARD"), encode("ECHO", "the end")]
            connection.send(b"".join(requests))
            while connection.read() != b"the end":
                pass


def value_of(connection, key, soon):
    """An equal score may be kept as 0 or -0, and a digest is of the words. Fields that end soon are left out."""
    kind = connection.call("TYPE", key)
    if kind == b"zset":
        words = connection.call("ZRANGE", key, "0", "-1", "WITHSCORES")
        return kind, [b"0" if word == b"-0" else word for word in words]
    if kind == b"hash":
        fields = connection.call("HKEYS", key)
        times = connection.call("HPEXPIRETIME", key, "FIELDS", str(len(fields)), *fields) if fields else []
        stay = [field for field, ends in zip(fields, times) if ends < 0 or ends > soon]
        return kind, sorted((field, connection.call("HGET", key, field)) for field in stay)
    return kind, connection.call("DEBUG", "DIGEST-VALUE", key)


def content(server, soon):
    """By database and key: type, value, expiry. Without what ends before that time."""
    found = {}
    with server.connect() as connection:
        for database in range(16):
            connection.call("SELECT", str(database))
            for key in connection.call("KEYS", "*"):
                expiry = connection.call("PEXPIRETIME", key)
                if expiry < 0 or expiry > soon:
                    found[database, key] = (*value_of(connection, key, soon), expiry)
    return found


def in_step(primary, replica):
    return primary.info("replication")["master_repl_offset"] == replica.info("replication")["slave_repl_offset"]


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("seed", [1, 2, random.SystemRandom().getrandbits(32)], ids=["1", "2", "random"])
def test_all_that_follows_has_the_same_data(start, seed, preamble):
    print("seed", seed)
    chance = random.Random(seed)
    names = list(FAMILIES) if chance.random() < 0.5 else chance.sample(list(FAMILIES), 3)
    options = {"appendonly": "yes", "aof-use-rdb-preamble": preamble, "enable-debug-command": "yes"}
    server = start(**options)
    replica = start(replicaof=["127.0.0.1", server.port], enable_debug_command="yes")
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up")
    write(server, f"{seed}/{preamble}", [FAMILIES[name] for name in names])
    with server.connect() as connection, replica.connect() as other:
        for each in (connection, other):
            each.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        wait_until(lambda: in_step(server, replica))
        soon = (time.time() + 120) * 1000
        expected = content(server, soon)
        assert expected
        assert content(replica, soon) == expected
        for again in ("LOADAOF", "RELOAD"):
            assert connection.call("DEBUG", again) == b"OK"
            assert content(server, soon) == expected
    server.stop()
    assert content(server.start(), soon) == expected
