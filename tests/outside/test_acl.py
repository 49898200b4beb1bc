"""What users meet: logging in, refusals everywhere that commands run, the log of them, and where users are kept."""

import hashlib

import pytest

import harness
from harness import wait_until

NO_KEY = b"NOPERM No permissions to access a key"
CHANGED = (
    b"NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is"
    b" no longer allowed for the following reason: "
)


@pytest.fixture
def admin(start):
    return start().connect()


def no_command(user, command):
    return f"NOPERM User {user} has no permissions to run the '{command}' command".encode()


def as_user(server, name, *rules):
    with server.connect() as admin:
        admin.call_ok("ACL", "SETUSER", name, "on", "nopass", *rules)
    connection = server.connect()
    connection.call_ok("AUTH", name, "any")
    return connection


def log_of(connection, *arguments):
    entries = connection.call("ACL", "LOG", *arguments)
    return [dict(zip(entry[::2], entry[1::2])) for entry in entries]


@pytest.mark.since("7.2")
def test_refusals_and_their_log(start):
    server = start()
    admin = server.connect()
    user = as_user(server, "t", "~x*", "+@all", "-acl|list", "-keys", "-config|get")
    user.call_ok("CLIENT", "SETNAME", "nnn")
    assert user.call("ACL", "WHOAMI") == b"t"
    assert user.call("ACL", "LIST") == no_command("t", "acl|list")
    assert user.call("KEYS", "*") == no_command("t", "keys")
    assert user.call("CONFIG", "GET", "x") == no_command("t", "config|get")
    assert user.call("GET", "y") == NO_KEY
    assert user.call("GET", "y") == NO_KEY
    assert user.call("MGET", "x1", "y2", "y3") == NO_KEY
    assert user.call("GET", "y", "a").startswith(b"ERR wrong number of arguments")
    assert user.call("GET", "x") is None
    assert user.call("SORT", "x", "STORE", "y") == NO_KEY
    newest, *_, oldest = entries = log_of(admin)
    assert [entry[b"object"] for entry in entries] == [b"y", b"y2", b"config|get", b"keys", b"acl|list"]
    assert (newest[b"count"], newest[b"reason"], newest[b"context"], newest[b"username"]) == (3, b"key", b"toplevel", b"t")
    assert oldest[b"reason"] == b"command" and b" name=nnn " in oldest[b"client-info"] and b" user=t " in oldest[b"client-info"]
    assert 0 <= float(newest[b"age-seconds"]) < 60
    assert len(log_of(admin, "2")) == 2 and log_of(admin, "0") == []
    info = server.info("stats")
    assert (int(info["acl_access_denied_cmd"]), int(info["acl_access_denied_key"])) == (3, 4)
    admin.call_ok("ACL", "LOG", "RESET")
    assert log_of(admin) == []


@pytest.mark.since("7.2")
def test_entries_have_numbers_and_times(start):
    server = start()
    user = as_user(server, "t", "+acl")
    user.call("GET", "x"), user.call("SET", "x", "1")
    admin = server.connect()
    second, first = log_of(admin)
    assert second[b"entry-id"] == first[b"entry-id"] + 1
    assert first[b"timestamp-created"] <= first[b"timestamp-last-updated"]


def test_the_log_is_bounded(admin):
    admin.call_ok("CONFIG", "SET", "acllog-max-len", "3")
    for name in "abcde":
        assert admin.call("AUTH", name, "x").startswith(b"WRONGPASS")
    assert [entry[b"username"] for entry in log_of(admin, "99")] == [b"e", b"d", b"c"]
    assert log_of(admin)[0][b"reason"] == b"auth" and log_of(admin)[0][b"object"] == b"AUTH"


@pytest.mark.since("7.2")
def test_transactions(start):
    server = start()
    admin = server.connect()
    user = as_user(server, "m", "+@all", "~x*", "-keys")
    user.call_ok("MULTI")
    assert user.call("GET", "y") == NO_KEY
    assert user.call("KEYS", "*") == no_command("m", "keys")
    assert user.call("EXEC").startswith(b"EXECABORT")
    user.call_ok("MULTI")
    for command in [("GET", "x"), ("PING",), ("SET", "x", "1"), ("ECHO", "hello")]:
        assert user.call(*command) == b"QUEUED"
    admin.call_ok("ACL", "SETUSER", "m", "resetkeys", "~y", "-ping")
    denied_key = CHANGED + b"no permission to touch the specified keys"
    assert user.call("EXEC") == [
        denied_key, CHANGED + b"no permission to execute the command or subcommand", denied_key, b"hello"
    ]  # fmt: skip
    assert [(e[b"context"], e[b"object"]) for e in log_of(admin, "2")] == [(b"multi", b"x"), (b"multi", b"ping")]
    admin.call_ok("ACL", "SETUSER", "m", "-exec")
    user.call_ok("MULTI")
    assert user.call("EXEC") == b"EXECABORT Transaction discarded because of: " + no_command("m", "exec")
    assert user.call("PING") == no_command("m", "ping")


@pytest.mark.since("7.2")
def test_scripts(start):
    server = start()
    user = as_user(server, "s", "+@all", "~x*", "-keys")
    key = b"ERR ACL failure in script: No permissions to access a key"
    assert user.call("EVAL", "return redis.call('get','y')", "0").startswith(key)
    assert user.call("EVAL", "return redis.pcall('get','y')", "0") == key
    assert user.call("EVAL", "return redis.call('keys','y')", "0").startswith(
        b"ERR ACL failure in script: User s has no permissions to run the 'keys' command"
    )
    assert user.call("EVAL", "return redis.call('set','x','1')", "0") == b"OK"
    assert user.call("EVAL", "return {redis.acl_check_cmd('get','x'), redis.acl_check_cmd('echo','x')}", "0") == [1, 1]
    assert user.call("EVAL", "return redis.acl_check_cmd('get','y')", "0") is None
    assert user.call("EVAL", "return redis.call('get','x')", "1", "y") == NO_KEY
    admin = server.connect()
    assert {entry[b"context"] for entry in log_of(admin)} == {b"lua", b"toplevel"}


def test_sort_reaches_other_keys(start):
    server = start()
    user = as_user(server, "s", "+@all", "~x*")
    by, get = (b"ERR %s option of SORT denied due to insufficient ACL permissions." % name for name in (b"BY", b"GET"))
    assert user.call("SORT", "x", "BY", "y*") == by
    assert user.call("SORT", "x", "GET", "x*") == get
    assert user.call("SORT", "x", "GET", "#") == get
    assert user.call("SORT", "x", "BY", "nosort") == []
    server.connect().call_ok("ACL", "SETUSER", "s", "%R~*")
    assert user.call("SORT", "x", "BY", "y*", "GET", "x*") == []


def test_logging_in(start):
    server = start()
    admin = server.connect()
    admin.call_ok("ACL", "SETUSER", "a", "on", ">one", ">two", "+@all")
    for password, known in [("one", True), ("two", True), ("three", False), ("", False)]:
        reply = server.connect().call("AUTH", "a", password)
        assert reply == b"OK" if known else reply.startswith(b"WRONGPASS")
    user = server.connect(protocol=3)
    assert user.call("HELLO", "3", "AUTH", "a", "one").dict()[b"proto"] == 3
    assert user.call("HELLO", "3", "AUTH", "a", "bad").startswith(b"WRONGPASS")
    assert user.call("ACL", "WHOAMI") == b"a"
    admin.call_ok("ACL", "SETUSER", "a", "off")
    assert user.call("PING") == b"PONG"  # who is in stays in
    assert server.connect().call("AUTH", "a", "one").startswith(b"WRONGPASS")
    assert user.call("RESET") == b"RESET"
    assert user.call("ACL", "WHOAMI") == b"default"


def test_a_default_user_that_is_off(start):
    server = start()
    admin = server.connect()
    admin.call_ok("ACL", "SETUSER", "boss", "on", "nopass", "allcommands", "allkeys")
    admin.call_ok("ACL", "SETUSER", "default", "off")
    stranger = server.connect()
    assert stranger.call("PING").startswith(b"NOAUTH")
    assert stranger.call("AUTH", "default", "x").startswith(b"WRONGPASS")
    stranger.call_ok("AUTH", "boss", "x")
    stranger.call_ok("ACL", "SETUSER", "default", "on")
    assert server.connect().call("PING") == b"PONG"


@pytest.mark.since("7.2")
def test_rules_hold_at_once_and_deleted_users_are_gone(start):
    server = start()
    admin = server.connect()
    user = as_user(server, "t", "+@all", "~*")
    other = as_user(server, "u", "+@all", "~*")
    admin.call_ok("ACL", "SETUSER", "t", "-get")
    assert user.call("GET", "x") == no_command("t", "get")
    admin.call_ok("ACL", "SETUSER", "t", "+get")
    assert user.call("GET", "x") is None
    assert admin.call("CLIENT", "KILL", "USER", "nobody") == b"ERR No such user 'nobody'"
    assert admin.call("CLIENT", "KILL", "USER", "u") == 1
    assert other.is_closed()
    assert admin.call("ACL", "DELUSER", "t") == 1
    assert user.is_closed()
    own = as_user(server, "own", "+@all")
    assert own.call("ACL", "DELUSER", "own") == 1
    assert own.is_closed()


def test_passwords_are_never_shown(start):
    server = start(slowlog_log_slower_than=0)
    admin = server.connect()
    admin.call_ok("ACL", "SETUSER", "a", "on", ">topsecret", "+@all")
    server.connect().call("AUTH", "a", "topsecret")
    assert b"topsecret" not in repr(admin.call("SLOWLOG", "GET", "100")).encode()
    assert b"topsecret" not in b"".join(admin.call("ACL", "LIST"))
    assert "topsecret" not in server.log()


LINES = ["user alice on #%s ~a* resetchannels -@all +@read -get" % hashlib.sha256(b"p").hexdigest(),
         "user bob off resetchannels -@all (~x resetchannels -@all +get)", "user default on nopass ~* &* +@all"]  # fmt: skip


def test_the_file_of_users(start, tmp_path):
    path = tmp_path / "users.acl"
    path.write_text("\r\n\n".join(["user alice on >p ~a* +@read -get", "  user bob (+get ~x)  ", ""]))
    server = start(aclfile=str(path))
    admin = server.connect()
    lines = [line.encode() for line in LINES]
    assert admin.call("ACL", "LIST") == lines
    admin.call_ok("ACL", "SETUSER", "carol", "on")
    admin.call_ok("ACL", "SAVE")
    assert path.read_text().splitlines() == [*LINES[:2], "user carol on resetchannels -@all", LINES[2]]
    path.write_text("user alice on nopass +@all\nuser default on +foo\nfoo bar\nuser\nuser alice on\nuser b (+get\n")
    error = admin.call("ACL", "LOAD").decode()
    name = str(path)
    assert error == (
        f"ERR {name}:2: Error in applying operation '+foo': Unknown command or category name in ACL. "
        f"{name}:3 should start with user keyword followed by the username. "
        f"{name}:4 should start with user keyword followed by the username. "
        f"WARNING: Duplicate user 'alice' found on line 5. {name}:6: Unmatched parenthesis in selector definition."
        "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
    )
    assert len(admin.call("ACL", "LIST")) == 4
    carol = as_user(server, "carol", "+@all")
    path.write_text("user alice on >p ~a* +@read -get\nuser zoe on nopass +@all\n")
    admin.call_ok("ACL", "LOAD")
    assert admin.call("ACL", "USERS") == [b"alice", b"default", b"zoe"]
    assert carol.is_closed()
    path.unlink()
    assert admin.call("ACL", "LOAD") == b"ERR Error loading ACLs, opening file '%s': No such file or directory" % name.encode()


def test_users_in_the_configuration(start, tmp_path):
    path = tmp_path / "main.conf"
    path.write_text("\n".join(["hz 20", *LINES[:2], "user default on >foo +@all ~* &*", ""]))
    server = start(arguments=[str(path)])
    admin = server.connect()
    assert admin.call("PING").startswith(b"NOAUTH")
    admin.call_ok("AUTH", "foo")
    assert admin.call("ACL", "LIST")[:2] == [line.encode() for line in LINES[:2]]
    admin.call_ok("ACL", "SETUSER", "bob", "on", "clearselectors")
    admin.call_ok("ACL", "SETUSER", "new", "+get")
    admin.call_ok("CONFIG", "REWRITE")
    text = path.read_text()
    users = [line for line in text.splitlines() if line.startswith("user ")]
    assert users[0] == LINES[0] and sorted(users) == sorted(line.decode() for line in admin.call("ACL", "LIST"))
    assert "user bob on resetchannels -@all" in users and "user new off resetchannels -@all +get" in users
    again = start(arguments=[str(path)]).connect()
    again.call_ok("AUTH", "foo")
    assert again.call("ACL", "LIST") == admin.call("ACL", "LIST")


@pytest.mark.parametrize("lines", [["user a on +foo"], ['user "a b" on'], ["user a on", "user a off"], ["user a", "aclfile x.acl"]])
def test_users_that_make_no_sense_keep_it_from_starting(start, tmp_path, lines):
    path = tmp_path / "main.conf"
    path.write_text("\n".join(lines) + "\n")
    assert start(arguments=[str(path)], wait=False).wait() == 1


def test_blocked_sessions_of_deleted_users(start):
    server = start()
    admin = server.connect()
    user = as_user(server, "t", "+@all", "~*")
    user.command("BLPOP", "list", "0")
    wait_until(lambda: b" cmd=blpop user=t " in admin.call("CLIENT", "LIST"))
    assert admin.call("ACL", "DELUSER", "t") == 1
    assert user.is_closed()
    assert admin.call("RPUSH", "list", "a") == 1


@pytest.mark.parametrize(
    "before, listens, rules, closed",
    [
        (["&a", "&b"], ["SUBSCRIBE", "a"], ["resetchannels", "&b"], True),
        (["&a", "&b"], ["SUBSCRIBE", "b"], ["resetchannels", "&b"], False),
        (["allchannels"], ["SUBSCRIBE", "ab"], ["resetchannels", "&a*"], False),
        (["allchannels"], ["SUBSCRIBE", "b"], ["resetchannels", "&a*"], True),
        (["allchannels"], ["PSUBSCRIBE", "a*"], ["resetchannels", "&a*"], False),
        (["allchannels"], ["PSUBSCRIBE", "ab*"], ["resetchannels", "&a*"], True),
        (["&a"], ["SSUBSCRIBE", "a"], ["resetchannels"], True),
        (["&a"], ["SUBSCRIBE", "a"], ["resetchannels", "(&a)"], False),
        (["&a", "&b"], ["SUBSCRIBE", "a", "b"], ["resetchannels", "(&b +get)", "(&a)"], False),
        (["&a"], ["SUBSCRIBE", "a"], ["reset"], True),
        (["&a"], ["SUBSCRIBE", "a"], ["-subscribe"], False),
        (["&a"], ["SUBSCRIBE", "a"], ["off"], False),
        (["&a"], ["PING"], ["resetchannels"], False),
    ],
)
def test_who_listens_to_what_it_may_not_hear_is_closed(start, before, listens, rules, closed):
    server = start()
    admin = server.connect()
    user = as_user(server, "t", "+@all", "resetchannels", *before)
    other = as_user(server, "other", "+@all", "allchannels")
    for connection in (user, other):
        connection.call(*listens)
    admin.call_ok("ACL", "SETUSER", "t", *rules)
    assert user.is_closed(1 if closed else 0.1) == closed
    assert not other.is_closed(0.1)


def test_a_listener_that_takes_its_own_channels_away_gets_its_reply(start):
    server = start()
    connection = server.connect(3)
    connection.call("SUBSCRIBE", "a")
    connection.call_ok("ACL", "SETUSER", "default", "resetchannels")
    assert connection.is_closed()


@pytest.mark.parametrize("rule", ["-blpop", "resetkeys"])
@pytest.mark.ours("Redis 7.0 serves who began to wait before; newer ones ask again")
def test_who_waits_is_asked_again(start, rule):
    server = start()
    admin = server.connect()
    user = as_user(server, "t", "+@all", "~*")
    user.command("BLPOP", "list", "0")
    wait_until(lambda: b" cmd=blpop user=t " in admin.call("CLIENT", "LIST"))
    admin.call_ok("ACL", "SETUSER", "t", rule)
    assert admin.call("RPUSH", "list", "a") == 1
    assert user.read() == (no_command("t", "blpop") if rule == "-blpop" else NO_KEY)
    assert admin.call("LRANGE", "list", "0", "-1") == [b"a"]
    assert log_of(admin)[0][b"username"] == b"t"
    assert server.info("commandstats")["cmdstat_blpop"].split("rejected_calls=")[1].startswith("1,")


def test_rules_may_name_commands_of_redis_that_are_not_there(start, tmp_path):
    path = tmp_path / "users.acl"
    path.write_text("user copy on nopass ~* &* +@all -cluster +CLUSTER|info -module -asking\nuser default on nopass ~* &* +@all\n")
    admin = start(aclfile=str(path)).connect()
    assert admin.call("ACL", "GETUSER", "copy")[5] == b"+@all -cluster +cluster|info -module -asking"
    assert admin.call("ACL", "SETUSER", "copy", "+clusters") == harness.Error(
        b"ERR Error in ACL SETUSER modifier '+clusters': Unknown command or category name in ACL")


@pytest.mark.ours("Redis shows ~*, which other patterns may not follow: its own file would not load")
def test_a_pattern_that_is_a_star_is_shown_so_that_it_can_be_read_again(admin):
    admin.call_ok("ACL", "SETUSER", "u", "%R~*", "%W~*", "~a")
    assert admin.call("ACL", "GETUSER", "u")[7] == b"%RW~* ~a"


def test_genpass(admin):
    assert len(admin.call("ACL", "GENPASS")) == 64
    assert len(admin.call("ACL", "GENPASS", "5")) == 2
    assert admin.call("ACL", "GENPASS") != admin.call("ACL", "GENPASS")
    assert isinstance(admin.call("ACL", "GENPASS", "0"), harness.Error)


@pytest.mark.ours("Redis lets everybody in then")
def test_a_refused_requirepass_leaves_the_passwords(start):
    server, other = start(), start()
    admin = server.connect()
    admin.call_ok("ACL", "SETUSER", "default", ">secret")
    before = admin.call("ACL", "LIST")
    reply = admin.call("CONFIG", "SET", "requirepass", "new", "port", other.port)
    assert reply.startswith(b"ERR CONFIG SET failed")
    assert admin.call("ACL", "LIST") == before
    assert server.connect().call("PING").startswith(b"NOAUTH")
    admin.call_ok("CONFIG", "SET", "requirepass", "new")
    assert server.connect().call("AUTH", "secret").startswith(b"WRONGPASS")
    server.connect().call_ok("AUTH", "new")
