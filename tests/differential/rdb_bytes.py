"""RDB files and their old encodings, byte by byte, for tests: what today's servers no longer write.

Everything here gives bytes. A file is `file(version, *parts)`, a part is `key(...)`, `aux(...)`, `select(n)`.
"""

import struct

EXPIRE_MS, EXPIRE_S, SELECT, RESIZE, AUX, FREQ, IDLE, MODULE_AUX, FUNCTION = 252, 253, 254, 251, 250, 249, 248, 247, 245
(STRING, LIST, SET, ZSET, HASH, ZSET_2, _, MODULE_2, _, HASH_ZIPMAP, LIST_ZIPLIST, SET_INTSET, ZSET_ZIPLIST,
 HASH_ZIPLIST, LIST_QUICKLIST, STREAM_1, HASH_LISTPACK, ZSET_LISTPACK, LIST_QUICKLIST_2, STREAM_2, SET_LISTPACK,
 STREAM_3, _, _, HASH_EXPIRING, HASH_LISTPACK_EXPIRING) = range(26)


def _crc_table():
    polynomial = 0x95AC9329AC4BC9B5
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (polynomial if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc_table()


def crc64(data, crc=0):
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 255]
    return crc


def length(number):
    if number < 64:
        return bytes([number])
    if number < 1 << 14:
        return bytes([64 | number >> 8, number & 255])
    if number < 1 << 32:
        return b"\x80" + struct.pack(">I", number)
    return b"\x81" + struct.pack(">Q", number)


def _bytes(value):
    return value if isinstance(value, bytes) else str(value).encode()


def string(value):
    value = _bytes(value)
    return length(len(value)) + value


def integer(number):
    """A string that is written as a number."""
    if -128 <= number < 128:
        return b"\xc0" + struct.pack("<b", number)
    if -(1 << 15) <= number < 1 << 15:
        return b"\xc1" + struct.pack("<h", number)
    return b"\xc2" + struct.pack("<i", number)


def compressed_zeros(count):
    """`count` zeros in LZF: one literal, then references of 264 at most to the byte before."""
    packed, left = b"\x000", count - 1
    while left > 0:
        piece = min(left, 264)
        if piece < 3:
            packed += bytes([piece - 1]) + b"0" * piece
        elif piece < 9:
            packed += bytes([(piece - 2) << 5, 0])
        else:
            packed += bytes([7 << 5, piece - 9, 0])
        left -= piece
    return b"\xc3" + length(len(packed)) + length(count) + packed


def strings(values):
    return length(len(values)) + b"".join(map(string, values))


def old_double(score):
    if score == float("inf"):
        return b"\xfe"
    if score == float("-inf"):
        return b"\xff"
    text = repr(score).encode()
    return bytes([len(text)]) + text


def double(score):
    return struct.pack("<d", score)


# ---- packed lists


def _number(value):
    value = _bytes(value)
    try:
        number = int(value)
    except ValueError:
        return None
    return number if str(number).encode() == value and -(1 << 63) <= number < 1 << 63 else None


def _ziplist_entry(value, encode_integers):
    number = _number(value) if encode_integers else None
    value = _bytes(value)
    if number is None:
        if len(value) < 64:
            return bytes([len(value)]) + value
        if len(value) < 1 << 14:
            return bytes([0x40 | len(value) >> 8, len(value) & 255]) + value
        return b"\x80" + struct.pack(">I", len(value)) + value
    if 0 <= number <= 12:
        return bytes([0xF1 + number])
    for first, size in ((0xFE, 1), (0xC0, 2), (0xF0, 3), (0xD0, 4), (0xE0, 8)):
        if -(1 << 8 * size - 1) <= number < 1 << 8 * size - 1:
            return bytes([first]) + number.to_bytes(size, "little", signed=True)
    raise AssertionError(number)


def ziplist(values, encode_integers=True):
    body, previous, tail = b"", 0, 10
    for value in values:
        tail = 10 + len(body)
        head = bytes([previous]) if previous < 254 else b"\xfe" + struct.pack("<I", previous)
        entry = head + _ziplist_entry(value, encode_integers)
        previous = len(entry)
        body += entry
    return struct.pack("<IIH", 11 + len(body), tail, min(len(values), 65535)) + body + b"\xff"


def zipmap(pairs, free=0):
    """`free`: unused bytes behind each value."""

    def size(number):
        return bytes([number]) if number < 254 else b"\xfe" + struct.pack("<I", number)

    body = b""
    for field, value in pairs:
        field, value = _bytes(field), _bytes(value)
        body += size(len(field)) + field + size(len(value)) + bytes([free]) + value + b"\0" * free
    return bytes([min(len(pairs), 254)]) + body + b"\xff"


def intset(numbers, size):
    return struct.pack("<II", size, len(numbers)) + b"".join(
        number.to_bytes(size, "little", signed=True) for number in sorted(numbers)
    )


def _listpack_entry(value, encode_integers=True):
    number = _number(value) if encode_integers else None
    value = _bytes(value)
    if number is not None and 0 <= number < 128:
        entry = bytes([number])
    elif number is not None and -4096 <= number < 4096:
        entry = bytes([0xC0 | (number & 0x1FFF) >> 8, number & 255])
    elif number is not None:
        for first, size in ((0xF1, 2), (0xF2, 3), (0xF3, 4), (0xF4, 8)):
            if -(1 << 8 * size - 1) <= number < 1 << 8 * size - 1:
                entry = bytes([first]) + number.to_bytes(size, "little", signed=True)
                break
    elif len(value) < 64:
        entry = bytes([0x80 | len(value)]) + value
    elif len(value) < 4096:
        entry = bytes([0xE0 | len(value) >> 8, len(value) & 255]) + value
    else:
        entry = b"\xf0" + struct.pack("<I", len(value)) + value
    back, size = [], len(entry)
    while True:
        back.insert(0, size & 127)
        size >>= 7
        if size == 0:
            break
    return entry + bytes([back[0]] + [part | 128 for part in back[1:]])


def listpack(values):
    body = b"".join(map(_listpack_entry, values))
    return struct.pack("<IH", 7 + len(body), min(len(values), 65535)) + body + b"\xff"


# ---- streams


def stream_id(ms, sequence):
    return struct.pack(">QQ", ms, sequence)


def stream_listpack(master, fields, records, deleted=0):
    """Records (ms offset, sequence offset, values) with all the same fields as the first one."""
    entries = [len(records) - deleted, deleted, len(fields), *fields, 0]
    for ms, sequence, values in records:
        entries += [2, ms, sequence, *values, len(values) + 3]
    return string(stream_id(*master)) + string(listpack(entries))


# ---- files


def aux(name, value):
    return bytes([AUX]) + string(name) + string(value)


def select(number):
    return bytes([SELECT]) + length(number)


def resize(keys, expiring):
    return bytes([RESIZE]) + length(keys) + length(expiring)


def key(name, kind, value, expire_ms=None, expire_s=None):
    front = b""
    if expire_ms is not None:
        front = bytes([EXPIRE_MS]) + struct.pack("<q", expire_ms)
    if expire_s is not None:
        front = bytes([EXPIRE_S]) + struct.pack("<i", expire_s)
    return front + bytes([kind]) + string(name) + value


def file(version, *parts, checksum=True):
    data = b"REDIS%04d" % version + b"".join(parts) + b"\xff"
    if version < 5:
        return data
    return data + (struct.pack("<Q", crc64(data)) if checksum else b"\0" * 8)


def payload(kind, value, version=11):
    """What RESTORE takes."""
    data = bytes([kind]) + value + struct.pack("<H", version)
    return data + struct.pack("<Q", crc64(data))
