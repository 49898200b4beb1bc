"""Random users and requests: what ACL DRYRUN decides here and in the peer. A failure prints its seed.

    ACL_DECISIONS=1000000 pytest tests/outside/test_acl_decisions.py -k random

goes on until so many decisions have been compared.
"""

import os
import random
import re
import shutil

import pytest

import harness

DECISIONS = int(os.environ.get("ACL_DECISIONS", 30_000))
REQUESTS, RULES_MAX = 200, 9  # of one user
pytestmark = pytest.mark.skipif(shutil.which(harness.peer_command()[0]) is None, reason="no redis-server to compare with")

KEYS = ["a", "a1", "b1", "ab", "k:1", "k:2", "", "*"]
PATTERNS = ["a*", "k:*", "b?", "*1", "[ab]*", "*", "", "k:[12]", "\\*", "a"]
CHANNELS = ["a", "a1", "b", "news:x", "*", "a*", "news:*", ""]
CATEGORIES = "pubsub blocking bitmap geo stream hyperloglog all read write string hash set sortedset list keyspace fast slow dangerous admin connection scripting transaction".split()
COMMANDS = """get set mget mset del incr append getdel copy rename exists type expire hset hget lpush lmove sadd smove sunionstore zadd
    publish spublish subscribe psubscribe ssubscribe unsubscribe blpop blmove bzmpop lmpop sintercard zdiff pfcount pfmerge object|freq
    getbit setbit bitfield bitfield_ro geosearch geosearchstore hrandfield xautoclaim xinfo xinfo|stream fcall evalsha evalsha_ro eval_ro
    watch multi exec unlink touch expireat persist scan keys randomkey dbsize flushall swapdb move dump restore wait debug
    zrangestore zunionstore sort sort_ro eval ping echo select auth hello acl|list acl|whoami config|get config|set client|list config
    client object|encoding object memory|usage xadd xread xreadgroup bitop georadius georadiusbymember setrange getex lcs""".split()
REQUESTS_OF = [
    "get K", "set K v", "set K v get", "mget K K K", "mset K v K v", "del K K", "incr K", "append K v", "getdel K", "copy K K", "rename K K",
    "exists K K", "type K", "expire K 5", "hset K f v", "hget K f", "lpush K v", "lmove K K left right", "sadd K m", "smove K K m",
    "sunionstore K K K", "zadd K 1 m", "zrangestore K K 0 1", "zunionstore K 2 K K", "sort K", "sort K store K", "sort_ro K", "eval s 2 K K",
    "eval s 1 K K", "eval s 9 K", "eval s 0", "ping", "echo K", "select 0", "select 1", "auth x", "hello 3", "acl list", "acl whoami", "config get x",
    "config set x y", "client list", "object encoding K", "memory usage K", "xadd K * f v", "xread streams K K 0 0",
    "xreadgroup group g c streams K 0", "bitop and K K K", "georadius K 1 1 1 m store K", "georadiusbymember K m 1 m storedist K",
    "publish C m", "spublish C m", "subscribe C", "subscribe C C", "psubscribe C", "psubscribe C C", "ssubscribe C C", "unsubscribe C", "punsubscribe",
    "blpop K K 0", "blmove K K left left 0", "bzmpop 0 2 K K min", "lmpop 2 K K left", "sintercard 2 K K", "zdiff 2 K K", "pfcount K K",
    "pfmerge K K K", "getbit K 1", "setbit K 1 1", "bitfield K get u8 0", "bitfield K set u8 0 1", "bitfield K get u8 0 incrby u8 0 1",
    "bitfield_ro K get u8 0", "geosearch K fromlonlat 1 1 byradius 1 m", "geosearchstore K K fromlonlat 1 1 byradius 1 m", "hrandfield K",
    "xautoclaim K g c 1 0", "xinfo stream K", "fcall f 1 K K", "evalsha s 2 K K", "eval_ro s 1 K", "watch K K", "multi", "unlink K K", "touch K",
    "expireat K 1", "persist K", "scan 0", "keys *", "randomkey", "dbsize", "flushall", "swapdb 0 1", "move K 1", "dump K", "restore K 0 x",
    "debug sleep 0", "georadius K 1 1 1 m", "georadius K 1 1 1 m store K storedist K", "bitop not K K", "zinterstore K 1 K", "zmpop 1 K min", "lcs K K len",
    "sinterstore K K K", "sort K by nosort get x", "memory doctor", "object freq K", "xgroup create K g 0", "xadd K nomkstream * f v", "renamenx K K",
    "mget K K K K K K K K K K", "msetnx K v K v", "getset K v", "hmget K f", "linsert K before a b", "rpoplpush K K", "brpoplpush K K 0",
    "sdiff K K", "smismember K m", "zrange K 0 1", "zpopmin K", "incrbyfloat K 1", "psetex K 1 v", "pubsub channels", "slowlog get", "latency doctor",
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
    if kind < 0.95:
        return "&" + choose.choice(CHANNELS)
    return choose.choice(["allchannels", "resetchannels", "allkeys", "resetkeys", "allcommands", "nocommands", "clearselectors", "on", "reset"])


def rules(choose):
    words = []
    for _ in range(choose.randint(1, RULES_MAX)):
        if choose.random() < 0.12:
            words.append("(" + " ".join(w for w in (rule(choose) for _ in range(choose.randint(1, 4)))) + ")")
        else:
            words.append(rule(choose))
    return words


def request(choose):
    names = {"K": KEYS, "C": CHANNELS}
    return [choose.choice(names[word]) if word in names else word for word in choose.choice(REQUESTS_OF).split()]


def decisions(side, user, requests):
    side.send(b"".join(harness.encode("ACL", "DRYRUN", user, *words) for words in requests))
    return [side.read() for _ in requests]


@pytest.mark.parametrize("seed", [1, 2, random.SystemRandom().getrandbits(32)], ids=["1", "2", "random"])
def test_decisions_are_the_peers(start, peer, seed):
    choose = random.Random(seed)
    ours, theirs = start().connect(), peer.connect()
    for _ in range(-(-DECISIONS // REQUESTS)):
        words = rules(choose)
        for word in ["reset", *words]:
            said = [side.call("ACL", "SETUSER", "u", *([word] if not word.startswith("(") else word.split())) for side in (ours, theirs)]
            assert said[0] == said[1], (seed, words, word, said)
        # What is shown makes the same user again.
        line = next(line for line in ours.call("ACL", "LIST") if line.startswith(b"user u "))
        ours.call_ok("ACL", "SETUSER", "again", "reset", *line.split(b" ")[2:])
        requests = [request(choose) for _ in range(REQUESTS)]
        found = [decisions(*side, requests) for side in ((ours, "u"), (theirs, "u"), (ours, "again"))]
        # Redis 7.0 says "This user", later ones the name.
        found = [[re.sub(rb"^(This user|User \w+) ", b"User ", verdict) for verdict in verdicts] for verdicts in found]
        for words_of_request, *verdicts in zip(requests, *found):
            assert verdicts[0] == verdicts[1] == verdicts[2], (seed, words, words_of_request, verdicts, line)
