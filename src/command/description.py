"""Descriptions of commands: reads the families' TOML files, checks them, and derives what follows from them.

A family is a file of tables, one a command, `["config|get"]` for a subcommand. docs/descriptions.md explains the
fields and the two notations in them, of arguments and of keys. Whatever is wrong raises Problem, which says
where.
"""

import re
import tomllib
from dataclasses import dataclass, field

NAME_MAX = 24  # COMMAND_NAME_MAX of engine/command.h

# The orders are those of engine/command.h, whose constants have these names.
FLAGS = """write readonly denyoom module admin pubsub noscript blocking loading stale skip_monitor skip_slowlog
    asking fast no_auth no_mandatory_keys no_async_loading no_multi movablekeys allow_busy may_replicate
    protected not_queued subscribed""".split()
DERIVED_FLAGS = {"movablekeys"}
CATEGORIES = """keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin fast
    slow blocking dangerous connection transaction scripting""".split()
KEY_FLAGS = """RO RW OW RM access update insert delete not_key incomplete variable_flags""".split()
TYPES = "string integer double key pattern unix-time pure-token oneof block".split()

# Group of the documentation -> ACL category that its commands have.
GROUPS = {
    "bitmap": "bitmap", "cluster": None, "connection": "connection", "generic": "keyspace", "geo": "geo",
    "hash": "hash", "hyperloglog": "hyperloglog", "list": "list", "pubsub": "pubsub",
    "scripting": "scripting", "sentinel": None, "server": None, "set": "set", "sorted-set": "sortedset",
    "stream": "stream", "string": "string", "transactions": "transaction",
}
FLAG_CATEGORIES = {
    "write": ["write"], "readonly": ["read"], "admin": ["admin", "dangerous"], "pubsub": ["pubsub"],
    "fast": ["fast"], "blocking": ["blocking"],
}

FIELDS = {
    "arity": int, "flags": str, "categories": str, "keys": list, "group": str, "since": str, "complexity": str,
    "summary": str, "history": list, "tips": list, "syntax": str, "deprecated_since": str, "replaced_by": str,
    "doc_flags": list, "help": list, "help_since": str, "own_handler": bool, "keys_function": bool,
}
REQUIRED = ["arity", "since", "summary"]
VERSION = re.compile(r"\d+\.\d+\.\d+")


class Problem(Exception):
    """Something that a person has to mend in a description."""


@dataclass
class Argument:
    name: str
    type: str = "string"
    token: str | None = None
    display: str | None = None
    since: str | None = None
    deprecated_since: str | None = None
    key_spec: int = -1
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False
    arguments: list["Argument"] = field(default_factory=list)


@dataclass
class KeySpec:
    flags: list[str]
    begin: str = "unknown"  # unknown, index, keyword
    index: int = 0
    keyword: str | None = None
    find: str = "unknown"  # unknown, range, keynum
    last: int = 0
    limit: int = 0
    step: int = 1
    number_index: int = 0
    first: int = 0
    notes: str | None = None


@dataclass
class Command:
    full_name: str
    where: str
    fields: dict
    flags: list[str]
    categories: list[str] = field(default_factory=list)
    keys: list[KeySpec] = field(default_factory=list)
    arguments: list[Argument] = field(default_factory=list)
    legacy: tuple[int, int, int] = (0, 0, 0)
    parent: "Command | None" = None
    subcommands: list["Command"] = field(default_factory=list)
    help: list[str] = field(default_factory=list)
    number: int = -1

    @property
    def name(self):
        return self.full_name.split("|")[-1]

    @property
    def group(self):
        return self.fields["group"]

    @property
    def slug(self):
        return re.sub("[|-]", "_", self.full_name)

    @property
    def identifier(self):
        return "command_" + self.slug

    @property
    def handler(self):
        """The C function, None for a container without one."""
        if self.parent is not None and self.name == "help":
            return "command_help"
        if self.subcommands and not self.fields.get("own_handler"):
            return None
        return self.identifier

    @property
    def keys_function(self):
        return self.identifier + "_keys" if self.fields.get("keys_function") else None

    def fail(self, text):
        raise Problem(f"{self.where}: {self.full_name}: {text}")


# ---- the notation of arguments ----

WORDS = re.compile(
    r"""\s*(?:
        (?P<text>"[^"]*")|(?P<quoted>'[^']+')|(?P<dots>\.\.\.)|(?P<mark>[][(){}|])|
        (?P<since>@(?:\d+\.\d+\.\d+)?(?:-\d+\.\d+\.\d+)?)|(?P<spec>\#\d+)|
        (?P<token>[A-Z][A-Z0-9_-]*)|
        (?P<name>[a-z][a-z0-9_/-]*=?)(?P<type>:[a-z-]+)?
    )""", re.VERBOSE)


def distinct(arguments):
    names = [a.name for a in arguments]
    if len(set(names)) != len(names):
        raise Problem(f"syntax: two arguments of the same name among {', '.join(names)}")
    return arguments


class Syntax:
    """Turns one `syntax` string into arguments, by recursive descent."""

    def __init__(self, text):
        self.text = text
        self.words = []
        at = 0
        while text[at:].strip():
            match = WORDS.match(text, at)
            if match is None or match.end() == at:
                raise Problem(f"syntax: cannot read {text[at:at + 30]!r}")
            kind = match.lastgroup
            if kind in ("name", "type"):
                self.words.append(("name", match["name"], (match["type"] or "")[1:] or None))
            else:
                self.words.append((kind, match[kind], None))
            at = match.end()
        self.at = 0

    def peek(self):
        return self.words[self.at] if self.at < len(self.words) else ("end", "", None)

    def next(self):
        self.at += 1
        return self.words[self.at - 1] if self.at <= len(self.words) else ("end", "", None)

    def expect(self, mark):
        kind, word, _ = self.next()
        if word != mark or kind != "mark":
            raise Problem(f"syntax: {mark!r} expected, found {word or 'the end'!r}")

    def whole(self):
        arguments = self.sequence()
        if self.peek()[0] != "end":
            raise Problem(f"syntax: {self.peek()[1]!r} closes nothing")
        return arguments

    def sequence(self):
        arguments = []
        while self.peek()[0] != "end" and self.peek()[1] not in ("]", ")", "}", "|"):
            arguments.append(self.argument())
        return distinct(arguments)

    def argument(self):
        if self.peek()[:2] == ("mark", "["):
            self.next()
            argument = self.argument()
            self.expect("]")
            argument.optional = True
            if self.peek()[0] == "dots":
                if argument.token is None:
                    raise Problem("syntax: '...' belongs before ']' where there is no token to repeat")
                self.next()
                argument.multiple = argument.multiple_token = True
            return self.suffixes(argument)
        return self.suffixes(self.plain())

    def plain(self):
        kind, word, type_name = self.next()
        name = None
        if kind == "name" and word.endswith("="):
            name = word[:-1]
            kind, word, type_name = self.next()
            if kind not in ("token", "quoted"):
                raise Problem(f"syntax: a token is expected behind {name}=")
        if kind in ("token", "quoted"):
            token = word.strip("'")
            if name is None and self.peek()[0] == "name" and not self.peek()[1].endswith("="):
                argument = self.plain()
                argument.token = token
                return argument
            name = name or token.lower()
            return Argument(name, "pure-token", token, display=name)
        if kind != "name":
            raise Problem(f"syntax: an argument is expected, found {word or 'the end'!r}")
        return self.named(word, type_name)

    def named(self, name, type_name):
        mark = self.peek()[1] if self.peek()[0] == "mark" else None
        if mark in ("(", "{") and type_name is None:
            self.next()
            if mark == "(":
                argument = Argument(name, "oneof", arguments=self.alternatives())
                self.expect(")")
            else:
                argument = Argument(name, "block", arguments=self.sequence())
                self.expect("}")
            if not argument.arguments:
                raise Problem(f"syntax: {name} is empty")
            return argument
        argument_type = type_name or (name if name in TYPES else "string")
        if argument_type not in TYPES[:6]:
            raise Problem(f"syntax: {argument_type!r} is no type for {name}")
        return Argument(name, argument_type, display=name)

    def alternatives(self):
        found = [self.argument()]
        while self.peek()[:2] == ("mark", "|"):
            self.next()
            found.append(self.argument())
        return distinct(found)

    def suffixes(self, argument):
        while True:
            kind, word, _ = self.peek()
            if kind == "dots" and not argument.multiple:
                argument.multiple = True
            elif kind == "since":
                since, _, deprecated = word[1:].partition("-")
                argument.since = since or argument.since
                argument.deprecated_since = deprecated or argument.deprecated_since
            elif kind == "text":
                argument.display = word[1:-1]
            elif kind == "spec":
                argument.key_spec = int(word[1:])
            else:
                return argument
            self.next()


def all_arguments(arguments):
    for argument in arguments:
        yield argument
        yield from all_arguments(argument.arguments)


def parse_syntax(text, key_specs):
    """The arguments of a `syntax` string. Arguments of type key take the key specs in order, the last one for
    all that are left, unless #n says which."""
    arguments = Syntax(text).whole()
    next_spec = 0
    for argument in all_arguments(arguments):
        if argument.type != "key":
            if argument.key_spec >= 0 and argument.type != "pattern":  # of names of keys: SORT
                raise Problem(f"syntax: {argument.name} is no key, but names a key spec")
            continue
        if argument.key_spec < 0:
            argument.key_spec = min(next_spec, key_specs - 1)
            next_spec += 1
        if not 0 <= argument.key_spec < key_specs:
            raise Problem(f"syntax: key {argument.name} has no key spec (there are {key_specs})")
    return arguments


# ---- the notation of keys ----

def parse_key_spec(text):
    """`FLAGS : BEGIN [FIND] [; NOTES]`, see docs/descriptions.md."""
    rule, _, notes = text.partition(";")
    flags, colon, place = rule.partition(":")
    if not colon:
        raise Problem(f"key spec {text!r}: FLAGS : PLACE is expected")
    spec = KeySpec(flags.split(), notes=notes.strip() or None)
    for flag in spec.flags:
        if flag not in KEY_FLAGS:
            raise Problem(f"key spec {text!r}: {flag!r} is no flag (they are {' '.join(KEY_FLAGS)})")
    if len(set(spec.flags) & {"RO", "RW", "OW", "RM"}) != 1 and "not_key" not in spec.flags:
        raise Problem(f"key spec {text!r}: exactly one of RO RW OW RM is expected")
    words = place.split()

    def number(word, default):
        if word not in words:
            return default
        at = words.index(word)
        try:
            value = int(words[at + 1])
        except (IndexError, ValueError):
            raise Problem(f"key spec {text!r}: a number is expected behind {word!r}") from None
        del words[at:at + 2]
        return value

    if "after" in words:
        at = words.index("after")
        if at + 1 >= len(words):
            raise Problem(f"key spec {text!r}: a keyword is expected behind 'after'")
        spec.begin, spec.keyword = "keyword", words[at + 1]
        del words[at:at + 2]
        spec.index = number("from", 1)
    elif "at" in words:
        spec.begin, spec.index = "index", number("at", 0)
        if spec.index < 1:
            raise Problem(f"key spec {text!r}: keys begin at 1")
    elif "unknown" in words:
        words.remove("unknown")
    else:
        raise Problem(f"key spec {text!r}: at, after or unknown is expected")
    if spec.begin != "unknown":
        if "count" in words:
            spec.find, spec.number_index = "keynum", number("count", 0)
            spec.first = number("first", 1)
        else:
            spec.find, spec.last = "range", number("to", 0)
            spec.limit = number("limit", 0)
        spec.step = number("step", 1)
    if words:
        raise Problem(f"key spec {text!r}: {words[0]!r} has no meaning here")
    if spec.step < 1 or spec.limit < 0 or spec.first < 0 or spec.number_index < 0:
        raise Problem(f"key spec {text!r}: a number is out of range")
    return spec


def legacy_range(specs):
    """First key, last key and step as before key specs, and whether they leave something out."""
    simple = [s for s in specs if s.begin == "index" and s.find == "range" and s.limit < 2]
    if not simple:
        return (0, 0, 0), bool(specs)
    chosen = min(simple, key=lambda s: s.index)
    first, step, last = chosen.index, chosen.step, chosen.last
    last = last + first if last >= 0 else last
    covered = 1
    for spec in sorted(simple, key=lambda s: s.index)[1:]:
        if last >= 0 and step == 1 and spec.index == last + 1 and spec.step == 1:
            last = spec.index + spec.last if spec.last >= 0 else spec.last
            covered += 1
    incomplete = any("incomplete" in s.flags for s in specs)
    return (first, last, step), incomplete or covered < len(specs)


# ---- commands ----

def strings(command, name):
    values = command.fields.get(name, [])
    if not all(isinstance(v, str) for v in values):
        command.fail(f"{name} is a list of texts")
    return values


def check_fields(command):
    for name, value in command.fields.items():
        if name not in FIELDS:
            command.fail(f"the field {name!r} is unknown")
        if type(value) is not FIELDS[name]:
            command.fail(f"{name} is {value!r}, but should be of type {FIELDS[name].__name__}")
    for name in REQUIRED:
        if name not in command.fields:
            command.fail(f"{name} is missing")
    if command.fields["arity"] == 0:
        command.fail("an arity of 0 leaves no room for the name")
    for name in ("since", "deprecated_since", "help_since"):
        if name in command.fields and not VERSION.fullmatch(command.fields[name]):
            command.fail(f"{name} is {command.fields[name]!r}, which is no version")
    for entry in command.fields.get("history", []):
        if not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(e, str) for e in entry)
                and VERSION.fullmatch(entry[0])):
            command.fail(f"history: {entry!r} is not a version and a text")
    for name in ("tips", "doc_flags", "keys"):
        strings(command, name)
    for flag in command.fields.get("doc_flags", []):
        if flag != "syscmd":
            command.fail(f"doc_flags: {flag!r} is unknown (deprecated follows from deprecated_since)")
    if ("deprecated_since" in command.fields) != ("replaced_by" in command.fields):
        command.fail("deprecated_since and replaced_by belong together")
    if command.fields.get("group") not in GROUPS:
        command.fail(f"{command.fields.get('group')!r} is no group")
    for part in command.full_name.split("|"):
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", part) or len(part) > NAME_MAX:
            command.fail(f"a name has 1 to {NAME_MAX} letters, digits, '-' and '_', in lower case")
    if command.full_name.count("|") > 1:
        command.fail("a subcommand has no subcommands")


def read_family(where, text):
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Problem(f"{where}: {error}") from None
    group = tables.pop("group", None)
    commands = []
    for full_name, fields in tables.items():
        if not isinstance(fields, dict):
            raise Problem(f"{where}: {full_name!r} is no command (a group is all that stands outside tables)")
        if group is not None:
            fields.setdefault("group", group)
        command = Command(full_name, where, fields, fields.get("flags", "").split())
        check_fields(command)
        for flag in command.flags:
            if flag not in FLAGS or flag in DERIVED_FLAGS:
                command.fail(f"the flag {flag!r} is unknown")
        if "write" in command.flags and "readonly" in command.flags:
            command.fail("write and readonly exclude each other")
        try:
            command.keys = [parse_key_spec(k) for k in fields.get("keys", [])]
            command.arguments = parse_syntax(fields.get("syntax", ""), len(command.keys))
        except Problem as problem:
            command.fail(str(problem))
        commands.append(command)
    return commands


HELP_SUMMARY = "Lists the subcommands and what they are for."


def help_subcommand(container):
    fields = {"arity": 2, "flags": "loading stale", "group": container.group, "complexity": "O(1)",
              "categories": container.fields.get("categories", ""),
              "since": container.fields["help_since"], "summary": HELP_SUMMARY}
    return Command(container.full_name + "|help", container.where, fields, ["loading", "stale"])


def link(commands):
    """Puts subcommands under their containers; returns the top level."""
    by_name = {}
    for command in commands:
        if command.full_name in by_name:
            command.fail(f"described twice, also in {by_name[command.full_name].where}")
        by_name[command.full_name] = command
    for command in list(commands):
        if "help_since" in command.fields:
            if command.full_name + "|help" in by_name:
                command.fail("has help_since and describes its HELP too")
            commands.append(help_subcommand(command))
    top = []
    for command in commands:
        if "|" not in command.full_name:
            top.append(command)
            continue
        command.parent = by_name.get(command.full_name.split("|")[0])
        if command.parent is None:
            command.fail("its container is not described")
        command.parent.subcommands.append(command)
    return top


def derive(command):
    """Categories, the legacy range, movablekeys and help follow from the rest."""
    wanted = set(command.fields.get("categories", "").split())
    unwanted = {category[1:] for category in wanted if category.startswith("-")}
    wanted = {category for category in wanted if not category.startswith("-")}
    for category in wanted | unwanted:
        if category not in CATEGORIES:
            command.fail(f"the category {category!r} is unknown")
    if command.handler is None:
        wanted.clear()
    elif GROUPS[command.group]:
        wanted.add(GROUPS[command.group])
    for flag in command.flags:
        if not (flag == "readonly" and "scripting" in wanted):
            wanted.update(FLAG_CATEGORIES.get(flag, []))
    if "fast" not in command.flags:
        wanted.add("slow")
    wanted -= unwanted
    command.categories = [c for c in CATEGORIES if c in wanted]
    command.legacy, movable = legacy_range(command.keys)
    if movable:
        command.flags.append("movablekeys")
    for spec in command.keys:
        arity = command.fields["arity"]
        if spec.begin == "index" and arity > 0 and spec.index >= arity:
            command.fail(f"a key spec begins at {spec.index}, but the arity is {arity}")
        if spec.begin == "index" and spec.last > 0 and 0 < arity <= spec.index + spec.last:
            command.fail(f"a key spec ends at {spec.index + spec.last}, but the arity is {arity}")
        if spec.begin == "unknown" and not command.fields.get("keys_function"):
            command.fail("a key spec says unknown, so the command needs a keys_function")
    if command.handler is None and command.keys:
        command.fail("a container without a handler has no keys")
    if command.fields.get("own_handler") and not command.subcommands:
        command.fail("own_handler is for commands with subcommands; others have a handler anyway")


def render(arguments, angle):
    """The arguments as people write them; values in <> when `angle`."""
    return " ".join(render_one(a, angle) for a in arguments)


def render_one(argument, angle):
    if argument.type == "pure-token":
        text = argument.token
    elif argument.type == "oneof":
        opening, closing = ("(", ")") if angle else ("<", ">")
        inner = (" | " if not angle else "|").join(render_one(a, angle) for a in argument.arguments)
        text = inner if argument.optional and not argument.token and not argument.multiple \
            else f"{opening}{inner}{closing}"
    elif argument.type == "block":
        text = render(argument.arguments, angle)
    else:
        text = f"<{argument.display}>" if angle else argument.display
    with_token = text
    if argument.token is not None and argument.type != "pure-token":
        with_token = f"{argument.token} {text}"
    if argument.multiple:
        again = with_token if argument.multiple_token else text
        with_token = f"{with_token} [{again} ...]"
    return f"[{with_token}]" if argument.optional else with_token


def wrap(text, width=74):
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    if line:
        yield line


def help_entry(subcommand):
    own = subcommand.fields.get("help")
    if own:
        return own
    syntax = f"{subcommand.name.upper()} {render(subcommand.arguments, True)}".strip()
    return [syntax] + [f"    {line}" for line in wrap(subcommand.fields["summary"])]


def make_help(command):
    """What HELP answers: for containers from their subcommands, for others from their own field."""
    own = strings(command, "help")
    if command.parent is not None or not (own or command.subcommands):
        return
    lines = [f"{command.full_name.upper()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"] + own
    for subcommand in command.subcommands:
        if subcommand.name != "help":
            lines += help_entry(subcommand)
    command.help = lines + ["HELP", "    Prints this help."]


def read_families(families):
    """(file name, text) pairs -> all commands, numbered: the top level first, then the subcommands, each
    container's together."""
    commands = []
    for where, text in families:
        commands += read_family(where, text)
    top = sorted(link(commands), key=lambda c: c.full_name)
    ordered = list(top)
    for command in top:
        command.subcommands.sort(key=lambda c: c.full_name)
        ordered += command.subcommands
    for number, command in enumerate(ordered):
        command.number = number
        derive(command)
        make_help(command)
    return ordered
