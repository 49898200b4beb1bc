"""Transcripts: conversations with a server, written down, to be played against it.

    == title | resp3 | since 7.2 | ours why
    # a remark
    SET key "value\\x00" NX
        +OK
    @other GET key
        "value\\x00"
    DEBUG OBJECT key
        ~ \\+Value at:.*
    .sleep 0.05

A command as in redis-cli, and indented under it the reply: `+status`, `-error`, `:5`, `"bulk"`, `nil`,
`nil-array`, `[array, ...]`, `{key: value}`, `~[set]`, `>[push]`, `,1.5`, `#t`, `(123`, `=txt:"..."`, `any`, or
`~ regular expression` over this notation. An array whose order is open is written with its elements sorted
behind `sorted `. `@name` speaks on another connection, `{now+100}` and `{ms+100}` are clock times, `.sleep`
waits, `.push` reads a message that nobody asked for.

`python transcript.py record FILE...` fills in what REDIS_SERVER (default redis-server) answers to the commands
that have no reply yet; --all asks anew for every reply that is not a pattern. Read what it wrote.
"""

import argparse
import pathlib
import re
import tempfile
import time

import harness

ESCAPES = {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x22: '\\"', 0x5C: "\\\\"}


def quote(data):
    return '"' + "".join(ESCAPES.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in data) + '"'


def render(reply):
    """A reply in the notation of transcripts."""
    if reply is None:
        return "nil"
    if isinstance(reply, harness.NullArray):
        return "nil-array"
    if isinstance(reply, harness.Status):
        return "+" + reply.decode(errors="backslashreplace")
    if isinstance(reply, harness.Error):
        text = "-" + reply.decode(errors="backslashreplace")
        return text[:-1] + "\\x20" if text.endswith(" ") else text  # editors eat blanks at a line's end
    if isinstance(reply, harness.Verbatim):
        return f"={reply[:4].decode()}{quote(reply[4:])}"
    if isinstance(reply, bytes):
        return quote(reply)
    if isinstance(reply, bool):
        return "#t" if reply else "#f"
    if isinstance(reply, harness.Double):
        return "," + reply.text
    if isinstance(reply, harness.BigNumber):
        return f"({int(reply)}"
    if isinstance(reply, int):
        return f":{reply}"
    if isinstance(reply, harness.Attribute):
        return "|{" + ", ".join(f"{render(k)}: {render(v)}" for k, v in reply.pairs) + "} " + render(reply.reply)
    if isinstance(reply, harness.Map):
        return "{" + ", ".join(f"{render(k)}: {render(v)}" for k, v in reply) + "}"
    inner = "[" + ", ".join(map(render, reply)) + "]"
    return {harness.Set: "~", harness.Push: ">"}.get(type(reply), "") + inner


WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'|(\S+)', re.S)
UNESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.S)
LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}


def unescape(text):
    def one(match):
        code = match.group(1)
        return bytes([int(code[1:], 16)]) if len(code) == 3 else LETTERS.get(code, code)

    return UNESCAPE.sub(one, text.encode())


def clock(text):
    def one(match):
        unit, offset = match.group(1), int(match.group(2) or 0)
        now = time.time()
        return str((int(now) if unit == "now" else int(now * 1000)) + offset)

    return re.sub(r"\{(now|ms)([+-]\d+)?\}", one, text)


def split(line):
    words = []
    for double, single, plain in WORD.findall(clock(line)):
        words.append(plain.encode() if plain else single.encode() if single else unescape(double))
    return words


class Section:
    def __init__(self, path, number, heading):
        self.path, self.number = path, number
        title, *flags = [part.strip() for part in heading.split("|")]
        self.title = title
        self.flags = dict((flag.split(None, 1) + [""])[:2] for flag in flags)
        self.lines = []  # (line number, text)

    @property
    def protocol(self):
        return 3 if "resp3" in self.flags else 2


def read(path):
    """The sections of a transcript; what stands before the first one is dropped."""
    sections = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("== "):
            sections.append(Section(path, number, line[3:]))
        elif sections:
            sections[-1].lines.append((number, line))
    return sections


def matches(expected, found):
    if expected == "any":
        return True
    if expected.startswith("~ "):
        return re.fullmatch(expected[2:], render(found), re.S) is not None
    if expected.startswith("sorted "):
        kind = type(found)
        return isinstance(found, list) and expected[7:] == render(kind(sorted(found, key=render)))
    return expected == render(found)


def play(section, server, record=None):
    """Play a section; asserts every reply. With `record`, gives its lines with the replies filled in."""
    connections = {}

    def connect(name):
        if name not in connections:
            connections[name] = server.connect(section.protocol)
        return connections[name]

    written = []
    lines = section.lines
    index = 0
    while index < len(lines):
        number, line = lines[index]
        index += 1
        written.append(line)
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if line[0].isspace():
            raise AssertionError(f"{section.path.name}:{number}: a reply without a command")
        if text.startswith(".sleep"):
            time.sleep(float(text.split()[1]))
            continue
        name, command = "", text
        if text.startswith("@"):
            name, command = text[1:].split(None, 1)
        connection = connect(name)
        if command != ".push":
            connection.command(*split(command))
        found = connection.read()
        expected = None
        if index < len(lines) and lines[index][1][:1].isspace() and lines[index][1].strip():
            expected = lines[index][1].strip()
            index += 1
        if record is None:
            assert expected is not None, f"{section.path.name}:{number}: no reply is written down"
            assert matches(expected, found), (
                f"{section.path.name}:{number}: {text}\n  expected {expected}\n  found    {render(found)}"
            )
        else:
            is_pattern = expected is not None and (expected == "any" or expected.startswith(("~ ", "sorted ")))
            keep = expected is not None and (is_pattern or record != "all")
            written.append("    " + (expected if keep else render(found)))
            if keep and not matches(expected, found):
                print(f"{section.path.name}:{number}: {text}: expected {expected}, found {render(found)}")
    return written


def record(path, mode):
    preface = path.read_text().split("\n== ")[0].split("== ")[0]
    preface = preface.rstrip("\n")
    written = [preface] if preface else []
    with tempfile.TemporaryDirectory() as folder:
        options = {"save": "", "enable-debug-command": "yes"}
        server = harness.Server(harness.peer_command(), folder, options).start()
        try:
            for section in read(path):
                heading = " | ".join([section.title, *(f"{k} {v}".strip() for k, v in section.flags.items())])
                if written:
                    while written[-1] == "":
                        written.pop()
                    written.append("")
                written.append("== " + heading)
                if "since" in section.flags or "ours" in section.flags:
                    written += [line for _, line in section.lines]
                    continue
                with server.connect() as connection:
                    connection.call_ok("FLUSHALL")
                written += play(section, server, mode)
        finally:
            server.stop()
    path.write_text("\n".join(written).rstrip("\n") + "\n")


def main():
    parser = argparse.ArgumentParser(description="Record transcripts against redis-server.")
    parser.add_argument("action", choices=["record"])
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--all", action="store_true", help="ask anew for every reply that is not a pattern")
    options = parser.parse_args()
    for path in options.files:
        record(path, "all" if options.all else "missing")


if __name__ == "__main__":
    main()
