"""Scripts: what other clients see while one runs for long, what reaches the journal, and that a script stays in its box."""

import threading
import time

import harness
import pytest
from harness import Error, Status, wait_until

SPIN = "while true do end"
BUSY = b"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."


class Running:
    """A command on a connection of its own, in a thread."""

    def __init__(self, server, *words):
        self.connection = server.connect()
        self.reply = None
        self.connection.command(*words)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        try:
            self.reply = self.connection.read()
        except (harness.Closed, OSError) as error:
            self.reply = error

    def end(self):
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self.reply


def begin_slow(server, script, *words):
    """The script is running, and others are told so."""
    other = server.connect()
    other.call("CONFIG", "SET", "busy-reply-threshold", "100")
    running = Running(server, "EVAL", script, *(words or ("0",)))
    assert wait_until(lambda: other.call("GET", "x") == Error(BUSY))
    return running, other


@pytest.mark.parametrize("words", ["'PUBLISH', 'a', 'b'", "'SPUBLISH', 'a', 'b'", "'PFCOUNT', 'a'", "'SET', 'a', 'b'"])
def test_a_read_only_script_tells_nobody(server, words):
    refusal = b"ERR Write commands are not allowed from read-only scripts."
    assert server.connect().call("EVAL_RO", f"return redis.call({words})", 0).startswith(refusal)


# ---- scripts that run for long

# Runs for some tenths of a second, longer than the threshold of begin_slow.
FOR_A_WHILE = """
local begun = redis.call('TIME')
repeat local now = redis.call('TIME') until now[1] * 1e6 + now[2] > begun[1] * 1e6 + begun[2] + 400000
"""


def test_what_a_script_changed_serves_nobody_before_its_end(server):
    waiting = Running(server, "BLPOP", "list", "0")
    assert wait_until(lambda: server.info("clients")["blocked_clients"] == "1")
    running, other = begin_slow(server, "redis.call('LPUSH', KEYS[1], 'a')" + FOR_A_WHILE
                                + "return redis.call('LLEN', KEYS[1])", "1", "list")
    assert other.call("GET", "x") == Error(BUSY)
    assert running.end() == 1
    assert waiting.end() == [b"list", b"a"]


def test_a_long_reply_of_a_slow_script_stays_what_it_is(server):
    waiting = Running(server, "BLPOP", "list", "0")
    assert wait_until(lambda: server.info("clients")["blocked_clients"] == "1")
    server.connect().call_ok("CONFIG", "SET", "busy-reply-threshold", "100")
    # Nobody asks anything meanwhile: what is served is served behind the script.
    running = Running(server, "EVAL", "redis.call('LPUSH', KEYS[1], 'a')" + FOR_A_WHILE
                      + "return {string.rep('x', 900000), string.rep('y', 900000), string.rep('z', 3000000)}",
                      "1", "list")
    assert running.end() == [b"x" * 900_000, b"y" * 900_000, b"z" * 3_000_000]
    assert waiting.end() == [b"list", b"a"]


def test_a_slow_script_behind_a_reply_that_waits(start):
    """What waits to be sent goes out while the script runs, and its own reply behind it."""
    server = start(appendonly="yes", appendfsync="always")
    connection, other = server.connect(), server.connect()
    other.call("CONFIG", "SET", "busy-reply-threshold", "50")
    for size in (10, 100_000, 3_000_000):
        connection.call_ok("SET", "large", b"x" * size)
        connection.send(harness.encode("SET", "a", "b") + harness.encode("GET", "large") * 3)
        time.sleep(0.001)
        connection.send(harness.encode("EVAL", FOR_A_WHILE + "return 'the end'", 0) + harness.encode("GET", "a"))
        wait_until(lambda: other.call("GET", "x") == Error(BUSY))
        assert connection.read() == b"OK"
        assert [connection.read() for _ in range(3)] == [b"x" * size] * 3
        assert [connection.read(), connection.read()] == [b"the end", b"b"]


@pytest.mark.parametrize("command", ["redis.call('PUBLISH', 'a', 'b')", "redis.call('PFCOUNT', 'a')"])
def test_after_a_kill_changes_are_kept(start, command):
    server = start(appendonly="yes", **{"enable-debug-command": "yes"})
    running, other = begin_slow(server, command + " " + SPIN)
    assert other.call("SCRIPT", "KILL") == Status(b"OK")
    assert running.end().startswith(b"ERR Script killed")
    other.call_ok("SET", "kept", "yes")
    other.call_ok("DEBUG", "LOADAOF")
    assert other.call("GET", "kept") == b"yes"


def test_a_slow_script_in_a_file_is_run_again(start):
    options = {"appendonly": "yes", "busy-reply-threshold": "50"}
    server = start(**options)
    server.connect().call_ok("SET", "a", "1")
    server.connect().send(harness.encode("SHUTDOWN"))
    assert server.wait() == 0
    increment = next(server.folder.glob("appendonlydir/*.incr.aof"))
    with open(increment, "ab") as file:
        file.write(harness.encode("EVAL", FOR_A_WHILE + "return redis.call('SET', KEYS[1], '2')", "1", "a"))
    assert start(dir=server.folder, **options).connect().call("GET", "a") == b"2"



def test_others_are_told_and_the_script_is_killed(server):
    running, other = begin_slow(server, SPIN)
    assert other.call("SET", "x", "1") == Error(BUSY)
    assert other.call("PING") == Error(BUSY)
    assert other.call("EVAL", "return 1", "0") == Error(BUSY)
    assert other.call("SHUTDOWN") == Error(BUSY)
    newcomer = server.connect()
    assert newcomer.call("GET", "x") == Error(BUSY)
    assert newcomer.call("SCRIPT", "KILL") == Status(b"OK")
    assert running.end().startswith(b"ERR Script killed by user with SCRIPT KILL... script: ")
    assert other.call("GET", "x") is None
    assert other.call("SCRIPT", "KILL") == Error(b"NOTBUSY No scripts in execution right now.")
    assert running.connection.call("PING") == Status(b"PONG")
    assert other.call("EVAL", "return 7", "0") == 7


@pytest.mark.parametrize(
    "script",
    [
        "while true do pcall(function() while true do end end) end",
        "local function f() while true do end end while true do xpcall(f, f) end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "while true do coroutine.wrap(function() pcall(coroutine.wrap(function() while true do end end)) end)() end",
        "local function f() return f() end f()",
        "while true do redis.pcall('get', 'x') end",
        "while true do string.find(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40)) end",
        "return string.find(string.rep('a', 100), string.rep('.-', 20) .. 'b')",
        "return (string.rep('x', 200)):gsub(string.rep('x*', 30) .. 'y', '')",
        "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) while true do pcall(function() return t[1] end) end",
        "table.insert({}, -2147483647, 1) while true do end",
        "load(function() return ' ' end)",
        "table.sort({1, 2, 3}, function() while true do end end)",
        "string.gsub(string.rep('x', 100), 'x', function() while true do end end)",
        # Few instructions, each of which takes its time.
        "local s = string.rep('x', 2^26) while true do local t = s .. 'y' end",
        "local s = string.rep('x', 2^26) while true do local t = s:upper() end",
        "local a = string.rep('x', 2^26) local b = a .. 'y' while true do local c = a < b end",
        "local s = string.rep('x', 2^25) while true do redis.call('echo', s) end",
        "local s = string.rep('x', 2^26) while true do redis.sha1hex(s) end",
        "local s = string.rep(' ', 2^26) while true do loadstring(s) end",
        "local t = {} for i = 1, 1e6 do t[i] = {} end while true do collectgarbage() end",
        "local t = {} for i = 1, 1e6 do t[i] = i end while true do table.remove(t, 1) table.insert(t, 1) end",
        "local t = {} for i = 1, 4e6 do t[i] = (i * 7919) % 1000003 end while true do table.sort(t) end",
        "local t = {} for i = 1, 2e6 do t[i] = i end for i = 1, 2e6 - 1 do t[i] = nil end while true do next(t) end",
        "coroutine.wrap(function() local s = string.rep('x', 2^24) while true do local t = s .. 'y' end end)()",
        # Code that runs when the script seems to be over, or that catches what ends it.
        "xpcall(error, function() while true do end end)",
        "local m = {} m.__call = function(f) return f() end return setmetatable({}, m)()",
        "local function spin() while true do end end xpcall(spin, spin)",
        "return setmetatable({}, {__index = function() while true do end end}).x",
        "error(setmetatable({}, {__tostring = function() while true do end end}), tostring(setmetatable({}, {__tostring = function() while true do end end})))",
        "while true do pcall(error, setmetatable({}, {__index = function() while true do end end})) end",
        "while true do local ok, e = pcall(function() while true do end end) if not ok then e = nil end end",
        "while true do coroutine.resume(coroutine.create(function() xpcall(function() while true do end end, function() while true do end end) end)) end",
        "string.gsub('x', 'x', setmetatable({}, {__index = function() while true do end end}))",
        "local t = setmetatable({}, {__lt = function() while true do end end}) table.sort({t, t, t})",
        "table.sort({3, 2, 1}, coroutine.wrap(function() while true do coroutine.yield(true) end end)) while true do end",
        "load(function() while true do end end)",
        "local t = {} for i = 1, 3e6 do t[i] = 'x' end while true do table.concat(t) end",
        "local s = string.rep('1', 2^25) while true do tonumber(s, 36) end",
        "local s = string.rep('\\0', 2^25) while true do string.format('%q', s) end",
        "local s = string.rep('x', 2^25) while true do s:reverse() end",
        "local t = {} for i = 1, 1e6 do t[i] = i end while true do cjson.encode(t) end",
        "local t = {} for i = 1, 1e6 do t[i] = i end while true do cmsgpack.unpack(cmsgpack.pack(t)) end",
        "local s = string.rep('x', 2^25) while true do struct.unpack('s', struct.pack('s', s)) end",
    ],
)
def test_nothing_outlives_a_kill(server, script):
    running, other = begin_slow(server, script)
    assert other.call("SCRIPT", "KILL") == Status(b"OK")
    assert running.end().startswith(b"ERR Script killed by user")
    assert other.call("EVAL", "return 7", "0") == 7


def test_who_has_written_is_not_killed(start):
    server = start()
    running, other = begin_slow(server, "redis.call('set', 'x', 'y') " + SPIN)
    assert other.call("SCRIPT", "KILL").startswith(b"UNKILLABLE Sorry the script already executed write commands")
    other.command("SHUTDOWN", "NOSAVE")
    assert isinstance(running.end(), (OSError, harness.Closed))
    assert server.wait() == 0


def test_requests_in_order_around_a_slow_script(server):
    """Those of the script's session wait; a pipeline of another one is answered in its order."""
    other = server.connect()
    other.call("CONFIG", "SET", "busy-reply-threshold", "100")
    slow = server.connect()
    slow.command("SET", "a", "1")
    slow.command("EVAL", "local t = 0 for i = 1, 1e9 do t = t + redis.call('exists', 'a') end", "0")
    slow.command("INCR", "a")
    assert wait_until(lambda: other.call("GET", "a") == Error(BUSY))
    for _ in range(50):
        other.command("INCR", "a")
    other.command("SCRIPT", "KILL")
    assert [other.read() for _ in range(50)] == [Error(BUSY)] * 50
    assert other.read() == Status(b"OK")
    assert slow.read() == Status(b"OK")
    assert slow.read().startswith(b"ERR Script killed")
    assert slow.read() == 2


def test_clients_come_and_go_meanwhile(server):
    running, other = begin_slow(server, SPIN)
    for _ in range(20):
        client = server.connect()
        assert client.call("GET", "x") == Error(BUSY)
        client.close()
    running.connection.socket.shutdown(1)  # its own end, too
    assert other.call("SCRIPT", "KILL") == Status(b"OK")
    running.end()
    assert wait_until(lambda: b"connected_clients:1\r\n" in other.call("INFO", "clients"))


def test_in_a_transaction(server):
    other = server.connect()
    other.call("CONFIG", "SET", "busy-reply-threshold", "100")
    slow = server.connect()
    for words in [("MULTI",), ("EVAL", SPIN, "0"), ("SET", "a", "1"), ("EXEC",)]:
        slow.command(*words)
    assert wait_until(lambda: other.call("GET", "a") == Error(BUSY))
    assert other.call("MULTI") == Status(b"OK")
    assert other.call("SCRIPT", "KILL") == Status(b"QUEUED")
    assert server.connect().call("SCRIPT", "KILL") == Status(b"OK")
    assert [slow.read() for _ in range(3)] == [Status(b"OK"), Status(b"QUEUED"), Status(b"QUEUED")]
    replies = slow.read()
    assert replies[0].startswith(b"ERR Script killed") and replies[1] == Status(b"OK")


# ---- the box


def run(server, script, *words):
    return server.connect().call("EVAL", script, *(words or ("0",)))


@pytest.mark.parametrize(
    "name",
    "dofile loadfile print require module package io debug getfenv setfenv newproxy jit ffi os.execute os.exit "
    "os.remove os.getenv os.time os.date os.rename os.tmpname string.dump".split(),
)
def test_what_reaches_outside_is_not_there(server, name):
    library, _, function = name.rpartition(".")
    if library:
        assert run(server, f"return type({library}.{function})") == b"nil"
    else:
        assert b"nonexistent global variable" in run(server, f"return {name}")


@pytest.mark.parametrize("table", "_G redis server string table math bit struct cmsgpack cjson coroutine os".split())
@pytest.mark.parametrize(
    "change",
    [
        "T.evil = 1",
        "T.call = nil",
        "rawset(T, 'evil', 1)",
        "setmetatable(T, {})",
        "setmetatable(T, nil)",
        "table.insert(T, 1)",
        "table.insert(T, 1, 1)",
        "getmetatable(T).__index = {}",
        "getmetatable(T).__newindex = nil",
        "for k in pairs(T) do T[k] = nil end",
        "local k = next(T) T[k] = 1",
    ],
)
def test_tables_cannot_be_changed(server, table, change):
    """Whatever the error is, the next script finds the table as it was."""
    count = "local n = 0 for _ in pairs(T) do n = n + 1 end return n".replace("T", table)
    before = run(server, count)
    reply = run(server, f"local T = {table} {change} return 'changed'")
    assert isinstance(reply, Error), reply
    assert run(server, count) == before
    assert run(server, f"return {table}.evil") is None or table == "_G"
    assert run(server, "return redis.call('ping').ok") == b"PONG"


@pytest.mark.parametrize(
    "script",
    [
        "getmetatable('').__index = function() return 'evil' end",
        "getmetatable('').__add = function() end",
        "setmetatable(getmetatable(''), {})",
        "rawset(getmetatable(''), '__index', {})",
        "string.rep = nil",
        "function redis.call() end",
        "KEYS = nil",
        "x = 1",
        "_G = {}",
        "_G['_G'] = {}",
        "local _ENV = {} x = 1",
    ],
)
def test_nothing_is_left_for_the_next_script(server, script):
    assert isinstance(run(server, script), Error)
    assert run(server, "return ('x'):rep(3)") == b"xxx"
    assert b"nonexistent" in run(server, "return x")


def test_bytecode_is_not_loaded(server):
    for first in range(256):
        reply = run(server, "local f, e = loadstring(string.char(tonumber(ARGV[1])) .. 'Lua\\81\\0\\1\\4\\8\\4\\8\\0') "
                    "return type(f)", "0", str(first))
        assert reply == b"nil" or first == 45, first  # a minus begins an expression, which is then none of bytecode
    assert b"unexpected symbol" in run(server, "return select(2, loadstring('\\27Lua'))")
    assert b"unexpected symbol" in run(
        server, "local n = 0 return select(2, pcall(function() local f, e = load(function() n = n + 1 "
        "return n == 1 and '\\27Lua' or nil end) error(e, 0) end))")
    # As a script of its own, too.
    assert isinstance(run(server, "\x1bLuaQ\x00\x01\x04\x08\x04\x08\x00"), Error)


@pytest.mark.parametrize(
    "script",
    [
        "return string.rep('x', 2147483647)",
        "return string.rep('x', 1e15)",
        "return #string.rep('', 1e9)",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} for i = 1, 1e9 do t[i] = {} end",
        "local t = {} while true do t[#t + 1] = string.rep('y', 1e6) .. #t end",
        "return table.concat({}, 'x', 1, 2147483647)",
        "return {unpack({}, 1, 1e8)}",
        "return {unpack({}, 0, 2147483647)}",
        "return {unpack({}, -2147483648, 2147483647)}",
        "return {unpack({}, -2147483647, 2147483647)}",
        "return {unpack({}, -2147483648, 0)}",
        "return string.format('%999999999d', 1)",
        "return cjson.encode(string.rep('\\1', 1e8))",
        "local t = {} for i = 1, 40 do t = {t, t} end return cjson.encode(t)",
        "local t = {} for i = 1, 5000 do t = {t} end return cjson.encode(t)",
        "return cjson.decode(string.rep('[', 1e6))",
        "return cjson.decode(string.rep('[', 5000) .. string.rep(']', 5000))",
        "local t = {} for i = 1, 40 do t = {t, t} end return cmsgpack.unpack(string.rep('\\145', 1e6))",
        "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
        "return cmsgpack.unpack('\\223\\255\\255\\255\\255')",
        "return cmsgpack.unpack('\\219\\255\\255\\255\\255x')",
        "return cmsgpack.unpack('\\193')",
        "return cmsgpack.unpack_limit('x', -1)",
        "return cmsgpack.unpack_one('x', 9)",
        "return struct.pack('i33', 1)",
        "return struct.pack('i99999999999', 1)",
        "return struct.unpack('c2147483647', 'x')",
        "return struct.unpack('c99999999999999999999', 'x')",
        "return struct.unpack('Lc0', '\\255\\255\\255\\255\\255\\255\\255\\255')",
        "return struct.unpack('c0', 'x')",
        "return struct.unpack('i4', 'abc')",
        "return struct.unpack('i4', 'abcd', 2)",
        "return struct.unpack('i4', 'abcd', -1)",
        "return struct.unpack('i4', 'abcd', 4294967298)",
        "return struct.unpack('s', 'abcd')",
        "return struct.pack('!3i4', 1)",
        "return struct.size('c2147483647c2147483647')",
        "return struct.pack('i')",
        "return string.find('x', string.rep('(', 40))",
        "return string.find(string.rep('x', 200000), string.rep('x?', 200000))",
        "return string.match('x', '%')",
        "return string.match('x', '[')",
        "return string.match('x', '[%')",
        "return string.match('x', '%b')",
        "return string.match('x', '%f')",
        "return string.match('x', '%1')",
        "return string.match('x', '(')",
        "return string.match('x', ')')",
        "return string.gsub('x', 'x', '%2')",
        "local function f() return f() + 1 end return f()",
        "local t = {} setmetatable(t, t) t.__index = t return t.x",
        "return loadstring('return ' .. string.rep('(', 1000))() ",
        "local s = string.rep('do ', 1e5) return loadstring(s)()",
        "return coroutine.wrap(function() coroutine.yield(string.rep('x', 1e10)) end)()",
        "error(setmetatable({}, {__index = function() error('x') end}))",
        "error({})",
        "error(true)",
        "error({err = {}})",
        "error({ok = 'x'})",
        "return redis.call(string.rep('x', 1e7))",
        "return redis.error_reply()",
        "return redis.call(unpack({}, 1, 7000))",
        "return setmetatable({}, {__gc = 1}).x.y",
        # Recursion through what is written in C: callbacks, coroutines, handlers of errors.
        "local function f() return (string.gsub('x', 'x', f)) end return f()",
        "local function f() return coroutine.wrap(f)() end return f()",
        "local function f(a, b) return table.sort({1, 2, 3}, f) end table.sort({1, 2, 3}, f)",
        "local c = coroutine.wrap(function() c() end) c()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. 'x'] end return t.x",
        "local m = {} m.__eq = function(a, b) return a == b end return setmetatable({}, m) == setmetatable({}, m)",
        "local m = {} m.__concat = function(a, b) return a .. b end return setmetatable({}, m) .. 'x'",
        "local t = {} for i = 1, 200 do t = setmetatable({}, {__index = t}) end return t.x.y",
        "return coroutine.wrap(function() string.gsub('x', 'x', coroutine.yield) end)()",
        "return coroutine.wrap(function() table.sort({1, 2}, coroutine.yield) end)()",
        "return coroutine.yield(1)",
        # Functions that are told lies.
        "local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function() return true end)",
        "local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function() for i = 1, 1000 do t[i] = nil end return true end)",
        "return string.gsub('abc', '.', function() return {} end)",
        "return string.gsub('abc', '.', setmetatable({}, {__index = function(t, k) return {} end}))",
        "return load(function() return {} end)()",
        "return string.format('%s', setmetatable({}, {__tostring = function() return {} end}))",
        "return redis.call('echo', setmetatable({}, {__tostring = function() return 'x' end}))",
        # Sizes and numbers.
        "return string.gsub(string.rep('x', 1e6), '', string.rep('x', 1e6))",
        "return string.format('%q', string.rep('\\0', 2e7))",
        "return string.format(string.rep('%s', 1e6), 1)",
        "return string.format('%.1000f', 1)",
        "return #{string.byte(string.rep('x', 1e6), 1, -1)}",
        "return string.char(-1)",
        "return select(-1e9, 1)",
        "return math.random(2, 1)",
        "return cjson.encode({[1e9] = 1})",
        "return cjson.encode(0/0)",
        "local t = {} t.t = t return cjson.encode(t)",
        "return cjson.encode(function() end)",
        "return cjson.decode(string.rep('{\"a\":', 2000))",
        "return cjson.decode('\"\\\\ud800\"')",
        "return cjson.encode_max_depth(1e99)",
        "return cjson.decode_max_depth(0)",
        "return cjson.encode_number_precision(99)",
        "return cjson.encode_sparse_array(true, 2, -1)",
        "return bit.band()",
        "return bit.bor('x')",
        "return loadstring(string.rep('local a ', 300))()",
        "return loadstring('return ' .. string.rep('{', 1e4))()",
        "return loadstring('return ' .. string.rep('not ', 1e6) .. '1')()",
        # What only the code of a library may do, what no script may, and errors that are objects.
        "redis.register_function('f', function() end)",
        "redis.register_function{function_name = 'f', callback = function() end}",
        "return redis.set_repl(99)",
        "return redis.setresp(4)",
        "return redis.log(9, 'x')",
        "return redis.acl_check_cmd('nope')",
        "error(setmetatable({}, {__tostring = function() error('x') end}))",
        "error(setmetatable({err = 'x'}, {__index = error, __metatable = {}}))",
        "return xpcall(error)",
        "error(coroutine.create(function() end))",
    ] + [
        "return redis.call(%s)" % words
        for words in (
            "'eval', 'return 1', 0", "'fcall', 'f', 0", "'script', 'flush'", "'function', 'flush'", "'multi'", "'subscribe', 'x'", "'monitor'",
            "'config', 'set', 'maxmemory', 1", "'debug', 'sleep', 1", "'shutdown'", "'client', 'list'", "'acl', 'setuser', 'x'", "'auth', 'x'",
            "'hello', 3", "'quit'", "'reset'", "'save'", "'replicaof', 'no', 'one'", "'psync', '?', -1", "'module', 'load', 'x'", "{}", "",
        )  # fmt: skip
    ],
)
def test_bombs(start, script):
    """An error, in a while, and the server goes on."""
    server = start(script_max_memory="64mb")
    begun = time.monotonic()
    reply = run(server, script)
    assert isinstance(reply, Error) or reply == 0, reply
    assert time.monotonic() - begun < 10
    assert run(server, "return 7") == 7
    other = server.connect()
    info = other.call("INFO", "memory").decode()
    used = int(info.split("used_memory_vm_eval:")[1].split("\r")[0])
    assert used < 64 << 20


@pytest.mark.parametrize(
    "script, expected",
    [
        ("cjson.encode(0/0)", b"ERR user_script:1: Cannot serialise number: must not be NaN or Inf script: "),
        ("table.sort({3, 2, 1, 5, 4}, function() return true end)", b"ERR user_script:1: invalid order function for sorting script: "),
        ("local s = 'x' table.sort({1, 2}, function() error('mine') end)", b"ERR user_script:1: mine script: "),
    ],
)
def test_errors_of_libraries_say_where(server, script, expected):
    assert run(server, script).startswith(expected)


def test_the_name_of_code_outlives_its_compiling(server):
    """Collected in the middle of it, it would be another string, or crash the server, when an error is told."""
    script = """
    local n, garbage = 0, {}
    local function pieces()
        n = n + 1
        for i = 1, 200 do garbage[i] = ('g%d:%d'):format(n, i):rep(3) end
        collectgarbage()
        return n < 50 and 'local x' .. n .. ' = ' .. n .. ' ' or n == 50 and 'error(1)' or nil
    end
    local a = select(2, pcall(load(pieces)))
    n = 0
    local b = select(2, pcall(load(pieces, 'na' .. 'me' .. #ARGV)))
    local text = 'local s = {' .. ('{}, "x",'):rep(20000) .. '} error(1)'
    local c = select(2, pcall(loadstring(text, 'c' .. #ARGV .. '\\0rest')))
    return {a, b, c}
    """
    for _ in range(5):
        assert run(server, script) == [b"(load):1: 1", b'[string "name0"]:1: 1', b'[string "c0"]:1: 1']


def test_a_reply_that_contains_itself(server):
    reply = server.connect().call("EVAL", "local t = {} for i = 1, 50 do t = {t} end return t", "0")
    for _ in range(50):
        reply = reply[0]
    assert reply == []
    connection = server.connect()
    connection.command("EVAL", "local t = {} t[1] = t return t", "0")
    assert run(server, "return 7") == 7


@pytest.mark.parametrize("reply", ["t", "{map = t}", "{{set = t}, t}", "{{big_number = s}, t}", "{{ok = s}, t}", "{{err = s}, t}"])
def test_a_reply_that_has_no_end(start, reply):
    """Whose client is closed; one that fits the same bound is whole."""
    server = start(script_max_memory="32mb")
    connection = server.connect()
    script = "local s = string.rep('x', 1e6) local t = {s} t[2] = t t[3] = t return "
    connection.command("EVAL", script + reply, "0")
    connection.read_to_end()
    assert "its client is closed" in server.log()
    assert len(run(server, "local s = string.rep('x', 1e6) local t = {} for i = 1, 30 do t[i] = s end return t")) == 30


def test_what_libraries_keep_is_bounded(start):
    """cjson's text and cmsgpack's lie outside of what Lua counts."""
    server = start(script_max_memory="64mb")
    for script in ("cjson.encode(string.rep('\\1', 3e7))", "local s = string.rep('x', 2e7) cmsgpack.pack(s, s, s, s)"):
        assert b"not enough memory" in run(server, script)
    before = server.resident_bytes()
    for _ in range(20):
        assert run(server, "return #cjson.encode(string.rep('x', 5e6))") == 5000002
    assert server.resident_bytes() - before < 64 << 20


def test_the_collector_works_again_behind_a_script_that_stopped_it(server):
    for _ in range(200):
        assert run(server, "collectgarbage('stop') local t = {} for i = 1, 20000 do t[i] = {} end return 1") == 1
    info = server.connect().call("INFO", "memory").decode()
    assert int(info.split("used_memory_vm_eval:")[1].split("\r")[0]) < 64 << 20


# ---- the cache


def test_one_off_scripts_are_forgotten(server):
    c = server.connect()
    c.call("SCRIPT", "FLUSH")
    kept = c.call("SCRIPT", "LOAD", "return 'kept'")
    first = c.call("EVAL", "return redis.sha1hex('return 0')", "0")
    c.call("EVAL", "return 0", "0")
    for i in range(1, 600):
        assert c.call("EVAL", f"return {i}", "0") == i
    assert c.call("SCRIPT", "EXISTS", first, kept) == [0, 1]
    info = c.call("INFO", "all").decode()
    assert int(info.split("number_of_cached_scripts:")[1].split("\r")[0]) == 501
    assert int(info.split("evicted_scripts:")[1].split("\r")[0]) >= 99
    assert c.call("EVALSHA", kept, "0") == b"kept"
    assert c.call("SCRIPT", "FLUSH", "ASYNC") == Status(b"OK")
    assert c.call("EVALSHA", kept, "0").startswith(b"NOSCRIPT")


def test_text_of_scripts(server):
    c = server.connect()
    sha = c.call("SCRIPT", "LOAD", "return 1")
    assert c.call("SCRIPT", "SHOW", sha) == b"return 1"
    assert c.call("SCRIPT", "SHOW", "0" * 40) == Error(b"NOSCRIPT No matching script.")


# ---- as programs use them

UNLOCK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
LIMIT = """
local now, window, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local count = redis.call('ZCARD', KEYS[1])
if count < limit then
  redis.call('ZADD', KEYS[1], now, ARGV[4])
  redis.call('PEXPIRE', KEYS[1], window)
  return {1, limit - count - 1}
end
return {0, redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]}
"""


def test_registered_scripts_of_redis_py(client):
    unlock, limit = client.register_script(UNLOCK), client.register_script(LIMIT)
    client.set("lock", "me")
    assert unlock(keys=["lock"], args=["you"]) == 0
    assert unlock(keys=["lock"], args=["me"]) == 1
    assert [limit(keys=["calls"], args=[i, 1000, 3, f"m{i}"])[0] for i in range(5)] == [1, 1, 1, 0, 0]
    client.script_flush()
    assert limit(keys=["calls"], args=[2000, 1000, 3, "late"]) == [1, 2]
    with client.pipeline() as pipe:
        unlock(keys=["lock"], args=["me"], client=pipe)
        pipe.set("a", 1)
        assert pipe.execute() == [0, True]


def test_locks_of_redis_py(client):
    with client.lock("resource", timeout=5) as lock:
        assert lock.owned() and lock.extend(5) and lock.reacquire()
        other = client.lock("resource", blocking_timeout=0.1)
        assert not other.acquire()
    assert client.lock("resource").acquire(blocking=False)


def test_scripts_of_another_database(server):
    c = server.connect()
    assert c.call("EVAL", "redis.call('select', 3) redis.call('set', 'a', 1) return redis.call('dbsize')", "0") == 1
    assert c.call("GET", "a") is None
    c.call("SELECT", "3")
    assert c.call("GET", "a") == b"1"


def test_who_waits_is_served_behind_the_script(server):
    waiting, c = server.connect(), server.connect()
    waiting.command("BLPOP", "list", "5")
    assert wait_until(lambda: b"blocked_clients:1" in c.call("INFO", "clients"))
    assert c.call("EVAL", "redis.call('rpush', 'list', 'a', 'b') return redis.call('llen', 'list')", "0") == 2
    assert waiting.read() == [b"list", b"a"]
    assert c.call("LRANGE", "list", "0", "-1") == [b"b"]


# ---- functions

COUNTER = """#!lua name=counter
local calls = 0
redis.register_function('up', function(keys, args) return redis.call('incrby', keys[1], args[1]) end)
redis.register_function{function_name='peek', description='looks', flags={'no-writes'},
  callback=function(keys) calls = calls + 1 return redis.call('get', keys[1]) end}
"""
OTHER = "#!lua name=other\nredis.register_function('other', function() return 'other' end)"


def loaded(server, *libraries):
    c = server.connect()
    for library in libraries:
        assert not isinstance(c.call("FUNCTION", "LOAD", library), Error)
    return c


def names(c):
    return sorted(library[1] for library in c.call("FUNCTION", "LIST"))


def test_functions_are_saved(start, tmp_path):
    server = start(dir=str(tmp_path))
    c = loaded(server, COUNTER, OTHER)
    assert c.call("FCALL", "up", "1", "n", "5") == 5
    assert c.call("SAVE") == b"OK"
    before = c.call("FUNCTION", "LIST", "WITHCODE")
    assert c.call("DEBUG", "RELOAD") == b"OK"
    assert c.call("FUNCTION", "LIST", "WITHCODE") == before
    server.stop()
    c = start(dir=str(tmp_path)).connect()
    assert c.call("FUNCTION", "LIST", "WITHCODE") == before
    assert c.call("FCALL", "up", "1", "n", "5") == 10
    assert c.call("FCALL_RO", "peek", "1", "n") == b"10"


def test_functions_are_in_the_log(start, tmp_path):
    server = start(dir=str(tmp_path), appendonly="yes", appendfsync="always")
    c = loaded(server, COUNTER, OTHER)
    assert c.call("FUNCTION", "DELETE", "other") == b"OK"
    assert c.call("EVAL", "for i = 1, 10 do redis.call('rpush', 'list', i) end", "0") is None
    server.stop()
    server = start(dir=str(tmp_path), appendonly="yes", appendfsync="always")
    c = server.connect()
    assert names(c) == [b"counter"] and c.call("LLEN", "list") == 10
    assert c.call("BGREWRITEAOF").startswith(b"Background")
    assert wait_until(lambda: b"aof_rewrite_in_progress:0" in c.call("INFO", "persistence"))
    loaded(server, OTHER)
    server.stop()
    c = start(dir=str(tmp_path), appendonly="yes", appendfsync="always").connect()
    assert names(c) == [b"counter", b"other"] and c.call("FCALL", "other", "0") == b"other"


def test_files_with_functions_from_and_to_the_peer(start, peer, tmp_path):
    c = loaded(start(command=harness.peer_command(), dir=str(tmp_path)), COUNTER, OTHER)
    assert c.call("SAVE") == b"OK"
    server = start(dir=str(tmp_path))
    ours = server.connect()
    assert names(ours) == names(c)
    assert ours.call("FCALL", "up", "1", "n", "5") == 5
    assert ours.call("SAVE") == b"OK"
    theirs = start(command=harness.peer_command(), dir=str(tmp_path)).connect()
    assert names(theirs) == names(c) and theirs.call("FCALL", "up", "1", "n", "5") == 10
    # FUNCTION DUMP, both ways
    dump = c.call("FUNCTION", "DUMP")
    assert ours.call("FUNCTION", "FLUSH") == b"OK"
    assert ours.call("FUNCTION", "RESTORE", dump) == b"OK"
    assert names(ours) == names(c)
    assert c.call("FUNCTION", "RESTORE", ours.call("FUNCTION", "DUMP"), "FLUSH") == b"OK"
    assert names(ours) == names(c)


def test_policies_of_restoring(server):
    c = loaded(server, COUNTER)
    dump = c.call("FUNCTION", "DUMP")
    assert isinstance(c.call("FUNCTION", "RESTORE", dump), Error)
    assert c.call("FUNCTION", "RESTORE", dump, "REPLACE") == b"OK"
    loaded(server, OTHER)
    assert c.call("FUNCTION", "RESTORE", dump, "FLUSH") == b"OK"
    assert names(c) == [b"counter"]
    # All or nothing: what collides leaves everything as it was.
    c.call("FUNCTION", "FLUSH")
    loaded(server, "#!lua name=mine\nredis.register_function('peek', function() return 'mine' end)")
    assert c.call("FUNCTION", "RESTORE", dump, "REPLACE") == Error(b"ERR Function peek already exists")
    assert names(c) == [b"mine"] and c.call("FCALL", "peek", "0") == b"mine"
    for at in range(0, len(dump), 7):
        broken = dump[:at] + bytes([dump[at] ^ 1]) + dump[at + 1 :]
        assert isinstance(c.call("FUNCTION", "RESTORE", broken, "FLUSH"), Error)
    assert names(c) == [b"mine"]
    c.call("FUNCTION", "FLUSH")


def test_a_replaced_library_that_fails_stays(server):
    c = loaded(server, OTHER)
    assert isinstance(c.call("FUNCTION", "LOAD", "REPLACE", "#!lua name=other\nnosuch()"), Error)
    assert c.call("FCALL", "other", "0") == b"other"
    assert c.call("FUNCTION", "LOAD", "REPLACE", OTHER.replace("'other' end", "'new' end")) == b"other"
    assert c.call("FCALL", "OTHER", "0") == b"new"
    c.call("FUNCTION", "FLUSH", "ASYNC")


def test_a_slow_function(server):
    other = server.connect()
    other.call("CONFIG", "SET", "busy-reply-threshold", "100")
    loaded(server, "#!lua name=spin\nredis.register_function('spin', function() while true do end end)")
    running = Running(server, "FCALL", "spin", "1", "k", "a")
    assert wait_until(lambda: other.call("GET", "x") == Error(BUSY))
    stats = dict(zip(*[iter(other.call("FUNCTION", "STATS"))] * 2))
    script = dict(zip(*[iter(stats[b"running_script"])] * 2))
    assert script[b"name"] == b"spin" and script[b"command"] == [b"FCALL", b"spin", b"1", b"k", b"a"]
    assert script[b"duration_ms"] >= 100
    assert other.call("SCRIPT", "KILL").startswith(b"BUSY")
    assert other.call("FUNCTION", "KILL") == b"OK"
    assert running.end().startswith(b"ERR Script killed by user")
    assert isinstance(other.call("FUNCTION", "LOAD", "#!lua name=slow\nwhile true do end"), Error)
    other.call("FUNCTION", "FLUSH")


def test_functions_of_redis_py(client):
    client.function_load(COUNTER)
    assert client.fcall("up", 1, "n", 3) == 3
    assert client.fcall_ro("peek", 1, "n") == b"3"
    assert client.function_list()[0][1] == b"counter"
    dump = client.function_dump()
    client.function_flush()
    assert client.function_restore(dump)
    client.function_delete("counter")


def test_scripts_when_memory_is_short(start):
    c = start(maxmemory="1", maxmemory_policy="noeviction").connect()
    oom = b"OOM command not allowed when used memory > 'maxmemory'."
    assert c.call("EVAL", "return redis.call('set', 'x', 'y')", "0").startswith(oom)
    assert c.call("EVAL", "return redis.call('get', 'x')", "0") is None
    assert c.call("EVAL", "#!lua\nreturn redis.call('get', 'x')", "0") == Error(oom)
    assert c.call("EVAL", "#!lua flags=no-writes\nreturn redis.call('get', 'x')", "0") is None
    assert c.call("EVAL", "#!lua flags=allow-oom\nreturn redis.call('set', 'x', 'y')", "0") == Status(b"OK")
    assert c.call("EVAL", "redis.call('del', 'x') return redis.call('set', 'x', 'y')", "0") == Status(b"OK")


def test_nothing_is_evicted_under_a_script(start):
    server = start(maxmemory_policy="allkeys-random")
    c = server.connect()
    used = int(server.info("memory")["used_memory"])
    c.call("CONFIG", "SET", "maxmemory", str(used + (4 << 20)))
    script = """
        for i = 1, 100 do
            local keys = redis.call('dbsize')
            redis.call('set', 'key:' .. ARGV[1] .. ':' .. i, string.rep('x', 1000))
            if redis.call('dbsize') ~= keys + 1 then return redis.error_reply('a key is gone') end
        end
        return redis.call('dbsize')"""
    for turn in range(200):
        assert isinstance(c.call("EVAL", script, "0", str(turn)), int)
    assert c.call("DBSIZE") < 20000 and int(server.info("stats")["evicted_keys"]) > 0


# ---- on a replica

READONLY = b"READONLY You can't write against a read only replica."
MASTERDOWN = b"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
ON_REPLICAS = [
    # EVAL's script; what a replica whose primary is gone answers, serving stale data or not
    ("return redis.call('get', 'k')", b"v", MASTERDOWN),
    ("return 1", 1, MASTERDOWN),
    ("return redis.pcall('set', 'k', 'x')", READONLY, MASTERDOWN),
    ("#!lua\nreturn redis.call('get', 'k')", READONLY, READONLY),
    ("#!lua flags=allow-stale\nreturn redis.call('get', 'k')", READONLY, READONLY),
    ("#!lua flags=no-writes\nreturn redis.call('get', 'k')", b"v", MASTERDOWN),
    ("#!lua flags=no-writes,allow-stale\nreturn redis.call('echo', 'k')", b"k", b"k"),
    ("#!lua flags=no-writes,allow-stale\nreturn redis.pcall('set', 'k', 'x')", b"ERR Write commands", b"ERR Write commands"),
]


@pytest.mark.parametrize("stale", ["yes", "no"])
def test_a_replica_judges_scripts_by_their_flags(start, stale):
    c = start(replica_serve_stale_data=stale).connect()
    c.call_ok("SET", "k", "v")
    c.call("FUNCTION", "LOAD", "#!lua name=l\nlocal function f() return redis.call('get', 'k') end "
           "redis.register_function('w', f) redis.register_function{function_name='r', callback=f, flags={'no-writes'}}")
    c.call_ok("REPLICAOF", "127.0.0.1", "1")
    for script, *replies in ON_REPLICAS:
        reply = c.call("EVAL", script, "0")
        expected = replies[stale == "no"]
        assert reply == expected or (isinstance(reply, Error) and reply.startswith(expected)), (script, reply)
    assert c.call("FCALL", "w", "0") == READONLY
    assert c.call("FCALL", "r", "0") == (b"v" if stale == "yes" else MASTERDOWN)
    assert c.call("FCALL_RO", "r", "0") == (b"v" if stale == "yes" else MASTERDOWN)
