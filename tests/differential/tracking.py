#!/usr/bin/env python3
"""Client-side caching, compared: what a tracking client is told after each random command, on both servers.

    tracking.py --seed 7 --commands 100000 --ours "build/redstart server" --peer redis-server

One connection tracks, in a mode that each round draws (default or BCAST with prefixes, OPTIN, OPTOUT, NOLOOP), and runs
some of the commands; another one runs the rest, and changes what the first has read. After each command the pushes that
the first has got are compared: which keys they tell of. The commands are those of generator.py. What may differ stands
in TELLS_MORE, with its reason; where replies differ in a way that the differential test knows, the round ends, as the data may.
"""

import random
import sys

import known_differences
from events import KEPT_FAMILIES, LEFT_OUT, command_line
from differential import Differential, Gone, is_lingering
from generator import FAMILIES, Generator
from wire import encode, parse, quote, split

ROUND_COMMANDS = 1000
TRACKER, WRITER = 2, 0
MODES = ((), (b"NOLOOP",), (b"OPTIN",), (b"OPTOUT",), (b"OPTIN", b"NOLOOP"), (b"BCAST",), (b"BCAST", b"NOLOOP"),
         (b"BCAST", b"PREFIX", b"k1", b"PREFIX", b"k2", b"PREFIX", b"s"))  # fmt: skip
# Their replies come when they like, or they end what the round has set up.
NOT_HERE = LEFT_OUT | {b"BLPOP", b"BRPOP", b"BLMOVE", b"BRPOPLPUSH", b"BLMPOP", b"BZPOPMIN", b"BZPOPMAX", b"BZMPOP", b"SWAPDB"}


def receive_past(endpoint, index, mark):
    """All that comes up to the mark and at once behind it: pushes follow a reply."""
    data = b""
    while mark not in data:
        try:
            piece = endpoint.sockets[index].recv(1 << 18)
        except OSError as error:
            raise Gone(f"{endpoint.name}: {error}") from None
        if not piece:
            raise Gone(f"{endpoint.name} closed the connection")
        data += piece
    return data


def pushes(replies):
    return [reply for reply in replies if reply.startswith(b">")]


def told_of(messages):
    """All names that were told, sorted."""
    return sorted(name for message in messages for name in parse(message)[1][1] or (b"all",))


# After these our tracker may know of other keys than the peer's: the round ends.
GROUPS = {b"XGROUP", b"XCLAIM", b"XAUTOCLAIM", b"XREADGROUP", b"XSETID", b"XACK"}
TELLS_MORE = {
    **dict.fromkeys(GROUPS, "7.0 does not tell of changes of a stream's groups: a copy of XINFO's or XPENDING's reply would stay"),
    b"PFDEBUG": "it changes how the key is kept",
}


def is_left_out(command):
    name = command[0].upper()
    if name in (b"ZRANK", b"ZREVRANK") and len(command) == 4:
        return True  # WITHSCORE is newer: 7.0 reads nothing
    return name in NOT_HERE or is_lingering(command)  # 7.0 keeps a key whose time is over


class Tracking(Differential):
    def __init__(self, seed, ours, peer, report=print):
        super().__init__(seed, ours, peer, None, report)

    def begin(self, choice):
        self.reset()
        self.exchange(0, [(b"DEBUG", b"SET-ACTIVE-EXPIRE", b"0")])
        mode = choice.choice(MODES)
        for endpoint in self.both:
            endpoint.send(TRACKER, encode((b"RESET",)) + encode((b"HELLO", b"3")) + encode((b"CLIENT", b"TRACKING", b"ON", *mode)))
            endpoint.receive(TRACKER, b"+OK\r\n")
        return mode

    def one(self, command, index, before):
        """Run it on both; ((reply, pushes) of ours, the same of the peer)."""
        for endpoint in self.both:
            endpoint.send(index, b"".join(encode(words) for words in (*before, command)) + encode((b"PING", b"end")))
        replies = [split(receive_past(endpoint, index, b"$3\r\nend\r\n")) for endpoint in self.both]
        for endpoint in self.both:  # by now it has been told
            endpoint.send(TRACKER, encode((b"PING", b"told")))
        found = []
        for endpoint, first in zip(self.both, replies):
            more = split(endpoint.receive(TRACKER, b"$4\r\ntold\r\n"))
            own = [reply for reply in first if not reply.startswith(b">")]  # its own, and PING's
            found.append((own[-2], pushes(first) + pushes(more)))
        return found

    def run_round(self, number):
        choice = random.Random(f"tracking of {self.seed}/{number}")
        mode = self.begin(choice)
        names = choice.sample(KEPT_FAMILIES, choice.choice((1, 2, 3)))
        generator = Generator(f"{self.seed}/{number}", [FAMILIES[name] for name in names])
        history = []
        while len(history) < ROUND_COMMANDS:
            for command in generator.batch(50):
                if is_left_out(command):
                    continue
                # with NOLOOP what we tell of more is forgotten without a word
                silent = command[0].upper() in TELLS_MORE and b"NOLOOP" in mode
                index = WRITER if silent else choice.choice((TRACKER, WRITER))
                says = index == TRACKER and choice.random() < 0.5
                before = [(b"CLIENT", b"CACHING", b"YES" if b"OPTIN" in mode else b"NO")] if says and b"OPT" in b"".join(mode) else []
                history.append((index, command))
                (reply, ours), (other, peer) = self.one(command, index, before)
                self.commands += 1
                if told_of(ours) != told_of(peer):
                    if command[0].upper() in TELLS_MORE and not peer:
                        return False
                    self.print(number, mode, history, ours, peer)
                    return True
                if index == TRACKER and reply.startswith(b"-ERR"):
                    return False  # words that make no sense: which of them are keys is anybody's guess
                if reply != other and not known_differences.is_allowed(command, reply, other, self.context):
                    return False
        return False

    def print(self, number, mode, history, ours, peer):
        self.report(f"DIFFERENCE in round {number} of seed {self.seed}, mode {b' '.join(mode).decode() or 'default'}")
        names = set(history[-1][1][1:])
        for index, command in [e for e in history[:-1] if names & set(e[1][1:])][-8:] + history[-1:]:
            self.report(("  tracker " if index == TRACKER else "  writer  ") + " ".join(quote(word)[:60] for word in command))
        for name, messages in (("ours", ours), ("peer", peer)):
            self.report(f"{name}: " + " ".join(quote(message)[:200] for message in messages))


if __name__ == "__main__":
    sys.exit(command_line(Tracking, __doc__))
