#!/usr/bin/env python3
"""Makes the command table, the prototypes of the handlers, and the commands' page of the documentation from the
families' descriptions (see description.py and docs/descriptions.md).

    generate.py --table command_table.c --header command_handlers.h keys.toml string.toml ...
    generate.py --docs docs/commands.md keys.toml string.toml ...
"""

import argparse
import sys
from pathlib import Path

import description
from description import Problem

MASK = (1 << 64) - 1
DISPLACEMENT_MAX = 1 << 16


# ---- perfect hash: the same arithmetic stands in engine/command.c ----

def name_words(name):
    data = name.encode().ljust(description.NAME_MAX, b"\0")
    return [int.from_bytes(data[i:i + 8], "little") for i in range(0, description.NAME_MAX, 8)]


def name_hash(name, scope):
    words = name_words(name)
    value = (words[0] * 0x9e3779b97f4a7c15 + words[1] * 0xc2b2ae3d27d4eb4f
             + words[2] * 0x165667b19e3779f9 + scope * 0xd6e8feb86659fd93) & MASK
    value ^= value >> 32
    value = value * 0xe9846af9b1a615d & MASK
    return value ^ value >> 29


def scope_of(command):
    return 0 if command.parent is None else command.parent.number + 1


def power_of_two(least):
    return 1 << max(least - 1, 1).bit_length()


def perfect_hash(commands):
    """Slots (number + 1, 0 for empty) and displacements. Names that share a displacement are placed together,
    the largest such groups first, by trying displacements until all of a group fall into free slots."""
    slot_count = power_of_two(len(commands) * 2)
    groups = [[] for _ in range(power_of_two(len(commands) // 2))]
    for command in commands:
        value = name_hash(command.name, scope_of(command))
        groups[value & (len(groups) - 1)].append((value, command.number))
    slots = [0] * slot_count
    displacements = [0] * len(groups)
    for index in sorted(range(len(groups)), key=lambda i: -len(groups[i])):
        for displacement in range(DISPLACEMENT_MAX):
            places = [((value >> 16) + displacement * (value >> 40 | 1)) & MASK & (slot_count - 1)
                      for value, _ in groups[index]]
            if len(set(places)) == len(places) and not any(slots[p] for p in places):
                break
        else:
            raise Problem("no perfect hash was found: change a constant of name_hash here and in command.c")
        displacements[index] = displacement
        for place, (_, number) in zip(places, groups[index]):
            slots[place] = number + 1
    return slots, displacements


# ---- C ----

def c_text(text):
    if text is None:
        return "NULL"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def c_bits(prefix, names):
    return " | ".join(prefix + n.upper().replace("-", "_") for n in names) or "0"


class Table:
    """Collects the text of command_table.c; arrays come before what points to them."""

    def __init__(self, with_handlers):
        self.lines = []
        self.with_handlers = with_handlers

    def array(self, kind, name, items):
        """Writes a static array, returns what points to it."""
        if not items:
            return "NULL"
        self.lines.append(f"static const {kind}{name}[] = {{")
        self.lines += [f"    {item}," for item in items]
        self.lines += ["};", ""]
        return name

    def arguments(self, name, arguments):
        items = []
        for number, a in enumerate(arguments):
            inner = self.arguments(f"{name}_{number}", a.arguments)
            flags = [f for f in ("optional", "multiple", "multiple_token") if getattr(a, f)]
            items.append(
                f"{{.name = {c_text(a.name)}, .display = {c_text(a.display)}, .token = {c_text(a.token)}, "
                f".since = {c_text(a.since)}, .deprecated_since = {c_text(a.deprecated_since)}, "
                f".arguments = {inner}, .argument_count = {len(a.arguments)}, "
                f".type = {c_bits('COMMAND_ARGUMENT_', [a.type])}, "
                f".flags = {c_bits('COMMAND_ARGUMENT_', flags)}, .key_spec = {a.key_spec}}}")
        return self.array("struct command_argument ", name, items)

    def key_specs(self, name, specs):
        return self.array("struct command_key_spec ", name, [
            f"{{.notes = {c_text(s.notes)}, .keyword = {c_text(s.keyword)}, "
            f".flags = {c_bits('COMMAND_KEY_', s.flags)}, "
            f".begin = COMMAND_KEY_BEGIN_{s.begin.upper()}, .find = COMMAND_KEY_FIND_{s.find.upper()}, "
            f".index = {s.index}, .last = {s.last}, .limit = {s.limit}, .step = {s.step}, "
            f".number_index = {s.number_index}, .first = {s.first}}}"
            for s in specs])

    def docs(self, command):
        name = command.slug
        fields = command.fields
        history = self.array("struct command_history ", f"{name}_history", [
            f"{{{c_text(since)}, {c_text(text)}}}" for since, text in fields.get("history", [])])
        tips = self.array("char *const ", f"{name}_tips", [c_text(t) for t in fields.get("tips", [])])
        lines = self.array("char *const ", f"{name}_lines", [c_text(line) for line in command.help])
        arguments = self.arguments(f"{name}_arguments", command.arguments)
        self.lines += [
            f"static const struct command_docs {name}_docs = {{",
            f"    .summary = {c_text(fields['summary'])},",
            f"    .since = {c_text(fields['since'])},",
            f"    .group = {c_text(fields['group'])},",
            f"    .complexity = {c_text(fields.get('complexity'))},",
            f"    .deprecated_since = {c_text(fields.get('deprecated_since'))},",
            f"    .replaced_by = {c_text(fields.get('replaced_by'))},",
            f"    .history = {history}, .history_count = {len(fields.get('history', []))},",
            f"    .arguments = {arguments}, .argument_count = {len(command.arguments)},",
            f"    .tips = {tips}, .tip_count = {len(fields.get('tips', []))},",
            f"    .help = {lines}, .help_count = {len(command.help)},",
            f"    .syscmd = {str('syscmd' in fields.get('doc_flags', [])).lower()},",
            "};", ""]

    def command(self, command, specs):
        words = ", ".join(f"{w:#x}" for w in name_words(command.name))
        handler = command.handler if self.with_handlers else None
        parent = f"&commands[{command.parent.number}]" if command.parent else "NULL"
        children = f"&commands[{command.subcommands[0].number}]" if command.subcommands else "NULL"
        first, last, step = command.legacy
        return [
            f"    [{command.number}] = {{",
            f"        .name_words = {{{words}}},",
            f"        .handler = {handler or 'NULL'},",
            f"        .flags = {c_bits('COMMAND_', command.flags)},",
            f"        .categories = {c_bits('COMMAND_CATEGORY_', command.categories)},",
            f"        .key_specs = {specs}, .key_spec_count = {len(command.keys)},",
            f"        .keys_function = {command.keys_function or 'NULL'},",
            f"        .number = {command.number}, .scope = {scope_of(command)}, "
            f".arity = {command.fields['arity']}, .name_size = {len(command.name)},",
            f"        .first_key = {first}, .last_key = {last}, .key_step = {step},",
            f"        .name = {{{c_text(command.name)}, {len(command.name)}}},",
            f"        .full_name = {{{c_text(command.full_name)}, {len(command.full_name)}}},",
            f"        .parent = {parent},",
            f"        .subcommands = {children}, .subcommand_count = {len(command.subcommands)},",
            f"        .docs = &{command.slug}_docs,",
            "    },"]

    def whole(self, commands, name):
        body = []
        for command in commands:
            specs = self.key_specs(f"{command.slug}_key_specs", command.keys)
            self.docs(command)
            body += self.command(command, specs)
        self.lines += [f"static const struct command commands[{len(commands)}];", "",
                       f"static const struct command commands[{len(commands)}] = {{", *body, "};", ""]
        slots, displacements = perfect_hash(commands)
        for array, values in (("slots", slots), ("displacements", displacements)):
            rows = [", ".join(map(str, values[i:i + 16])) for i in range(0, len(values), 16)]
            self.array("uint16_t ", array, rows)
        top = sum(c.parent is None for c in commands)
        self.lines += [f"const struct command_set {name} = {{", "    .commands = commands,",
                       "    .slots = slots,", "    .displacements = displacements,",
                       f"    .slot_mask = {len(slots) - 1},",
                       f"    .displacement_mask = {len(displacements) - 1},",
                       f"    .count = {len(commands)},", f"    .top_count = {top},", "};", ""]
        return "\n".join(self.lines)


MADE = "/* Made by generate.py from the descriptions of commands: change those. */\n"


def prototypes(commands, with_handlers):
    handlers = sorted({c.handler for c in commands if c.handler}) if with_handlers else []
    functions = sorted({c.keys_function for c in commands if c.keys_function})
    return "".join([f"command_handler {h};\n" for h in handlers]
                   + [f"command_keys_function {f};\n" for f in functions])


def table_source(commands, options):
    table = Table(not options.without_handlers)
    return (f"{MADE}#include \"engine/command.h\"\n\n"
            + prototypes(commands, not options.without_handlers)
            + f"\nextern const struct command_set {options.name};\n\n"
            + table.whole(commands, options.name))


def header_source(commands, options):
    return (f"{MADE}#ifndef REDSTART_COMMAND_HANDLERS_H\n#define REDSTART_COMMAND_HANDLERS_H\n\n"
            "#include \"engine/command.h\"\n\n"
            f"extern const struct command_set {options.name};\n\n"
            + prototypes(commands, True)
            + "\n#endif\n")


# ---- documentation ----

TITLES = {"generic": "Keys", "string": "Strings", "connection": "Connection", "server": "Server"}


def cell(text):
    return text.replace("|", "\\|")


def docs_page(commands):
    lines = ["# Commands", "",
             "Made from the descriptions in `src/command/*.toml` by `src/command/generate.py --docs`. "
             "The column *since* says which version of Redis had the command first.", ""]
    for group in sorted({c.group for c in commands}, key=lambda g: TITLES.get(g, g)):
        lines += [f"## {TITLES.get(group, group.capitalize())}", "",
                  "| command | what it does | since |", "| --- | --- | --- |"]
        members = [c for c in commands if c.group == group and (c.handler or not c.subcommands)]
        for command in sorted(members, key=lambda c: c.full_name):
            name = command.full_name.upper().replace("|", " ")
            syntax = description.render(command.arguments, False)
            note = ""
            if "deprecated_since" in command.fields:
                note = f" Deprecated in favour of {command.fields['replaced_by']}."
            lines.append(f"| `{cell(f'{name} {syntax}'.strip())}` | "
                         f"{cell(command.fields['summary'] + note)} | {command.fields['since']} |")
        lines.append("")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="+", type=Path)
    parser.add_argument("--table", type=Path, help="where command_table.c goes")
    parser.add_argument("--header", type=Path, help="where command_handlers.h goes")
    parser.add_argument("--docs", type=Path, help="where the documentation goes")
    parser.add_argument("--name", default="command_table", help="of the command_set")
    parser.add_argument("--without-handlers", action="store_true",
                        help="handlers are NULL, so that a test needs none")
    options = parser.parse_args()
    try:
        commands = description.read_families([(p.name, p.read_text()) for p in options.families])
        outputs = [(options.table, lambda: table_source(commands, options)),
                   (options.header, lambda: header_source(commands, options)),
                   (options.docs, lambda: docs_page(commands))]
        for path, make in outputs:
            if path is not None:
                path.write_text(make())
    except Problem as problem:
        sys.exit(f"generate.py: {problem}")


if __name__ == "__main__":
    main()
