#!/usr/bin/env python3
"""The differential test: random commands to two servers, whose answers and data have to be the same.

    differential.py --seed 7 --commands 1000000 --ours "build/redstart server" --peer redis-server

Each round begins with empty servers and has its own seed, made of the given one and its number, so a round can be
run alone (--round). Commands go out in pipelines, alternately on a RESP2 and a RESP3 connection; a pipeline ends
with an ECHO that marks its end, so that equal answers are recognised without parsing them. Now and then, and at a
round's end, all keys, values, types, encodings and expiries are compared. Some rounds have all families of commands
on the same keys, so that types meet; others only a few, so that values live long enough to grow. On a difference the round is replayed with fewer and
fewer commands until none can be left out, and what remains is printed as a transcript.

Answers that may differ, and why: known_differences.py. The commands: generator.py.
"""

import argparse
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

import known_differences
from generator import FAMILIES, SETTINGS, Generator
from wire import encode, parse, quote, show, split

ROUND_COMMANDS = 5000
BATCH_COMMANDS_MAX = 600
STATE_COMMANDS = 1500  # between two comparisons of all data
REPLY_SECONDS_MAX = 20
REPLAYS_MAX = 400
DATABASES = 16
OPTIONS = ["--save", "", "--enable-debug-command", "yes", "--loglevel", "warning"]


class Gone(Exception):
    """A server closed its connection, died, or says nothing any more."""


class Endpoint:
    """One of the two servers: started here from a command line, or running at an address."""

    def __init__(self, name, target):
        self.name = name
        self.process = None
        self.folder = None
        self.sockets = []
        self.address = None
        host, colon, port = target.rpartition(":")
        if colon and port.isdigit() and " " not in target and "/" not in target:
            self.address = (host, int(port))
        else:
            words = shlex.split(target)
            path = shutil.which(words[0]) or words[0]
            self.command = [os.path.abspath(path) if "/" in path else path, *words[1:]]
            if len(words) == 1 and not os.path.basename(path).endswith("-server"):
                self.command.append("server")
            self.folder = tempfile.mkdtemp(prefix=f"differential-{name}-")

    def start(self):
        if self.folder and (self.process is None or self.process.poll() is not None):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.address = ("127.0.0.1", probe.getsockname()[1])
            with open(os.path.join(self.folder, "log"), "ab") as log:
                line = [*self.command, "--port", str(self.address[1]), "--dir", self.folder, *OPTIONS]
                self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(self.address, timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline or (self.process and self.process.poll() is not None):
                    raise SystemExit(f"{self.name} cannot be reached at {self.address}\n{self.log()}") from None
                time.sleep(0.02)

    def connect(self):
        """All connections anew: one in RESP2, one in RESP3, and one for looking at the data."""
        for old in self.sockets:
            old.close()
        self.start()
        self.sockets = []
        for _ in range(3):
            made = socket.create_connection(self.address, timeout=REPLY_SECONDS_MAX)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets.append(made)

    def send(self, index, data):
        try:
            self.sockets[index].sendall(data)
        except OSError as error:
            raise Gone(f"{self.name}: {error}") from None

    def receive(self, index, end):
        """Everything up to the marker, without it."""
        pieces = []
        tail = b""
        receive = self.sockets[index].recv
        try:
            while True:
                piece = receive(1 << 18)
                if not piece:
                    raise Gone(f"{self.name} closed the connection")
                pieces.append(piece)
                tail = (tail + piece)[-len(end) :]
                if tail == end:
                    return b"".join(pieces)[: -len(end)]
        except OSError as error:
            raise Gone(f"{self.name}: {error or type(error).__name__}") from None

    def log(self):
        if not self.folder:
            return ""
        with open(os.path.join(self.folder, "log"), errors="replace") as file:
            return file.read()[-6000:]

    def close(self):
        for old in self.sockets:
            old.close()
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Difference:
    seed: int
    round: int
    kind: str  # "reply", "state" or "gone"
    index: int = 0  # of the command in its round
    arguments: tuple = ()
    ours: bytes = None
    peer: bytes = None
    note: str = ""
    history: list = field(default_factory=list)  # [(connection, command)], minimal
    reproduced: bool = False

    def __str__(self):
        lines = [
            f"DIFFERENCE in round {self.round} of seed {self.seed}, command {self.index} ({self.kind})",
            f"    again with: --seed {self.seed} --round {self.round}",
        ]
        if not self.reproduced:
            lines.append("    it did not happen again when the round was replayed")
        lines.append(f"{len(self.history)} commands lead to it:" if self.reproduced else "the commands before it:")
        for connection, command in self.history[-200:]:
            prefix = "@resp3 " if connection else ""
            lines.append("    " + prefix + " ".join(quote(argument) for argument in command))
        if self.note:
            lines.append(self.note)
        if self.kind == "reply":
            lines += [f"ours: {show(self.ours)}", f"peer: {show(self.peer)}"]
        return "\n".join(lines)


def silent_commands(batch, off=False):
    """For each command of a connection whether it gets no reply, because of CLIENT REPLY."""
    silent = []
    skip = False
    for command in batch:
        silent.append(off or skip)
        skip = False
        name = command[0].upper()
        if name == b"RESET" and len(command) == 1:
            silent[-1] = False
            off = False
        if name == b"CLIENT" and len(command) == 3 and command[1].upper() == b"REPLY":
            mode = command[2].upper()
            if mode == b"ON":
                silent[-1] = off = False
            elif mode == b"OFF":
                silent[-1] = off = True
            elif mode == b"SKIP":
                silent[-1] = True
                skip = not off
    return silent


def is_lingering(command):
    """True for a command that may store a key whose time has already passed."""
    return len(command) > 4 and command[0].upper() == b"SET" or (
        len(command) == 4 and command[0].upper() in (b"SETEX", b"PSETEX")
    )


def leaves_transaction(batch):
    """Does the batch end between MULTI and EXEC?"""
    inside = False
    for command in batch:
        name = command[0].upper()
        if name == b"MULTI" and len(command) == 1:
            inside = True
        elif name == b"EXEC" or name in (b"DISCARD", b"RESET") and len(command) == 1:
            inside = False
    return inside


class Differential:
    def __init__(self, seed, ours, peer, families=None, report=print):
        self.seed = seed
        self.ours = Endpoint("ours", ours)
        self.peer = Endpoint("peer", peer)
        self.both = (self.ours, self.peer)
        self.families = families
        self.report = report
        self.commands = 0
        self.parsed = 0
        self.connected = False
        mark = b"end of batch %d" % random.Random(seed).getrandbits(64)
        # replies may be off: switch them on, and let the end be found
        self.tail = encode((b"CLIENT", b"REPLY", b"ON")) + encode((b"ECHO", mark))
        self.tail_reply = b"+OK\r\n$%d\r\n%b\r\n" % (len(mark), mark)

    def close(self):
        for endpoint in self.both:
            endpoint.close()

    # Talking

    def send(self, connection, batch):
        if leaves_transaction(batch):  # a history that is being made smaller has lost the end
            batch = [*batch, (b"DISCARD",)]
        data = b"".join(map(encode, batch)) + self.tail
        for endpoint in self.both:
            endpoint.send(connection, data)

    def receive(self, connection):
        return [endpoint.receive(connection, self.tail_reply) for endpoint in self.both]

    def exchange(self, connection, batch):
        self.send(connection, batch)
        return self.receive(connection)

    def reset(self):
        """Both servers empty, settings as they were, one connection in RESP2 and one in RESP3."""
        for attempt in range(2):
            if not self.connected:
                for endpoint in self.both:
                    endpoint.connect()
                self.connected = True
            settings = [(b"CONFIG", b"SET", name, values[0]) for name, values in SETTINGS if name not in (b"", b"databases", b"nonsense")]
            try:
                self.exchange(0, [(b"RESET",), (b"FLUSHALL", b"SYNC"), *settings, (b"DEBUG", b"SET-ACTIVE-EXPIRE", b"1")])
                self.exchange(1, [(b"RESET",), (b"HELLO", b"3")])
                self.context = known_differences.Context()
                return
            except Gone:
                self.connected = False
                if attempt:
                    raise

    def dump(self, endpoint_index):
        """All keys of a server: {(database, key): (type, value, expiry, encoding)}."""
        endpoint = self.both[endpoint_index]

        def ask(commands):
            endpoint.send(2, b"".join(map(encode, commands)) + self.tail)
            return split(endpoint.receive(2, self.tail_reply))

        state = {}
        for database in range(DATABASES):
            keys = set()
            cursor = b"0"
            while True:
                reply = parse(ask([(b"SELECT", b"%d" % database), (b"SCAN", cursor, b"COUNT", b"1000")])[1])
                cursor = reply[0]
                keys.update(reply[1])
                if cursor == b"0":
                    break
            keys = sorted(keys)
            commands = []
            for key in keys:
                commands += [(b"TYPE", key), (b"OBJECT", b"ENCODING", key), (b"PEXPIRETIME", key), (b"GET", key)]
            replies = ask(commands) if commands else []
            for index, key in enumerate(keys):
                kind, encoding, expiry, value = replies[index * 4 : index * 4 + 4]
                if kind != b"+none\r\n":
                    state[database, key] = (kind, encoding, int(expiry[1:]), value)
        self.add_contents(state, ask)
        return state

    def add_contents(self, state, ask):
        """Collections by their own reading command; their encodings may be newer than the peer's."""
        readers = {
            b"+list\r\n": lambda key: (b"LRANGE", key, b"0", b"-1"),
            b"+set\r\n": lambda key: (b"SMEMBERS", key),
            b"+hash\r\n": lambda key: (b"HGETALL", key),
            b"+zset\r\n": lambda key: (b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"),
            b"+stream\r\n": lambda key: (b"XRANGE", key, b"-", b"+"),
        }
        wanted = [(name, found) for name, found in state.items() if found[0] in readers]
        commands = []
        for (database, key), (kind, *_) in wanted:
            commands += [(b"SELECT", b"%d" % database), readers[kind](key)]
        replies = ask(commands)[1::2] if commands else []
        for (name, (kind, encoding, expiry, _)), content in zip(wanted, replies):
            if kind == b"+set\r\n":
                content = b"".join(sorted(split(content[content.index(b"\n") + 1 :])))
            elif kind == b"+hash\r\n":
                parts = split(content[content.index(b"\n") + 1 :])
                content = b"".join(sorted(parts[i] + parts[i + 1] for i in range(0, len(parts), 2)))
            elif kind == b"+zset\r\n":
                content = repr(known_differences.score_values(parse(content))).encode()
            is_compared = kind == b"+zset\r\n" and not self.context.sorted
            state[name] = (kind, encoding if is_compared else b"", expiry, content)

    def compare_state(self):
        """The differences between the two servers' data, as lines."""
        ours, peer = self.dump(0), self.dump(1)
        lines = []
        for key in sorted(ours.keys() | peer.keys()):
            mine, other = ours.get(key), peer.get(key)
            if mine and other and mine[:2] + mine[3:] == other[:2] + other[3:]:
                if mine[2] == other[2] or min(mine[2], other[2]) >= 0 and abs(mine[2] - other[2]) <= known_differences.TOLERANCE_MS:
                    continue
            lines.append(f"database {key[0]}, key {quote(key[1])}:")
            for name, found in (("ours", mine), ("peer", other)):
                text = "missing"
                if found:
                    text = f"{show(found[0])} {show(found[1])} expires {found[2]} {show(found[3])}"
                lines.append(f"    {name}: {text}")
        return lines

    # Comparing

    def first_difference(self, batch, ours, peer):
        """(index, ours, peer) of the first replies that differ and may not; None."""
        if ours == peer:
            return None
        self.parsed += len(batch)
        replies = []
        expected = [index for index, silent in enumerate(silent_commands(batch)) if not silent]
        for name, data in (("ours", ours), ("peer", peer)):
            try:
                replies.append(split(data))
            except ValueError as error:
                return len(batch) - 1, ours, peer, f"{name} does not speak the protocol: {error}"
        for position, index in enumerate(expected):
            mine = replies[0][position] if position < len(replies[0]) else None
            other = replies[1][position] if position < len(replies[1]) else None
            if mine != other:
                queued = self.queued(batch, index, dict(zip(expected, replies[0])))
                if not self.is_allowed(batch[index], queued, mine, other):
                    return index, mine, other, ""
        if len(replies[0]) != len(replies[1]):
            return len(batch) - 1, ours, peer, "the number of replies differs"
        return None

    def queued(self, batch, index, seen):
        """The commands that the EXEC at this place of the batch ran, if it is one. `seen`: replies by place."""
        commands = []
        if batch[index][0].upper() != b"EXEC":
            return commands
        for earlier in range(index - 1, -1, -1):
            if batch[earlier][0].upper() == b"MULTI" and not seen.get(earlier, b"+").startswith(b"-"):
                break
            if seen.get(earlier, b"+QUEUED\r\n") == b"+QUEUED\r\n":
                commands.append(batch[earlier])
        return commands[::-1]

    def is_allowed(self, command, queued, ours, peer):
        if not queued or not (ours or b"").startswith(b"*") or not (peer or b"").startswith(b"*"):
            return known_differences.is_allowed(command, ours, peer, self.context)
        mine, others = (split(reply[reply.index(b"\n") + 1 :]) for reply in (ours, peer))
        return len(mine) == len(others) == len(queued) and all(
            one == other or known_differences.is_allowed(words, one, other, self.context)
            for words, one, other in zip(queued, mine, others)
        )

    def note_lingering(self, batch):
        for command in batch:
            if is_lingering(command):
                self.context.lingering += 1
            if command[0].upper().startswith(b"SORT"):
                self.context.sorted = True

    def run_round(self, number):
        """Play a round; its Difference, or None."""
        self.reset()
        generator = Generator(f"{self.seed}/{number}", [FAMILIES[name] for name in self.families_of(number)])
        history = []
        compared = 0
        connection = 0
        size = min(ROUND_COMMANDS, 1 + int(generator.uniform() ** 0.5 * BATCH_COMMANDS_MAX))
        batch = generator.batch(size)
        while batch:
            start = len(history)
            history += [(connection, command) for command in batch]
            self.note_lingering(batch)
            following = None
            try:
                self.send(connection, batch)
                # the servers work meanwhile
                if len(history) < ROUND_COMMANDS:
                    following = generator.batch(1 + int(generator.uniform() ** 0.5 * BATCH_COMMANDS_MAX))
                ours, peer = self.receive(connection)
            except Gone as gone:
                self.connected = False
                return self.minimise(Difference(self.seed, number, "gone", start, note=self.describe(gone)), history)
            self.commands += len(batch)
            if ours != peer:
                found = self.first_difference(batch, ours, peer)
                if found:
                    index, mine, other, note = found
                    history = history[: start + index + 1]
                    difference = Difference(self.seed, number, "reply", start + index, batch[index], mine, other, note)
                    return self.minimise(difference, history)
            if not following or len(history) - compared >= STATE_COMMANDS:
                compared = len(history)
                lines = self.compare_state()
                if lines:
                    note = "\n".join(lines)
                    return self.minimise(Difference(self.seed, number, "state", compared, note=note), history)
            batch = following
            connection ^= 1
        return None

    def families_of(self, number):
        """The families that take part in a round."""
        if self.families:
            return self.families
        choice = random.Random(f"families of {self.seed}/{number}")
        if choice.random() < 0.4:
            return list(FAMILIES)
        data = [name for name in FAMILIES if name not in ("connection", "server", "keys")]
        chosen = choice.sample(data, choice.choice((1, 1, 2, 3)))
        return [name for name in FAMILIES if name in chosen or name not in data and choice.random() < 0.7]

    def describe(self, gone):
        text = str(gone)
        for endpoint in self.both:
            if endpoint.process:
                try:
                    code = endpoint.process.wait(2 if endpoint.name in text else 0.1)
                    text += f"\n{endpoint.name} ended with {code}:\n{endpoint.log()}"
                except subprocess.TimeoutExpired:
                    pass
        return text

    # Making it small

    def replay(self, history, kind):
        """Play a history from the beginning; the Difference of this kind at its end, or None."""
        self.reset()
        position = 0
        try:
            while position < len(history):
                connection = history[position][0]
                end = position
                while end < len(history) and history[end][0] == connection and end - position < BATCH_COMMANDS_MAX:
                    end += 1
                batch = [command for _, command in history[position:end]]
                self.note_lingering(batch)
                ours, peer = self.exchange(connection, batch)
                found = self.first_difference(batch, ours, peer)
                if found and kind == "reply":
                    index, mine, other, note = found
                    if position + index == len(history) - 1:
                        return Difference(self.seed, 0, kind, position + index, batch[index], mine, other, note)
                    return None
                position = end
            if kind == "state":
                lines = self.compare_state()
                return Difference(self.seed, 0, kind, note="\n".join(lines)) if lines else None
        except Gone as gone:
            self.connected = False
            if kind == "gone":
                return Difference(self.seed, 0, kind, note=self.describe(gone))
        return None

    def minimise(self, difference, history):
        """Leave out whatever the difference does not need: halves first, then less and less."""
        difference.history = history
        kept_end = history[-1:] if difference.kind == "reply" else []
        candidates = history[:-1] if kept_end else history
        if not self.replay(history, difference.kind):
            return difference
        difference.reproduced = True
        replays = 0
        names = set(difference.arguments[1:])
        related = [entry for entry in candidates if names & set(entry[1][1:])]
        for subset in ([], related):
            replays += 1
            if len(subset) < len(candidates) and self.replay(subset + kept_end, difference.kind):
                candidates = subset
                break
        chunk = max(1, len(candidates) // 2)
        while candidates and replays < REPLAYS_MAX:
            position = 0
            removed = False
            while position < len(candidates) and replays < REPLAYS_MAX:
                shorter = candidates[:position] + candidates[position + chunk :]
                replays += 1
                if self.replay(shorter + kept_end, difference.kind):
                    candidates = shorter
                    removed = True
                else:
                    position += chunk
            if chunk == 1 and not removed:
                break
            chunk = max(1, chunk // 2)
        last = self.replay(candidates + kept_end, difference.kind)
        if last:
            difference.history = candidates + kept_end
            difference.ours, difference.peer, difference.note = last.ours, last.peer, last.note
        return difference

    # The whole run

    def run(self, commands, first_round=0, stop_at=1):
        """Rounds until so many commands were sent; the differences found."""
        differences = []
        number = first_round
        began = time.monotonic()
        while self.commands < commands and len(differences) < stop_at:
            difference = self.run_round(number)
            if difference:
                differences.append(difference)
                self.report(str(difference))
            number += 1
        seconds = time.monotonic() - began
        self.report(
            f"seed {self.seed}: {self.commands} commands in {number - first_round} rounds and {seconds:.1f} s"
            f" ({self.commands / max(seconds, 1e-9):.0f}/s, {self.parsed} compared one by one),"
            f" {len(differences)} differences"
        )
        return differences


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=None, help="a number; printed, random without it")
    parser.add_argument("--commands", type=int, default=1_000_000)
    parser.add_argument("--round", type=int, default=None, help="only this round of the seed")
    parser.add_argument("--ours", default="build/redstart server", help="command line, or host:port of a running one")
    parser.add_argument("--peer", default="redis-server", help="likewise")
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), help="only these kinds of commands")
    parser.add_argument("--differences", type=int, default=1, help="stop after so many")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(32)
    print(f"seed {seed}", flush=True)
    differential = Differential(seed, options.ours, options.peer, options.families, lambda text: print(text, flush=True))
    try:
        commands = 1 if options.round is not None else options.commands
        found = differential.run(commands, options.round or 0, options.differences)
    finally:
        differential.close()
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
