#!/usr/bin/env python3
"""Keyspace events, compared: after each random command the events that it made, on both servers.

    events.py --seed 7 --commands 100000 --ours "build/redstart server" --peer redis-server

Both servers have notify-keyspace-events KEA, m and n; a third connection listens to all channels of events, and after
each command to a mark that is published behind it. What may differ stands in KNOWN, with its reason. The commands are
those of generator.py; a difference is printed with the commands of the same round that had a key in common with it.
"""

import argparse
import random
import sys

import known_differences
from differential import Differential
from generator import FAMILIES, Generator
from wire import encode, parse, quote, split

ROUND_COMMANDS = 1000
LEFT_OUT = {b"CLIENT", b"CONFIG", b"RESET", b"HELLO", b"QUIT", b"MULTI", b"EXEC", b"DISCARD", b"WATCH", b"UNWATCH", b"SHUTDOWN", b"SELECT", b"DEBUG"}
KEPT_FAMILIES = [name for name in FAMILIES if name not in ("connection", "server", "transactions", "scripts")]
MARK = b"the end of a command's events"


def names(events):
    """Those of __keyevent@...__ alone."""
    return [event[1].split(b":", 1)[1] for event in events if event[1].startswith(b"__keyevent")]


def without(events, *left_out):
    return [name for name in names(events) if name not in left_out]


def misses(events):
    return [event for event in events if b"keymiss" in (event[1].split(b":", 1)[1], event[2])]


KNOWN = [  # (names of commands, None for all, function of our events and the peer's, reason)
    (
        (b"SET",), lambda ours, peer: names(ours)[-1:] in ([], [b"del"], [b"keymiss"]) and names(peer)[-2:] == [b"set", b"expire"],
        "7.0 keeps a key whose time is over until somebody asks; newer ones remove it at once",
    ),
    (
        (b"XCLAIM", b"XAUTOCLAIM", b"XREADGROUP"), lambda ours, peer: without(ours, b"xgroup-createconsumer") == without(peer, b"xgroup-createconsumer"),
        "7.0 makes the consumer only if it gets something, and says nothing of it",
    ),
    (
        (b"BITOP",), lambda ours, peer: without(ours, b"new") == without(peer, b"new"),
        "a key whose time is over is no longer there when BITOP writes to it; in 7.0 it may be",
    ),
    (
        (b"XGROUP",), lambda ours, peer: not (set(names(ours)) | set(names(peer))) - {b"xgroup-createconsumer", b"xgroup-delconsumer"},
        "which consumers there are follows from the same",
    ),
    (
        (b"SORT", b"SORT_RO"), lambda ours, peer: sorted(ours) == sorted(peer),
        "BY and GET look for keys in the order in which a set happens to be kept",
    ),
    (
        (b"XREAD",), lambda ours, peer: set(ours) == set(peer) == set(misses(peer)),
        "7.0 looks twice for a key that is absent",
    ),
    (
        (b"XCLAIM", b"XAUTOCLAIM"), lambda ours, peer: not ours and peer == misses(peer),
        "7.0 looks for the key before it reads the numbers",
    ),
    (
        (b"ZRANK", b"ZREVRANK"), lambda ours, peer: not peer and ours == misses(ours),
        "WITHSCORE is newer",
    ),
    (
        None, lambda ours, peer: b"expired" in names(peer) and without(ours, b"new") == without(peer, b"expired", b"new"),
        "a key that was set with a time that is over expires later in 7.0",
    ),
]  # fmt: skip


class Events(Differential):
    def __init__(self, seed, ours, peer, report=print):
        super().__init__(seed, ours, peer, None, report)

    def listen(self):
        self.reset()
        settings = [(b"CONFIG", b"SET", b"notify-keyspace-events", b"KEAmn"), (b"DEBUG", b"SET-ACTIVE-EXPIRE", b"0")]
        self.exchange(0, settings)
        for endpoint in self.both:
            endpoint.send(2, encode((b"RESET",)) + encode((b"PSUBSCRIBE", b"__key*__:*")) + encode((b"SUBSCRIBE", MARK)))
            endpoint.receive(2, b"$%d\r\n%b\r\n:2\r\n" % (len(MARK), MARK))

    def events(self, endpoint):
        end = b"*3\r\n$7\r\nmessage\r\n$%d\r\n%b\r\n$3\r\nend\r\n" % (len(MARK), MARK)
        return [tuple(parse(message)[2:]) for message in split(endpoint.receive(2, end))]

    def one(self, command):
        """Run it on both; ((reply, events) of ours, the same of the peer)."""
        for endpoint in self.both:
            endpoint.send(0, encode(command) + self.tail + encode((b"PUBLISH", MARK, b"end")))
        found = []
        for endpoint in self.both:
            reply = endpoint.receive(0, self.tail_reply + b":1\r\n")
            found.append((reply, [(b"", *event) for event in self.events(endpoint)]))
        return found

    def run_round(self, number):
        self.listen()
        choice = random.Random(f"events of {self.seed}/{number}")
        names = choice.sample(KEPT_FAMILIES, choice.choice((1, 2, 3)))
        generator = Generator(f"{self.seed}/{number}", [FAMILIES[name] for name in names])
        history = []
        while len(history) < ROUND_COMMANDS:
            for command in generator.batch(50):
                if command[0].upper() in LEFT_OUT:
                    continue
                history.append(command)
                (reply, ours), (other, peer) = self.one(command)
                self.commands += 1
                if ours != peer and not self.may_differ(command, ours, peer):
                    self.print(number, history, reply, other, ours, peer)
                    return True
                if reply != other and not known_differences.is_allowed(command, reply, other, self.context):
                    break  # a difference of another kind: the data may differ from here on
        return False

    def may_differ(self, command, ours, peer):
        return any((commands is None or command[0].upper() in commands) and allows(ours, peer) for commands, allows, _ in KNOWN)

    def print(self, number, history, reply, other, ours, peer):
        command = history[-1]
        names = set(command[1:])
        self.report(f"DIFFERENCE in round {number} of seed {self.seed}")
        for earlier in [e for e in history[:-1] if names & set(e[1:])][-8:]:
            self.report("    " + " ".join(quote(word)[:60] for word in earlier))
        self.report("  > " + " ".join(quote(word)[:60] for word in command))
        for name, answer, events in (("ours", reply, ours), ("peer", other, peer)):
            self.report(f"{name}: {answer[:100]}")
            for event in events:
                self.report("      " + " ".join(quote(part)[:80] for part in event[1:]))


def command_line(kind, text):
    """What the words say, for this kind of differential test; the exit code."""
    parser = argparse.ArgumentParser(description=text.split("\n")[0])
    parser.add_argument("--seed", type=int, default=None, help="a number; printed, random without it")
    parser.add_argument("--commands", type=int, default=100_000)
    parser.add_argument("--round", type=int, default=0, help="the first round of the seed")
    parser.add_argument("--ours", default="build/redstart server", help="command line, or host:port of a running one")
    parser.add_argument("--peer", default="redis-server", help="likewise")
    parser.add_argument("--differences", type=int, default=1, help="stop after so many")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(32)
    print(f"seed {seed}", flush=True)
    test = kind(seed, options.ours, options.peer, lambda text: print(text, flush=True))
    try:
        found = test.run(options.commands, options.round, options.differences)
    finally:
        test.close()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(command_line(Events, __doc__))
