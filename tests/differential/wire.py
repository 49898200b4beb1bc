"""Replies as bytes: cut apart, and taken apart, as fast as Python can.

The differential test compares bytes; only where those differ are replies parsed. Nothing here reads sockets.
"""


def encode(arguments):
    parts = [b"*%d\r\n" % len(arguments)]
    parts += [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments]
    return b"".join(parts)


def end_of_reply(data, position):
    """Where the reply that begins at `position` ends. Raises ValueError where no reply is complete."""
    kind = data[position]
    end = data.index(b"\r\n", position)
    if kind in b"+-:_#,(":
        return end + 2
    size = int(data[position + 1 : end])
    end += 2
    if kind in b"$=!":
        if size < 0:
            return end
        end += size + 2
        if end > len(data):
            raise ValueError("incomplete")
        return end
    if kind in b"%|":
        size *= 2
    elif kind not in b"*~>":
        raise ValueError(f"not a reply: {data[position:position + 40]!r}")
    for _ in range(size):
        end = end_of_reply(data, end)
    return end_of_reply(data, end) if kind == 0x7C else end


def split(data):
    """The replies in `data`, each as its bytes."""
    replies = []
    position = 0
    while position < len(data):
        end = end_of_reply(data, position)
        replies.append(data[position:end])
        position = end
    return replies


def parse(reply):
    """A reply as Python values: (kind, value) for what is not a bulk string, a number or null."""
    value, end = _parse(reply, 0)
    assert end == len(reply), reply
    return value


def _parse(data, position):
    kind = data[position : position + 1]
    end = data.index(b"\r\n", position)
    text = data[position + 1 : end]
    end += 2
    if kind == b":":
        return int(text), end
    if kind in (b"+", b"-", b",", b"(", b"#"):
        return (kind, text), end
    if kind == b"_":
        return None, end
    size = int(text)
    if kind in (b"$", b"="):
        if size < 0:
            return None, end
        value = data[end : end + size]
        return (value if kind == b"$" else (kind, value)), end + size + 2
    if size < 0:
        return None, end
    elements = []
    for _ in range(size * 2 if kind in (b"%", b"|") else size):
        element, end = _parse(data, end)
        elements.append(element)
    return (elements if kind == b"*" else (kind, elements)), end


def elements(value):
    """The elements of a parsed aggregate, whatever its kind; None for what is none."""
    if isinstance(value, tuple) and isinstance(value[1], list):
        return value[1]
    return value if isinstance(value, list) else None


ESCAPES = {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x22: '\\"', 0x5C: "\\\\"}


def quote(argument):
    """An argument as redis-cli and the transcripts take it."""
    if argument and all(33 <= byte < 127 and byte not in b"\"'\\#@.{" for byte in argument):
        return argument.decode()
    if len(argument) > 400:
        return f'"{quote(argument[:60])[1:-1]}..." (of {len(argument)} bytes)'
    return '"' + "".join(ESCAPES.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in argument) + '"'


def show(reply):
    """A reply for people: its bytes, cut where they are many."""
    if reply is None:
        return "no reply"
    text = repr(reply)[2:-1]
    return text if len(text) < 1000 else f"{text[:700]} ... {text[-200:]} ({len(reply)} bytes)"
