"""COMMAND beside redis-server 7.0: what programs read of our commands is what they read there.

Texts for people (summaries, complexities, sentences of histories, notes) are our own and not compared. Where a newer
Redis says something else than 7.0, ours follows the newer, and the difference is listed here with its reason; a
listed difference that is none any more fails too.
"""

import pytest

FIELDS = ["name", "arity", "flags", "first", "last", "step", "categories", "tips", "key_specs", "subcommands"]

# Of the newer versions' documentation: commands that 7.0 does not have.
NEWER_COMMANDS = {
    **dict.fromkeys(["client|no-touch", "client|setinfo"], "7.2"),
    **dict.fromkeys(["hexpire", "hexpireat", "hexpiretime", "hpersist", "hpexpire", "hpexpireat", "hpexpiretime"], "7.4"),
    **dict.fromkeys(["hpttl", "httl"], "7.4"),
    **dict.fromkeys(["hgetdel", "hgetex", "hsetex"], "8.0"),
    **dict.fromkeys(["xackdel", "xdelex"], "8.2"),
    **dict.fromkeys(["delex", "digest", "msetex"], "8.4"),
    **dict.fromkeys(["hotkeys", "hotkeys|get", "hotkeys|help", "hotkeys|reset", "hotkeys|start", "hotkeys|stop"], "8.6"),
    "waitaof": "7.2",
    "script|show": "8.0, of Valkey",
}

# (command, field) -> why it differs from 7.0.
POLICIES = "7.2 says how a client spreads it over a cluster"
INFO_DIFFERENCES = {
    ("acl|deluser", "tips"): POLICIES,
    ("acl|save", "tips"): POLICIES,
    ("acl|setuser", "tips"): POLICIES,
    ("client|setname", "tips"): POLICIES,
    ("config|resetstat", "tips"): POLICIES,
    ("config|rewrite", "tips"): POLICIES,
    ("randomkey", "tips"): POLICIES,
    ("scan", "tips"): POLICIES,
    ("sinterstore", "key_specs"): "7.2 says that it overwrites its destination, as SUNIONSTORE does",
    ("zrank", "arity"): "WITHSCORE is of 7.2",
    ("zrevrank", "arity"): "WITHSCORE is of 7.2",
}
DOCS_DIFFERENCES = {
    ("bgsave", "arguments"): "CANCEL is of Valkey 8.1",
    ("acl|log", "history"): "numbers and times of entries are of 7.2",
    ("bgsave", "history"): "CANCEL is of Valkey 8.1",
    ("client|kill", "arguments"): "MAXAGE is of 7.4; 7.2 named the alternatives otherwise and lists YES and NO",
    ("client|kill", "history"): "MAXAGE is of 7.4",
    ("client|list", "arguments"): "since 7.2 ID needs no block around its numbers",
    ("client|list", "history"): "fields of 7.2 and 7.4",
    ("command|getkeys", "arguments"): "7.0 left them out",
    ("command|getkeysandflags", "arguments"): "7.0 left them out",
    ("config|get", "arguments"): "since 7.2 there is no block around the parameter",
    ("bitop", "arguments"): "7.2 lists the operations; four are of 8.2",
    ("bitop", "history"): "DIFF, DIFF1, ANDOR and ONE are of 8.2",
    ("geohash", "arguments"): "since 7.2 members may be left out",
    ("geopos", "arguments"): "since 7.2 members may be left out",
    ("georadius", "arguments"): "since 7.2 STORE and STOREDIST are alternatives",
    ("georadiusbymember", "arguments"): "since 7.2 STORE and STOREDIST are alternatives",
    ("georadiusbymember", "history"): "7.0 left out ANY",
    ("georadiusbymember_ro", "arguments"): "7.0 left out since when ANY is",
    ("georadiusbymember_ro", "history"): "7.0 left out ANY",
    ("hscan", "arguments"): "NOVALUES is of 7.4",
    ("hscan", "history"): "NOVALUES is of 7.4",
    ("pfmerge", "arguments"): "since 7.2 sources may be left out",
    ("quit", "doc_flags"): "deprecated by 7.2",
    ("quit", "deprecated_since"): "deprecated by 7.2",
    ("set", "arguments"): "IFEQ, IFNE, IFDEQ and IFDNE are of 8.4",
    ("set", "history"): "IFEQ, IFNE, IFDEQ and IFDNE are of 8.4",
    ("xadd", "arguments"): "KEEPREF, DELREF and ACKED are of 8.2",
    ("xadd", "history"): "KEEPREF, DELREF and ACKED are of 8.2",
    ("xinfo|consumers", "history"): "inactive is of 7.2",
    ("xinfo|stream", "arguments"): "since 7.2 FULL is a token in a block",
    ("xinfo|stream", "history"): "seen-time and active-time are of 7.2",
    ("xtrim", "arguments"): "KEEPREF, DELREF and ACKED are of 8.2",
    ("xtrim", "history"): "KEEPREF, DELREF and ACKED are of 8.2",
    ("zrank", "arguments"): "WITHSCORE is of 7.2",
    ("zrank", "history"): "WITHSCORE is of 7.2",
    ("zrevrank", "arguments"): "WITHSCORE is of 7.2",
    ("zrevrank", "history"): "WITHSCORE is of 7.2",
}
# Requests whose keys both must find, and those that both must refuse.
KEY_REQUESTS = [
    "GET a", "SET a b", "SET a b GET", "SET a b EX 10 get", "SET get get", "MGET a b c", "MSET a 1 b 2",
    "MSET a 1 b", "MSET a", "COPY a b", "COPY a b DB 1 REPLACE", "RENAME a b", "DEL a", "DEL a b c a",
    "LCS a b LEN", "GETEX a PERSIST", "OBJECT ENCODING a", "OBJECT HELP x", "object encoding a b",
    "SCAN 0", "PING a", "NOPE a", "CONFIG GET a", "CONFIG NOPE a", "COMMAND x", "GET", "EXPIRE a", "move a 1 2",
]
LIST_REQUESTS = [
    "COMMAND LIST X", "COMMAND LIST FILTERBY", "COMMAND LIST FILTERBY ACLCAT", "COMMAND LIST FILTERBY X y",
    "COMMAND LIST FILTERBY MODULE nope", "COMMAND LIST FILTERBY ACLCAT nope",
    "COMMAND LIST FILTERBY ACLCAT @read", "COMMAND LIST FILTERBY PATTERN gEt",
    "COMMAND LIST FILTERBY PATTERN config|r?set*", "COMMAND LIST FILTERBY PATTERN nope*",
    "COMMAND COUNT x", "COMMAND NOPE", "COMMAND HELP x", "COMMAND DOCS nope", "COMMAND INFO nope config|nope a|b|c",
]
# Whole replies that are the same, byte for byte in both protocols.
SAME_INFO = ["get", "del", "mset", "expire", "copy", "shutdown", "lolwut", "object|encoding", "auth", "info",
             "OBJECT|help", "swapdb", "client|list", "debug", "GETSET", "strlen", "time", "command|count"]


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def plain(value):
    """Replies without their types: maps as dictionaries, sets and arrays as lists, bytes as text."""
    if type(value).__name__ == "Map":
        return {plain(key): plain(item) for key, item in value}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return text(value)


def typed(value):
    """Replies with their types, so that a simple string differs from a bulk string and a set from an array."""
    if type(value).__name__ == "Map":
        return "Map", [(typed(key), typed(item)) for key, item in value]
    if isinstance(value, list):
        return type(value).__name__, [typed(item) for item in value]
    return type(value).__name__, value


def all_info(connection):
    """Full name -> fields, subcommands too."""
    found = {}

    def add(entry):
        fields = dict(zip(FIELDS, entry, strict=True))
        for name in ("flags", "categories", "tips"):
            fields[name] = sorted(fields[name])
        for spec in fields["key_specs"]:
            spec.pop("notes", None)
            spec["flags"] = sorted(spec["flags"])
        for subcommand in fields.pop("subcommands"):
            add(subcommand)
        found[fields["name"]] = fields

    for entry in plain(connection.call("COMMAND")):
        add(entry)
    return found


def all_docs(connection):
    found = {}

    def add(commands):
        for name, docs in commands.items():
            add(docs.pop("subcommands", {}))
            found[name] = docs

    add(plain(connection.call("COMMAND", "DOCS")))
    return found


@pytest.fixture
def both(server, peer):
    return server.connect(3), peer.connect(3)


def compare(ours, theirs, differences, newer=NEWER_COMMANDS):
    """Every difference that is not listed, and every listed one that is none."""
    wrong = []
    for name, fields in ours.items():
        if name in newer:
            continue
        if name not in theirs:
            wrong.append(f"{name}: unknown there")
            continue
        for field in sorted(set(fields) | set(theirs[name])):
            is_same = fields.get(field) == theirs[name].get(field)
            if is_same == ((name, field) in differences):
                wrong.append(f"{name}: {field}: {fields.get(field)} here, {theirs[name].get(field)} there")
    return wrong


def test_info(both):
    ours, theirs = map(all_info, both)
    assert compare(ours, theirs, INFO_DIFFERENCES) == []


def argument(one):
    """An argument by what it is: its shape, tokens and flags. 7.2 named very many anew."""
    return {
        **{key: one.get(key) for key in ("type", "token", "since", "deprecated_since", "key_spec_index")},
        "flags": sorted(one.get("flags", [])),
        "arguments": [argument(inner) for inner in one.get("arguments", [])],
    }


def facts(docs):
    found = {}
    for name, fields in docs.items():
        found[name] = {key: fields.get(key) for key in ("since", "group", "deprecated_since")}
        found[name]["doc_flags"] = sorted(fields.get("doc_flags", []))
        found[name]["history"] = sorted(version for version, _ in fields.get("history", []))
        found[name]["arguments"] = [argument(one) for one in fields.get("arguments", [])]
    return found


def test_docs(both):
    ours, theirs = (facts(all_docs(connection)) for connection in both)
    assert compare(ours, theirs, DOCS_DIFFERENCES) == []


def all_arguments(arguments):
    for one in arguments:
        yield one
        yield from all_arguments(one.get("arguments", []))


def test_every_argument_that_is_shown_has_a_text(server):
    for name, docs in all_docs(server.connect(3)).items():
        for one in all_arguments(docs.get("arguments", [])):
            assert ("display_text" in one) == (one["type"] not in ("oneof", "block")), (name, one)


def test_docs_of_some(both):
    for connection in both:
        reply = plain(connection.call("COMMAND", "DOCS", "nope", "GET", "config|get"))
        assert list(reply) == ["get", "config|get"]


@pytest.mark.parametrize("protocol", [2, 3])
def test_shape_of_info(server, peer, protocol):
    replies = [typed(one.connect(protocol).call("COMMAND", "INFO", *SAME_INFO)) for one in (server, peer)]
    for name, ours, theirs in zip(SAME_INFO, replies[0][1], replies[1][1], strict=True):
        assert ours == theirs, name


@pytest.mark.parametrize("protocol", [2, 3])
def test_shape_of_docs(server, peer, protocol):
    """The kinds of everything in a reply, where both have the same fields."""

    def kinds(value):
        kind, inner = value
        if kind == "Map":
            return kind, [(key, kinds(item)) for key, item in inner if key[1] != b"display_text"]
        return (kind, [kinds(item) for item in inner]) if isinstance(inner, list) else kind

    names = ["substr", "auth", "expire", "swapdb", "incrby", "debug"]
    if protocol == 3:
        ours, theirs = (kinds(typed(one.connect(3).call("COMMAND", "DOCS", *names))) for one in (server, peer))
        assert ours == theirs
    else:
        reply = server.connect(2).call("COMMAND", "DOCS", *names)
        assert reply[::2] == [name.encode() for name in names]
        assert all(type(fields) is list and len(fields) % 2 == 0 for fields in reply[1::2])


@pytest.mark.parametrize("protocol", [2, 3])
def test_keys_of_requests(server, peer, protocol):
    ours, theirs = server.connect(protocol), peer.connect(protocol)
    for request in KEY_REQUESTS:
        for subcommand in ("GETKEYS", "GETKEYSANDFLAGS"):
            words = ["COMMAND", subcommand, *request.split()]
            assert typed(ours.call(*words)) == typed(theirs.call(*words)), words


@pytest.mark.parametrize("protocol", [2, 3])
def test_list_and_errors(server, peer, protocol):
    ours, theirs = server.connect(protocol), peer.connect(protocol)
    for request in LIST_REQUESTS:
        assert typed(ours.call(*request.split())) == typed(theirs.call(*request.split())), request


def test_list_is_what_info_says(server):
    connection = server.connect()
    info = all_info(server.connect(3))
    assert sorted(map(text, connection.call("COMMAND", "LIST"))) == sorted(info)
    assert connection.call("COMMAND", "COUNT") == len([name for name in info if "|" not in name])
    for category in ("read", "write", "dangerous", "connection"):
        listed = map(text, connection.call("COMMAND", "LIST", "FILTERBY", "ACLCAT", category))
        assert sorted(listed) == sorted(n for n, fields in info.items() if "@" + category in fields["categories"])


@pytest.mark.parametrize("container", ["CLIENT", "COMMAND", "CONFIG", "DEBUG", "OBJECT"])
def test_help(server, peer, container):
    """The same frame around other words: simple strings, the first and the last lines."""
    ours, theirs = (one.connect().call(container, "HELP") for one in (server, peer))
    assert {type(line).__name__ for line in ours} == {"Status"}
    assert (ours[0], ours[-2:]) == (theirs[0], theirs[-2:])
