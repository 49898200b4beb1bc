"""Pipelines that read and change large collections: what is fetched for a batch before it runs must not be used when
a command of the batch has taken it away. The same commands one by one have no batch."""

import random

import pytest

from harness import encode

ELEMENTS = 1500
KEYS = [b"a", b"b", b"c"]
BATCH = 128
BATCHES = 40


def member(draw):
    return b"member:%06d" % draw.randrange(ELEMENTS * 5 // 4)


def fill(kind, key):
    """Each key has its own members and values."""
    own = KEYS.index(key)
    members = [b"member:%06d" % i for i in range(ELEMENTS) if i % len(KEYS) != own]
    if kind == "hash":
        return [b"HSET", key, *(word for m in members for word in (m, b"value in " + key + m))]
    if kind == "set":
        return [b"SADD", key, *members]
    return [b"ZADD", key, *(word for i, m in enumerate(members) for word in (b"%d" % (i * 10 + own), m))]


def reads(kind, key, one):
    return {
        "hash": [[b"HGET", key, one], [b"HMGET", key, one, one], [b"HEXISTS", key, one], [b"HSTRLEN", key, one]],
        "set": [[b"SISMEMBER", key, one], [b"SMISMEMBER", key, one, one]],
        "zset": [[b"ZSCORE", key, one], [b"ZRANK", key, one], [b"ZMSCORE", key, one]],
    }[kind]


def writes(kind, key, other, one, number):
    return {
        "hash": [
            [b"HSET", key, one, b"x" * (number % 60)],
            [b"HSETNX", key, one, b"new"],
            [b"HDEL", key, one],
            [b"HINCRBY", key, one + b"#", b"%d" % number],
            [b"HGETDEL", key, b"FIELDS", b"1", one],
            [b"HPEXPIRE", key, b"100000000", b"FIELDS", b"1", one],
            [b"HPERSIST", key, b"FIELDS", b"1", one],
        ],
        "set": [[b"SADD", key, one], [b"SREM", key, one], [b"SMOVE", key, other, one], [b"SMOVE", other, key, one]],
        "zset": [[b"ZADD", key, b"%d" % number, one], [b"ZREM", key, one], [b"ZINCRBY", key, b"1", one]],
    }[kind]


def rare(kind, key, other, one):
    """What takes a whole collection away, or puts another in its place; nothing longer than what a batch takes in."""
    again = [b"COPY", other, key]
    read = reads(kind, key, one)[0]
    return [
        [[b"DEL", key], again, read],
        [[b"UNLINK", key], again, read],
        [[b"RENAME", other, key], [b"COPY", key, other]],
        [[b"COPY", other, key, b"REPLACE"]],
        [[b"SET", key, b"12345678"], read, [b"DEL", key], again],
        [[b"SWAPDB", b"0", b"1"]],
        [[b"PEXPIREAT", key, b"1"], read, again],
        [[b"EVAL", b"redis.call('DEL', KEYS[1])", b"1", key], again, read],
        [[b"MULTI"], [b"DEL", key], again, read, [b"EXEC"]],
        [[b"BGREWRITEAOF"]],
        [[b"FLUSHDB"]],
        [[b"FLUSHALL", b"ASYNC"]],
    ]


def batch(draw, kind, changes):
    commands = []
    while len(commands) < BATCH:
        key, other = draw.sample(KEYS, 2)
        one = member(draw)
        if draw.random() < changes / 30:
            commands += draw.choice(rare(kind, key, other, one))
        elif draw.random() < changes:
            commands.append(draw.choice(writes(kind, key, other, one, draw.randrange(100_000))))
        else:
            commands.append(draw.choice(reads(kind, key, one)))
    return commands


@pytest.mark.parametrize("changes", [0.02, 0.4])
@pytest.mark.parametrize("kind", ["hash", "set", "zset"])
def test_a_pipeline_answers_as_single_commands_do(start, kind, changes):
    draw = random.Random(f"{kind} {changes}")
    with start().connect() as pipeline, start().connect() as single:
        for number in range(BATCHES):
            for connection in (pipeline, single):
                for database in "1", "0":
                    connection.call("SELECT", database)
                    for key in KEYS:
                        if connection.call("EXISTS", key) == 0:
                            connection.call(*fill(kind, key))
            commands = batch(draw, kind, changes)
            pipeline.send(b"".join(encode(*command) for command in commands))
            for command in commands:
                if command[0] != b"BGREWRITEAOF":  # it opens a view, in one of the two
                    assert pipeline.read() == single.call(*command), (number, command)
                else:
                    pipeline.read()
