"""Random users and requests: what ACL DRYRUN decides here and in the peer. A failure prints its seed."""

import random
import shutil

import pytest

import harness

USERS, REQUESTS, RULES_MAX = 60, 80, 9
pytestmark = pytest.mark.skipif(shutil.which(harness.peer_command()[0]) is None, reason="no redis-server to compare with")

KEYS = ["a", "a1", "b1", "ab", "k:1", "k:2", "", "*"]
PATTERNS = ["a*", "k:*", "b?", "*1", "[ab]*", "*", "", "k:[12]", "\\*", "a"]
CATEGORIES = "all read write string hash set sortedset list keyspace fast slow dangerous admin connection scripting transaction".split()
COMMANDS = """get set mget mset del incr append getdel copy rename exists type expire hset hget lpush lmove sadd smove sunionstore zadd
    zrangestore zunionstore sort sort_ro eval ping echo select auth hello acl|list acl|whoami config|get config|set client|list config
    client object|encoding object memory|usage xadd xread xreadgroup bitop georadius georadiusbymember setrange getex lcs""".split()
REQUESTS_OF = [
    "get K", "set K v", "set K v get", "mget K K K", "mset K v K v", "del K K", "incr K", "append K v", "getdel K", "copy K K", "rename K K",
    "exists K K", "type K", "expire K 5", "hset K f v", "hget K f", "lpush K v", "lmove K K left right", "sadd K m", "smove K K m",
    "sunionstore K K K", "zadd K 1 m", "zrangestore K K 0 1", "zunionstore K 2 K K", "sort K", "sort K store K", "sort_ro K", "eval s 2 K K",
    "eval s 1 K K", "eval s 9 K", "eval s 0", "ping", "echo K", "select 0", "select 1", "auth x", "hello 3", "acl list", "acl whoami", "config get x",
    "config set x y", "client list", "object encoding K", "memory usage K", "xadd K * f v", "xread streams K K 0 0",
    "xreadgroup group g c streams K 0", "bitop and K K K", "georadius K 1 1 1 m store K", "georadiusbymember K m 1 m storedist K",
    "setrange K 1 v", "getex K", "getex K persist", "lcs K K", "get", "config foo", "config", "nothing K",
]  # fmt: skip


def rule(choose):
    kind = choose.random()
    if kind < 0.25:
        return choose.choice("+-") + "@" + choose.choice(CATEGORIES)
    if kind < 0.55:
        return choose.choice("+-") + choose.choice(COMMANDS)
    if kind < 0.62:
        return "+" + choose.choice(["select", "get", "hget", "echo", "ping"]) + "|" + choose.choice(["0", "a", "A1", "1"])
    if kind < 0.9:
        return choose.choice(["~", "%R~", "%W~", "%RW~", "%r~"]) + choose.choice(PATTERNS)
    return choose.choice(["allkeys", "resetkeys", "allcommands", "nocommands", "clearselectors", "on", "reset", "&a*"])


def rules(choose):
    words = []
    for _ in range(choose.randint(1, RULES_MAX)):
        if choose.random() < 0.12:
            words.append("(" + " ".join(w for w in (rule(choose) for _ in range(choose.randint(1, 4)))) + ")")
        else:
            words.append(rule(choose))
    return words


def request(choose):
    return [choose.choice(KEYS) if word == "K" else word for word in choose.choice(REQUESTS_OF).split()]


@pytest.mark.parametrize("seed", [1, 2, random.SystemRandom().getrandbits(32)], ids=["1", "2", "random"])
def test_decisions_are_the_peers(start, peer, seed):
    choose = random.Random(seed)
    both = start().connect(), peer.connect()
    for _ in range(USERS):
        words = rules(choose)
        said = []
        for word in ["reset", *words]:
            said.append([side.call("ACL", "SETUSER", "u", *([word] if not word.startswith("(") else word.split())) for side in both])
        assert all(ours == theirs for ours, theirs in said), (seed, words, said)
        # What is shown makes the same user again.
        line = next(line for line in both[0].call("ACL", "LIST") if line.startswith(b"user u "))
        both[0].call_ok("ACL", "SETUSER", "again", "reset", *line.split(b" ")[2:])
        for _ in range(REQUESTS):
            words_of_request = request(choose)
            ours, theirs = (side.call("ACL", "DRYRUN", "u", *words_of_request) for side in both)
            again = both[0].call("ACL", "DRYRUN", "again", *words_of_request)
            assert ours == theirs == again, (seed, words, words_of_request, ours, theirs, again, line)
