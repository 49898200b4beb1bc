"""Scripts: commands of the other families called from Lua, what they reply passed through Lua's values, and values that
a script makes up. The scripts are few, their arguments many."""

# Commands that are the same in 7.0 and in newer versions, whatever their arguments: not those whose
# replies have numbers with fractions, which 7.0 writes with more digits.
CALLED = {
    b"GET", b"SET", b"INCR", b"DECR", b"INCRBY", b"APPEND", b"STRLEN", b"GETRANGE", b"SETRANGE", b"MGET", b"DEL", b"EXISTS", b"TYPE",
    b"LPUSH", b"RPUSH", b"LPOP", b"RPOP", b"LRANGE", b"LLEN", b"LINDEX", b"LSET", b"LREM", b"LINSERT", b"HSET", b"HGET", b"HDEL",
    b"HLEN", b"HINCRBY", b"HEXISTS", b"SADD", b"SREM", b"SCARD", b"SISMEMBER", b"ZREM", b"ZCARD", b"ZCOUNT",
    b"PERSIST", b"RENAME", b"SETBIT", b"GETBIT", b"BITCOUNT", b"MULTI", b"BLPOP", b"CONFIG",
}  # fmt: skip
CALLS = [
    b"return redis.call(unpack(ARGV))",
    b"return redis.pcall(unpack(ARGV))",
    b"return {redis.pcall(unpack(ARGV)), 'behind'}",
    b"redis.setresp(3) return redis.pcall(unpack(ARGV))",
    b"redis.setresp(3) return {redis.pcall(unpack(ARGV))}",
    b"local a, b = pcall(redis.call, unpack(ARGV)) return {a, b}",
    b"return type(redis.pcall(unpack(ARGV)))",
    b"local r = redis.pcall(unpack(ARGV)) if type(r) == 'table' then return {r.ok or r.err or #r, #r} end return r",
    b"local r = redis.pcall(unpack(ARGV)) return cjson.encode({r})",
    b"local r = redis.pcall(unpack(ARGV)) return cmsgpack.pack(r)",
    b"local r = redis.pcall(unpack(ARGV)) if type(r) == 'table' and r.err then error(r) end return r",
    b"for i = 1, 3 do redis.pcall(unpack(ARGV)) end return redis.pcall(unpack(ARGV))",
    b"return redis.call(\nunpack(ARGV))",
    b"#!lua flags=no-writes\nreturn redis.pcall(unpack(ARGV))",
    b"#!lua\nreturn redis.call(unpack(ARGV))",
]
TEXTS = [
    b"return {ARGV[1]:find(ARGV[2])}",
    b"return {ARGV[1]:find(ARGV[2], 1, true)}",
    b"return {ARGV[1]:match(ARGV[2])}",
    b"return {ARGV[1]:gsub(ARGV[2], '<%0>')}",
    b"return {ARGV[1]:gsub(ARGV[2], '%1')}",
    b"local t = {} for a, b in ARGV[1]:gmatch(ARGV[2]) do t[#t + 1] = a t[#t + 1] = b if #t > 50 then break end end return t",
    b"return {pcall(string.find, ARGV[1], ARGV[2])}",
    b"return redis.sha1hex(ARGV[1])",
    b"return {pcall(cjson.decode, ARGV[1])}",
    b"return {struct.unpack('>I2<i3Bc0', ARGV[1] .. 'abcdefghijklmnopqrstuvwxyz')}",
    b"return struct.pack('>I2<i3!4bdfs', #ARGV[1], -#ARGV[2], 7, 1.5, 2.5, ARGV[1])",
    b"return {bit.tohex(#ARGV[1] * 7919), bit.bxor(#ARGV[1], -5), bit.rol(#ARGV[2] * 65537, 5), bit.arshift(-#ARGV[2], 1)}",
    b"return {tostring(tonumber(ARGV[1])), ARGV[1]:rep(3), ARGV[1]:reverse():upper(), ARGV[1]:byte(1, 5)}",
    b"return {cmsgpack.unpack(cmsgpack.pack({ARGV[1], #ARGV[2], {a = ARGV[2]}, 1.5, -70000, true}))}",
    b"return cmsgpack.pack(ARGV, #ARGV[1] * 1000003, -#ARGV[1], #ARGV[2] / 3, {x = 1})",
]
PIECES = [b"a", b"b", b"%a", b"%d", b".", b"*", b"+", b"-", b"?", b"(", b")", b"[ab]", b"[^a]", b"[%w-]", b"%1", b"^", b"$", b"%%", b"()",
          b"%bab", b"%f[%a]", b"[", b"%"]  # fmt: skip


def value(g, depth=0):
    """An expression in Lua."""
    if depth > 3 or g.chance(0.5):
        return g.one((b"nil", b"true", b"false", b"1", b"-2.5", b"'x'", b"1e300", b"''", b"{}", b"0/0", b"'a\\0b'", b"print", b"2^53"))
    inner = value(g, depth + 1)
    return g.one((
        b"{%b, %b}" % (inner, value(g, depth + 1)), b"{ok='fine'}", b"{err='MY error'}", b"{err=%b}" % inner, b"{double=%b}" % g.one((b"2.5", b"-3", b"'x'", b"{}")),
        b"{map={a=%b}}" % inner, b"{set={%b}}" % inner, b"{big_number='123'}", b"{verbatim_string={format='txt', string='v'}}",
        b"redis.status_reply('s')", b"redis.error_reply('E x')", b"{[1]=%b, [3]=4}" % inner,
    ))  # fmt: skip


def is_help(command):
    """Its texts are our own: compared where the reply is not inside a script's."""
    return len(command) > 1 and command[1].upper() == b"HELP"


def called(g):
    """A command of another family: a script is not made for a script."""
    if not getattr(g, "is_in_script", False):
        g.is_in_script = True
        candidates = [command for _ in range(20) for command in g.next() if command[0].upper() in CALLED and not is_help(command)]
        g.is_in_script = False
        if candidates:
            return candidates[0]
    return (b"GET", g.key())


def make_call(g):
    return (g.one((b"EVAL", b"eval", b"EVAL_RO")), g.one(CALLS), b"0", *called(g))


def make_text(g):
    text = b"".join(g.one((b"a", b"b", b"ab", b"1", b" ", b"-", b"%", b"a1")) for _ in range(g.below(12)))
    pattern = b"".join(g.one(PIECES) for _ in range(g.below(6)))
    return (b"EVAL", g.one(TEXTS), b"0", text, pattern)


def make_value(g):
    return (b"EVAL", g.one((b"", b"redis.setresp(3) ")) + b"return " + value(g), b"0")


NAMES = (b"a", b"b", b"c")
HELPERS = (
    b"local function flat(x) if type(x) == 'table' then return 'T' end return x end "
    b"local size size = function(x) local n = 1 if type(x) == 'table' then for _, v in pairs(x) do n = n + size(v) if n > 60 then break end end end return n end "
    b"local function keep(x) if type(x) == 'string' then return x:sub(1, 40) end if size(x) > 60 then return 'T' end return x end "
)


def expression(g, depth=0):
    """Of numbers, texts and what the variables hold: may well be an error."""
    if depth > 2 or g.chance(0.4):
        return g.one((*NAMES, *NAMES, b"1", b"2.5", b"'x'", b"'10'", b"ARGV[1]", b"KEYS[1]", b"nil", b"true", b"{}", b"{1, 'y'}", b"#ARGV"))
    left, right = expression(g, depth + 1), expression(g, depth + 1)
    form = g.one((
        b"(%b + %b)", b"(%b .. %b)", b"(%b == %b)", b"(%b < %b)", b"(%b and %b)", b"(%b or %b)", b"{%b, %b}", b"{x = %b, %b}",
        b"select(2, %b, %b)", b"(%b %% %b)", b"string.format('%%s|%%s', %b, %b)", b"math.max(%b, %b)", b"string.sub(%b, %b)",
        b"string.rep(%b, 3, %b)", b"rawequal(%b, %b)", b"tostring(tonumber(%b, %b))", b"(type(%b) .. type(%b))",
    ))  # fmt: skip
    return form % (left, right)


def statement(g, depth=0):
    """What it leaves in the variables stays small: a value that doubles in a loop would keep both servers busy for years."""
    return bare_statement(g, depth) + b" a, b, c = keep(a), keep(b), keep(c)"


def bare_statement(g, depth):
    name, value_of = g.one(NAMES), expression(g)
    if depth < 2 and g.chance(0.3):
        inner = statement(g, depth + 1) + b" " + statement(g, depth + 1)
        return g.one((
            b"for i = 1, 3 do %b end" % inner, b"if %b then %b else %b = 7 end" % (value_of, inner, name),
            b"%b = {pcall(function() %b return %b end)}" % (name, inner, value_of), b"local function f() %b return %b end %b = f()" % (inner, value_of, name),
            b"%b = coroutine.wrap(function() %b coroutine.yield(%b) end)()" % (name, inner, value_of),
            b"for k, v in ipairs({%b, 2}) do %b = v %b end" % (value_of, name, inner),
        ))  # fmt: skip
    return g.one((
        b"%b = %b" % (name, value_of), b"%b = redis.pcall('set', KEYS[1], %b)" % (name, value_of), b"%b = redis.call('get', KEYS[1])" % name,
        b"%b = redis.pcall('rpush', KEYS[2], %b, %b)" % (name, value_of, name), b"%b = redis.call('lrange', KEYS[2], 0, -1)" % name,
        b"redis.call('del', KEYS[2])", b"%b = redis.pcall('incrby', KEYS[1], %b)" % (name, value_of), b"%b = redis.pcall('hset', KEYS[3], %b, 1)" % (name, value_of),
        b"%b = select('#', unpack({%b, nil, 3}, 1, 3))" % (name, value_of), b"error(flat(%b))" % value_of, b"assert(%b, flat(%b))" % (value_of, expression(g)),
        b"%b = cjson.encode({%b})" % (name, value_of), b"%b = table.concat({%b, 'q'}, ',')" % (name, value_of), b"redis.setresp(%b)" % g.one((b"2", b"3")),
        b"table.insert(%b, flat(%b))" % (name, value_of), b"%b[1] = flat(%b)" % (name, value_of), b"%b = #%b" % (name, expression(g)),
    ))  # fmt: skip


def make_program(g):
    """Statements at random. What is said of an error depends on where it is, so that is compared, too."""
    lines = b"\n".join(statement(g) for _ in range(1 + g.below(6)))
    head = g.one((b"", b"", b"", b"#!lua\n", b"#!lua flags=no-writes\n"))
    # 7.0 crashes of an error that is a table without a text in it.
    head += HELPERS
    text = head + b"local a, b, c = 1, 'two', {3}\n" + lines + b"\nreturn " + g.one((b"a", b"{a, b}", b"{type(a), b, c}", b"c"))
    return (b"EVAL", text, b"3", b"script:s", b"script:l", b"script:h", g.one((b"5", b"arg", b"")))


SCRIPTS = [(4, make_call), (3, make_text), (3, make_value), (4, make_program)]
