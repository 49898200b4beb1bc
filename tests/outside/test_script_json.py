"""cjson.decode is the server's own: on random texts, good and bad, it says what lua-cjson in Debian's redis-server says, errors
and their places too; it can be killed in the middle, and an error in the middle loses no memory."""

import json
import random
import time

import pytest
from harness import Status
from test_scripts import begin_slow

ROUNDS, TEXTS = 25, 300

# Each text of ARGV decoded, and written down.
SHOW = """
local out, show = {}
cjson.decode_max_depth(tonumber(ARGV[1]))
cjson.decode_invalid_numbers(ARGV[2])
show = function(v)
    if type(v) == 'number' then return string.format('%.17g', v) end
    if type(v) ~= 'table' then return type(v) .. ':' .. tostring(v) end
    local keys, parts = {}, {}
    for k in pairs(v) do keys[#keys + 1] = k end
    table.sort(keys, function(a, b) return type(a) .. tostring(a) < type(b) .. tostring(b) end)
    for i, k in ipairs(keys) do parts[i] = show(k) .. '=' .. show(v[k]) end
    return '{' .. table.concat(parts, ',') .. '}'
end
for i = 3, #ARGV do
    local good, value = pcall(cjson.decode, ARGV[i])
    out[#out + 1] = tostring(good) .. ' ' .. show(value)
end
cjson.decode_max_depth(1000)
cjson.decode_invalid_numbers(true)
return out
"""
PIECES = [
    *(b'{ } [ ] , : " \\ true false null nul 1 0 - + . e E 0x1f inf nan Infinity "a" "b":1 [] {} -0 1e400 / 12345678901234567890'.split()),
    *(b'"\\u00e9" "\\ud83d\\ude00" \\ud83d \\udc00 \\u12 "\\n" "\\x" "\\/"'.split()), b" ", b"\n", b"\t", b"\x0c", b"\x00", b"\xff",
]  # fmt: skip


class Texts:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def scalar(self):
        choice = self.random
        if choice.random() < 0.2:
            return choice.choice([b"true", b"false", b"null"])
        if choice.random() < 0.4:
            return repr(choice.choice([choice.randrange(-1000, 1000), choice.random() * 1e10, choice.random() * 1e-10])).encode()
        letters = "".join(choice.choice('ab"\\\n\t/é€😀\x01 {}[],:') for _ in range(choice.randrange(6)))
        return json.dumps(letters, ensure_ascii=choice.random() < 0.5).encode()

    def blank(self):
        return self.random.choice([b"", b"", b" ", b"\n "])

    def value(self, depth=0):
        if depth == 5 or self.random.random() < 0.5:
            return self.scalar()
        values = [self.blank() + self.value(depth + 1) + self.blank() for _ in range(self.random.randrange(5))]
        if self.random.random() < 0.5:
            return b"[" + b",".join(values) + b"]"
        return b"{" + b",".join(b'"%c"%b:%b' % (self.random.choice(b"abc"), self.blank(), value) for value in values) + b"}"

    def text(self):
        choice = self.random
        if choice.random() < 0.25:
            return b"".join(choice.choice(PIECES) for _ in range(choice.randrange(8)))
        text = self.value()
        for _ in range(choice.randrange(3)):
            at, piece = choice.randrange(len(text) + 1), choice.choice([b"", bytes([choice.randrange(256)]), choice.choice(PIECES)])
            text = text[:at] + piece + text[at + choice.randrange(2) :]
        return text


def test_random_texts(server, peer):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    texts, ours, theirs = Texts(seed), server.connect(), peer.connect()
    for _ in range(ROUNDS):
        some = [texts.text() for _ in range(TEXTS)]
        words = ("EVAL", SHOW, 0, texts.random.choice([1, 2, 3, 1000]), texts.random.choice(["on", "off"]), *some)
        for text, our, their in zip(some, ours.call(*words), theirs.call(*words)):
            assert our == their, (words[3:5], text)


@pytest.mark.parametrize(
    "call",
    "decode_max_depth() decode_max_depth(0) decode_max_depth('x') decode_max_depth(1,2) decode_max_depth(nil) decode_max_depth(2.5) "
    "decode_max_depth(1000) decode_invalid_numbers() decode_invalid_numbers('x') decode_invalid_numbers('off') decode_invalid_numbers(1) "
    "decode_invalid_numbers('on') decode_invalid_numbers(nil) decode_invalid_numbers(true) encode_keep_buffer() encode_keep_buffer(1,2) "
    "encode_keep_buffer('x') decode() decode('1','2') decode({}) decode(12) decode(nil) decode('1\\0\\0') decode('\\0') decode('x') "
    "decode(true) decode('1\\0') decode('\\0001')".split(),
)
def test_arguments(server, peer, call):
    script = f"return tostring(cjson.{call})"
    assert server.connect().call("EVAL", script, "0") == peer.connect().call("EVAL", script, "0")


@pytest.mark.parametrize("piece", ["1,", "[],", '"a",', '{"a":1},', '"\\\\n",'])
def test_a_huge_text_is_served_around_and_killed(server, piece):
    script = f"local s = '[' .. string.rep('{piece}', 2e7 / {len(piece)}) .. '1]' while true do cjson.decode(s) end"
    running, other = begin_slow(server, script)
    assert other.call("SCRIPT", "KILL") == Status(b"OK")
    begun = time.monotonic()
    assert running.end().startswith(b"ERR Script killed by user")
    assert time.monotonic() - begun < 5
    assert other.call("EVAL", "return 7", "0") == 7


def test_an_error_in_the_middle_loses_no_memory(start):
    server = start(script_max_memory="32mb")
    connection = server.connect()
    connection.call_ok("SET", "json", b"[" + b",".join(b'["abcdefgh%d"]' % i for i in range(500_000)) + b"]")
    used = []
    for _ in range(4):
        reply = connection.call("EVAL", "return select(2, pcall(cjson.decode, redis.call('get', KEYS[1])))", 1, "json")
        assert reply == b"not enough memory"
        connection.call("EVAL", "collectgarbage() collectgarbage()", 0)
        used.append(int(server.info("memory")["used_memory"]))
    assert used[-1] < used[0] + 4_000_000
