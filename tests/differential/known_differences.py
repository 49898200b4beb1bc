"""What may differ between Redstart and the peer, Debian's redis-server 7.0.15: every exception, with its reason.

Two kinds. An ordering or a measurement that no two servers share is compared by a rule that looks at the rest of
the reply (COMPARISONS). A behaviour in which Redstart follows a newer Redis is listed under KNOWN. Whatever is in
neither list has to be equal byte for byte.
"""

import re
from dataclasses import dataclass
from typing import Callable

import generator_dump
import known_differences_stream
from generator import COMMANDS
from wire import elements, parse

TOLERANCE_MS = 10_000  # the servers get a command at slightly different times, on a busy machine even more


@dataclass(frozen=True)
class Known:
    name: str
    command: re.Pattern  # matched against the arguments, in upper case, joined by blanks
    allows: Callable[[bytes, bytes], bool]  # (our reply, the peer's reply)
    reason: str


def known(name, command, allows, reason):
    return Known(name, re.compile(command.encode(), re.S), allows, reason)


def peer_lacks_it(ours, peer):
    return peer.startswith(b"-ERR unknown subcommand")


NEWER_ENCODINGS = {(b"listpack", b"quicklist"), (b"listpack", b"hashtable"), (b"listpackex", b"hashtable")}


def newer_encoding(ours, peer):
    pairs = NEWER_ENCODINGS
    return (ours[4:].strip(), peer[4:].strip()) in pairs or (ours[4:].strip(), peer[5:].strip()) in pairs


def gone_or_equal(ours, peer):
    ours, peer = parse(ours), parse(peer)
    return len(ours) == len(peer) and all(a in (b, (b"+", b"0" * 40)) for a, b in zip(ours, peer))


def same_but_last_run(ours, peer):
    (ours, last), (peer, other) = ((parse(reply).rpartition(b" ")[::2]) for reply in (ours, peer))
    return ours == peer and last.startswith(b"z:") and other.startswith(b"Z:")


KNOWN = [
    known(
        "timeout-too-large", r"(BLPOP|BRPOP|BLMOVE|BRPOPLPUSH|BLMPOP|BZPOPMIN|BZPOPMAX|BZMPOP) .*",
        lambda ours, peer: (ours, peer) == (b"-ERR timeout is out of range\r\n", b"-ERR timeout is negative\r\n"),
        "7.0 takes what overflows for a negative number",
    ),
    known(
        "hyperloglog-cut-off", r"PFADD .*",
        lambda ours, peer: ours == b"-INVALIDOBJ Corrupted HLL object detected\r\n" and peer.startswith(b":"),
        "7.0 reads the second byte of a run that a damaged HyperLogLog ends within from behind the value",
    ),
    known(
        "hyperloglog-cut-off-decoded", r"PFDEBUG DECODE .*",
        same_but_last_run,
        "the same",
    ),
    known(
        "small-collections", r"OBJECT ENCODING .*", newer_encoding,
        "small lists (since 7.2) and sets of words (since 7.2) are listpacks",
    ),
    known(
        "digest-of-what-is-over", r"DEBUG DIGEST-VALUE .*", gone_or_equal,
        "7.0 gives the digest of a key that is past its time and not yet removed",
    ),
    known(
        "client-setinfo", r"CLIENT SETINFO( .*)?", peer_lacks_it,
        "CLIENT SETINFO is of Redis 7.2: clients tell their library with it",
    ),
    known(
        "client-no-touch", r"CLIENT NO-TOUCH( .*)?", peer_lacks_it,
        "CLIENT NO-TOUCH is of Redis 7.2",
    ),
    known(
        "client-kill-maxage", r"CLIENT KILL (.* )?MAXAGE .*", lambda ours, peer: peer == b"-ERR syntax error\r\n",
        "the filter MAXAGE of CLIENT KILL is of Redis 7.4",
    ),
    known(
        "zrank-withscore", r"Z(REV)?RANK .* WITHSCORE",
        lambda ours, peer: peer.startswith(b"-ERR wrong number of arguments for 'z"),
        "the option WITHSCORE of ZRANK and ZREVRANK is of Redis 7.2",
    ),
    known(
        "zrank-arguments", r"Z(REV)?RANK( .*)?",
        lambda ours, peer: peer.startswith(b"-ERR wrong number of arguments for 'z") and ours == b"-ERR syntax error\r\n",
        "since Redis 7.2 ZRANK and ZREVRANK take a fourth word, which may be a wrong one",
    ),
    known(
        "xadd-stale-error", r"XADD .*",
        lambda ours, peer: b"equal or smaller" in ours and peer == b"-ERR Elements are too large to be stored\r\n",
        "7.0 takes the errno of an earlier call for that of this one, when ms-* is too small",
    ),
    known(
        "newer-policies", r"CONFIG SET (.* )?MAXMEMORY-POLICY .*",
        lambda ours, peer: ours.replace(b", volatile-lrm, allkeys-lrm", b"") == peer,
        "the policies that look at changes alone are of Redis 8.6",
    ),
    known(
        "xread-last", r"XREAD .*\+.*", lambda ours, peer: peer.startswith(b"-ERR Invalid stream ID"),
        "XREAD gives the last entry behind the id + since Redis 7.4",
    ),
]  # fmt: skip


# Rules of comparison: (command, function(arguments, ours, peer, context) -> equal?). Errors are never bent.


def integers_close(tolerance):
    def compare(arguments, ours, peer, context):
        if not (ours[:1] == peer[:1] == b":"):
            return False
        ours, peer = int(ours[1:]), int(peer[1:])
        return ours >= 0 and peer >= 0 and abs(ours - peer) <= tolerance

    return compare


def same_kind(arguments, ours, peer, context):
    return ours[:1] == peer[:1] and (ours[:3] == b"$-1") == (peer[:3] == b"$-1")


def same_elements(arguments, ours, peer, context):
    if ours[:1] != peer[:1]:
        return False
    ours, peer = elements(parse(ours)), elements(parse(peer))
    return ours is not None and peer is not None and sorted(map(repr, ours)) == sorted(map(repr, peer))


def same_pairs(arguments, ours, peer, context):
    if ours[:1] != peer[:1]:
        return False
    ours, peer = elements(parse(ours)), elements(parse(peer))
    return dict(zip(ours[::2], ours[1::2])) == dict(zip(peer[::2], peer[1::2])) and len(ours) == len(peer)


def dbsize(arguments, ours, peer, context):
    """Keys that were stored with a time in the past count until somebody finds them."""
    if not (ours[:1] == peer[:1] == b":"):
        return False
    return abs(int(ours[1:]) - int(peer[1:])) <= context.lingering


def scan(arguments, ours, peer, context):
    """Where a cursor leads is the server's own; a whole scan in one call gives the same keys."""
    if ours[:1] != b"*" or peer[:1] != b"*":
        return False
    ours, peer = parse(ours), parse(peer)
    shape = all(len(r) == 2 and isinstance(r[0], bytes) and r[0].isdigit() and isinstance(r[1], list) for r in (ours, peer))
    if not shape or arguments[1] != b"0" or b"100000" not in arguments:
        return shape
    return ours[0] == peer[0] == b"0" and sorted(ours[1]) == sorted(peer[1])


def scan_members(arguments, ours, peer, context):
    return scan(arguments[1:], ours, peer, context)


def same_fields(arguments, ours, peer, context):
    """Fields with their values, in any order."""
    if ours[:1] != peer[:1]:
        return False
    ours, peer = elements(parse(ours)), elements(parse(peer))
    return sorted(zip(ours[::2], ours[1::2])) == sorted(zip(peer[::2], peer[1::2])) and len(ours) == len(peer)


def random_fields(arguments, ours, peer, context):
    """All of them where more were asked for; otherwise as many."""
    if ours[:1] != peer[:1] or b":" in (ours[:1], peer[:1]):
        return False
    if len(arguments) == 2:
        return same_kind(arguments, ours, peer, context)
    ours, peer = elements(parse(ours)), elements(parse(peer))
    if int(arguments[2]) < 1000:
        return len(ours) == len(peer)
    if len(arguments) == 4 and not isinstance(ours[0], list):
        ours, peer = list(zip(ours[::2], ours[1::2])), list(zip(peer[::2], peer[1::2]))
    return sorted(map(repr, ours)) == sorted(map(repr, peer))


def scan_fields(arguments, ours, peer, context):
    """As SCAN: a whole scan in one call gives the same fields with their values."""
    ours, peer = parse(ours), parse(peer)
    shape = all(len(r) == 2 and isinstance(r[0], bytes) and r[0].isdigit() and isinstance(r[1], list) for r in (ours, peer))
    if not shape or arguments[2] != b"0" or b"100000" not in arguments:
        return shape
    pairs = [sorted(zip(r[1][::2], r[1][1::2])) for r in (ours, peer)]
    return ours[0] == peer[0] == b"0" and pairs[0] == pairs[1]


def hello(arguments, ours, peer, context):
    """Version and the connection's number are each server's own."""
    if ours[:1] != peer[:1]:
        return False
    ours, peer = elements(parse(ours)), elements(parse(peer))
    own = (b"version", b"id")
    return [(k, v) for k, v in zip(ours[::2], ours[1::2]) if k not in own] == [
        (k, v) for k, v in zip(peer[::2], peer[1::2]) if k not in own
    ] and ours[::2] == peer[::2]


CLIENT_FIELDS_COMPARED = {"name", "flags", "db", "sub", "psub", "ssub", "multi", "cmd", "user", "redir", "resp"}
CLIENT_FIELDS_NEWER = {"watch", "lib-name", "lib-ver", "io-thread", "tot-net-in", "tot-net-out", "tot-cmds"}


def client_lines(reply):
    """The lines of CLIENT LIST: the names in their order, and what is comparable."""
    value = parse(reply)
    text = (value[1][4:] if isinstance(value, tuple) else value).decode()
    lines = []
    for line in text.splitlines():
        pairs = [field.partition("=")[::2] for field in line.split(" ")]
        names = [name for name, _ in pairs if name not in CLIENT_FIELDS_NEWER]
        values = {name: value for name, value in pairs if name in CLIENT_FIELDS_COMPARED}
        values["flags"] = values.get("flags", "").replace("T", "").replace("e", "") or "N"  # T is NO-TOUCH; e is NO-EVICT, which RESET ends since 7.2
        lines.append((names, values))
    return lines


def client_list(arguments, ours, peer, context):
    """Addresses, numbers and sizes are each server's own; Redis 7.2 and 7.4 added fields, 7.2 the flag T."""
    return ours[:1] == peer[:1] and sorted(map(repr, client_lines(ours))) == sorted(map(repr, client_lines(peer)))


def info(arguments, ours, peer, context):
    """Values are measurements; the sections are the same and in the same order. Redis 7.4 has some that 7.0 lacks."""
    if ours[:1] != peer[:1]:
        return False
    headings = [re.findall(rb"^# (.*?)\r$", reply, re.M) for reply in (ours, peer)]
    newer = {b"Keysizes", b"Threads"}
    return [h for h in headings[0] if h not in newer] == headings[1]


def command_table(arguments, ours, peer, context):
    """Names that only the peer has are later issues' commands."""
    ours, peer = elements(parse(ours)), elements(parse(peer))
    return {name for name in ours if name in COMMANDS} == {name for name in peer if name in COMMANDS}


def unordered(value):
    """A parsed reply with its sets, and arrays of simple strings, in order."""
    children = elements(value)
    if children is None:
        return value
    if b"notes" in children:  # sentences of each server's own
        at = children.index(b"notes")
        del children[at : at + 2]
    children = [unordered(child) for child in children]
    is_set = isinstance(value, tuple) and value[0] == b"~"
    if is_set or all(isinstance(child, tuple) and child[0] == b"+" for child in children):
        children.sort(key=repr)
    return children


def command_info(arguments, ours, peer, context):
    """Name, arity, flags, keys, categories and key specifications; not tips, which grew, nor subcommands."""
    if ours[:1] != peer[:1]:
        return False
    ours, peer = elements(parse(ours)), elements(parse(peer))
    return len(ours) == len(peer) and all(
        (a is None and b is None) or (a and b and unordered(a[:7]) == unordered(b[:7]) and unordered(a[8]) == unordered(b[8]))
        for a, b in zip(ours, peer)
    )


def command_docs(arguments, ours, peer, context):
    """Our sentences are our own; since, group and the name have to agree."""

    def facts(reply):
        found = elements(parse(reply))
        result = {}
        for name, entry in zip(found[::2], found[1::2]):
            entry = elements(entry)
            pairs = dict(zip(entry[::2], map(repr, entry[1::2])))
            result[name] = {key: pairs.get(key) for key in (b"since", b"group")}
        return result

    return ours[:1] == peer[:1] and facts(ours) == facts(peer)


def help_text(arguments, ours, peer, context):
    """The first line and the last two are fixed; the sentences between are our own."""
    ours, peer = elements(parse(ours)), elements(parse(peer))
    return ours is not None and peer is not None and ours[0] == peer[0] and ours[-2][1] == peer[-2][1]


def reference_counts(arguments, ours, peer, context):
    """A small integer is shared by all, unless it was copied: each server's own matter."""
    return {ours, peer} == {b":1\r\n", b":2147483647\r\n"}


def debug_object(arguments, ours, peer, context):
    """The same fields; where the value stands, when it was used and how long its RDB form is are measurements."""
    field = re.compile(rb"(at|refcount|encoding|serializedlength|lru|lru_seconds_idle):(\S+)")
    ours, peer = field.findall(ours), field.findall(peer)
    if [name for name, _ in ours] != [name for name, _ in peer]:
        return False
    mine, other = dict(ours)[b"encoding"], dict(peer)[b"encoding"]  # refcount: which small integers are shared is each's own matter
    return mine == other or (mine, other) in NEWER_ENCODINGS or context.sorted and (mine, other) == (b"listpack", b"skiplist")


def dataset_digest(arguments, ours, peer, context):
    """In Redis it is also of keys past their time, until they are removed. DIGEST-VALUE is compared as it is."""
    return ours[:1] == peer[:1] == b"+" and len(ours) == len(peer)


def encoding_after_sort(arguments, ours, peer, context):
    return context.sorted and (ours, peer) == (b"$8\r\nlistpack\r\n", b"$8\r\nskiplist\r\n")


def score_values(value):
    """A parsed reply in which what reads as a number with a fraction, an exponent or very many digits is that number:
    Redis 7.0 writes a score as printf's %.17g, from 7.2 on and here it is the shortest text that reads back as the same
    double, in another layout."""
    if isinstance(value, tuple) and value[0] == b",":
        return float(value[1])
    children = elements(value)
    if children is not None:
        return [score_values(child) for child in children]
    if isinstance(value, bytes) and re.fullmatch(rb"-?\d(\d*\.\d+(e[-+]\d+)?|e[-+]\d+|\d{16,})", value):
        return float(value)
    return value


def same_scores(arguments, ours, peer, context):
    return ours[:1] == peer[:1] and score_values(parse(ours)) == score_values(parse(peer))


def value_scan(arguments, ours, peer, context):
    """As scan, for SCAN's siblings: the whole in one call has the same pairs. A cursor's number is each server's own."""
    if ours[:1] != b"*" or peer[:1] != b"*":
        return False
    ours, peer = parse(ours), parse(peer)
    shape = all(len(r) == 2 and isinstance(r[0], bytes) and r[0].isdigit() and isinstance(r[1], list) for r in (ours, peer))
    if not shape or arguments[2] != b"0" or b"100000" not in arguments:
        return shape
    pairs = [sorted(map(repr, zip(r[1][::2], score_values(r[1][1::2])))) for r in (ours, peer)]
    return ours[0] == peer[0] == b"0" and pairs[0] == pairs[1]


def sort(arguments, ours, peer, context):
    """Sets have no order of their own, which shows where nothing is sorted. With ALPHA Redis compares as the locale
    does, up to a zero byte."""
    names = [argument.upper() for argument in arguments]
    if b"BY" not in names and not (b"ALPHA" in names and (b"GET" in names or b"\x00" in ours + peer)):
        return False
    if not same_elements(arguments, ours, peer, context):
        return b"LIMIT" in names and ours[:1] == peer[:1] == b"*" and len(parse(ours)) == len(parse(peer))
    return True


def random_members(arguments, ours, peer, context):
    """What is picked is chance; how many are is not."""
    if ours[:1] != peer[:1] or ours[:3] == b"$-1" or peer[:3] == b"$-1":
        return False
    ours, peer = parse(ours), parse(peer)
    return isinstance(ours, bytes) and isinstance(peer, bytes) or len(ours) == len(peer)


COMPARISONS = {
    b"TTL": integers_close(TOLERANCE_MS // 1000),
    b"PTTL": integers_close(TOLERANCE_MS),
    b"EXPIRETIME": integers_close(TOLERANCE_MS // 1000),
    b"PEXPIRETIME": integers_close(TOLERANCE_MS),
    b"KEYS": same_elements,
    b"RANDOMKEY": same_kind,
    b"SCAN": scan,
    **{name: same_scores for name in (
        b"BZMPOP", b"BZPOPMAX", b"BZPOPMIN", b"ZADD", b"ZDIFF", b"ZINCRBY", b"ZINTER", b"ZMPOP", b"ZMSCORE", b"ZPOPMAX",
        b"ZPOPMIN", b"ZRANGE", b"ZRANGEBYSCORE", b"ZRANK", b"ZREVRANGE", b"ZREVRANGEBYSCORE", b"ZREVRANK", b"ZSCORE",
        b"ZUNION",
    )},
    b"ZSCAN": value_scan,
    b"ZRANDMEMBER": random_members,
    b"SORT": sort,
    b"SORT_RO": sort,
    b"DBSIZE": dbsize,
    b"SMEMBERS": same_elements,
    b"HGETALL": same_fields,
    b"HKEYS": same_elements,
    b"HVALS": same_elements,
    b"HRANDFIELD": random_fields,
    b"HSCAN": scan_fields,
    b"SINTER": same_elements,
    b"SUNION": same_elements,
    b"SDIFF": same_elements,
    b"SPOP": same_elements,
    b"SRANDMEMBER": same_elements,
    b"SSCAN": scan_members,
    b"TIME": same_kind,
    b"LOLWUT": same_kind,
    b"INFO": info,
    b"HELLO": hello,
    b"OBJECT ENCODING": encoding_after_sort,
    b"OBJECT REFCOUNT": reference_counts,
    b"OBJECT IDLETIME": integers_close(1 << 24),  # after an LFU policy it is anything
    b"OBJECT FREQ": integers_close(255),
    b"CLIENT ID": integers_close(1 << 62),
    b"CLIENT INFO": client_list,
    b"CLIENT LIST": client_list,
    b"CONFIG GET": same_pairs,
    b"COMMAND COUNT": integers_close(1000),
    b"COMMAND LIST": command_table,
    b"COMMAND INFO": command_info,
    b"COMMAND DOCS": command_docs,
    b"DUMP": generator_dump.same_payload,
    b"DEBUG DIGEST": dataset_digest,
    b"DEBUG OBJECT": debug_object,
    b"OBJECT HELP": help_text,
    b"CLIENT HELP": help_text,
    b"CONFIG HELP": help_text,
    b"COMMAND HELP": help_text,
    b"DEBUG HELP": help_text,
}


COMPARISONS.update(known_differences_stream.COMPARISONS)
COMPARISONS.update({b"XGROUP CREATECONSUMER": same_kind, b"XGROUP HELP": help_text, b"XINFO HELP": help_text})


@dataclass
class Context:
    lingering: int = 0  # keys stored with a time in the past since everything was flushed
    sorted: bool = False  # since then there was a SORT, which in Redis turns a small sorted set into a large one


def is_allowed(arguments, ours, peer, context):
    """True where two replies that are not the same bytes are nevertheless no difference."""
    upper = [argument.upper() for argument in arguments]
    if ours is not None and peer is not None:
        if not (ours.startswith(b"-") or peer.startswith(b"-")):
            rule = COMPARISONS.get(b" ".join(upper[:2])) or COMPARISONS.get(upper[0])
            if rule:
                try:
                    if rule(arguments, ours, peer, context):
                        return True
                except (ValueError, TypeError, IndexError, AssertionError):
                    pass  # not even of the expected shape
        joined = b" ".join(upper)
        for entry in KNOWN:
            if entry.command.fullmatch(joined) and entry.allows(ours, peer):
                return True
    return False
