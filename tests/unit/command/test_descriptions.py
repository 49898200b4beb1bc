"""The generator of the command table: what it accepts, what it derives, and what it refuses, with which words."""

import pathlib
import sys
import unittest

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "src" / "command"
sys.path.insert(0, str(FOLDER))

import description  # noqa: E402
import generate  # noqa: E402

FRAME = 'arity = -2\nsince = "1.0.0"\nsummary = "Does."\n'


def family(text, group="string"):
    return description.read_families([("test.toml", f'group = "{group}"\n{text}')])


def one(fields, name="thing", group="string"):
    return family(f'["{name}"]\n{FRAME}{fields}', group)[0]


def outline(arguments):
    """Arguments as nested tuples of what matters in a test."""
    return [(a.name, a.type, a.token, outline(a.arguments)) if a.arguments else (a.name, a.type, a.token)
            for a in arguments]


class Syntax(unittest.TestCase):
    def parse(self, text, key_specs=2):
        return description.parse_syntax(text, key_specs)

    def test_values_and_types(self):
        self.assertEqual(outline(self.parse("key value at:unix-time pattern n:double")), [
            ("key", "key", None), ("value", "string", None), ("at", "unix-time", None),
            ("pattern", "pattern", None), ("n", "double", None)])

    def test_tokens(self):
        self.assertEqual(outline(self.parse("[GET] a [EX seconds:integer] [keep=KEEPTTL] ['~'] [COUNT c(A | B b)]")), [
            ("get", "pure-token", "GET"), ("a", "string", None), ("seconds", "integer", "EX"),
            ("keep", "pure-token", "KEEPTTL"), ("~", "pure-token", "~"),
            ("c", "oneof", "COUNT", [("a", "pure-token", "A"), ("b", "string", "B")])])

    def test_flags(self):
        a, b, c, d = self.parse("a... [b...] [PREFIX c]... [d{e f}...]")
        self.assertEqual([(x.optional, x.multiple, x.multiple_token) for x in (a, b, c, d)],
                         [(False, True, False), (True, True, False), (True, True, True), (True, True, False)])

    def test_versions_and_display(self):
        a, b, c = self.parse('a@6.2.0 [b]@6.0.0-7.0.0 c"ip:port"@-2.8.12')
        self.assertEqual((a.since, a.deprecated_since), ("6.2.0", None))
        self.assertEqual((b.since, b.deprecated_since, b.optional), ("6.0.0", "7.0.0", True))
        self.assertEqual((c.display, c.since, c.deprecated_since), ("ip:port", None, "2.8.12"))

    def test_key_specs(self):
        self.assertEqual([a.key_spec for a in self.parse("a:key b:key c:key v")], [0, 1, 1, -1])
        self.assertEqual([a.key_spec for a in self.parse("a:key#1 b:key")], [1, 0])

    def test_render(self):
        text = "key [EX seconds:integer] [c(NX | XX)] o(A | b) [d{e f}...] [PREFIX p]... x..."
        self.assertEqual(description.render(self.parse(text), False),
                         "key [EX seconds] [NX | XX] <A | b> [e f [e f ...]] [PREFIX p [PREFIX p ...]] x [x ...]")
        self.assertEqual(description.render(self.parse("TYPE t(A | B) v"), True), "TYPE (A|B) <v>")

    def test_refused(self):
        for text, words in [
            ("a a", "same name"), ("c(A | A)", "same name"), ("[a b]", "']' expected"), ("a )", "closes nothing"),
            ("a:float", "no type"), ("c()", "an argument is expected"), ("d{}", "is empty"), ("a=b", "token is expected"),
            ("a %", "cannot read"), ("[a]...", "belongs before"), ("v#0", "is no key"), ("a:key#2", "no key spec"),
            ("c(A | B", "')' expected"), ("EX:integer", "cannot read"),
        ]:
            with self.subTest(text), self.assertRaisesRegex(description.Problem, words.replace(")", r"\)")):
                self.parse(text)
        with self.assertRaisesRegex(description.Problem, "no key spec"):
            self.parse("key", 0)


class Keys(unittest.TestCase):
    def test_places(self):
        spec = description.parse_key_spec("RW access : at 2 ; why")
        self.assertEqual((spec.begin, spec.index, spec.find, spec.last, spec.step, spec.notes),
                         ("index", 2, "range", 0, 1, "why"))
        spec = description.parse_key_spec("RO access : after STREAMS from -2 to -1 step 3 limit 2")
        self.assertEqual((spec.begin, spec.keyword, spec.index, spec.last, spec.step, spec.limit),
                         ("keyword", "STREAMS", -2, -1, 3, 2))
        spec = description.parse_key_spec("RO : at 2 count 0 first 1")
        self.assertEqual((spec.find, spec.number_index, spec.first, spec.step), ("keynum", 0, 1, 1))

    def test_legacy_range(self):
        for specs, expected in [
            ([], ((0, 0, 0), False)),
            (["RO : at 1"], ((1, 1, 1), False)),
            (["RO : at 1 to -1 step 2"], ((1, -1, 2), False)),
            (["RO : at 1", "OW : at 2"], ((1, 2, 1), False)),
            (["OW : at 1", "RO : at 2 to -1"], ((1, -1, 1), False)),
            (["OW : at 1", "RO : at 3"], ((1, 1, 1), True)),
            (["OW : at 1", "RO : at 2 count 0 first 1"], ((1, 1, 1), True)),
            (["RO : after STREAMS to -1 limit 2"], ((0, 0, 0), True)),
            (["RO incomplete : at 1"], ((1, 1, 1), True)),
        ]:
            with self.subTest(specs):
                self.assertEqual(description.legacy_range([description.parse_key_spec(s) for s in specs]), expected)

    def test_refused(self):
        for text, words in [
            ("RO at 1", "FLAGS : PLACE"), ("RX : at 1", "no flag"), ("access : at 1", "exactly one"),
            ("RO RW : at 1", "exactly one"), ("RO : first", "at, after or unknown"), ("RO : at", "number is expected"),
            ("RO : at 0", "keys begin at 1"), ("RO : at 1 step 0", "out of range"), ("RO : at 1 until 2", "no meaning"),
            ("RO : after", "keyword is expected"),
        ]:
            with self.subTest(text), self.assertRaisesRegex(description.Problem, words):
                description.parse_key_spec(text)


class Commands(unittest.TestCase):
    def test_categories_follow_from_flags_and_group(self):
        self.assertEqual(one('flags = "write fast"').categories, ["write", "string", "fast"])
        self.assertEqual(one('flags = "readonly admin"', group="server").categories,
                         ["read", "admin", "slow", "dangerous"])
        self.assertEqual(one('categories = "connection"', group="server").categories, ["slow", "connection"])

    def test_movablekeys_follows_from_keys(self):
        self.assertIn("movablekeys", one('keys = ["RO : at 1 count 0 first 1"]').flags)
        self.assertNotIn("movablekeys", one('keys = ["RO : at 1 to -1"]').flags)

    def test_containers(self):
        commands = family(f'[box]\n{FRAME}help_since = "5.0.0"\n["box|put"]\n{FRAME}syntax = "thing"\n', "connection")
        box, helper, put = commands
        self.assertEqual([c.full_name for c in commands], ["box", "box|help", "box|put"])
        self.assertEqual((box.handler, helper.handler, put.handler), (None, "command_help", "command_box_put"))
        self.assertEqual((box.categories, put.categories), (["slow"], ["slow", "connection"]))
        self.assertEqual(box.help, ["BOX <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                                    "PUT <thing>", "    Does.", "HELP", "    Prints this help."])

    def test_refused(self):
        for text, words in [
            (f"[a]\n{FRAME}flavour = 1", "'flavour' is unknown"),
            (f'[a]\n{FRAME}flags = "writes"', "'writes' is unknown"),
            (f'[a]\n{FRAME}flags = "movablekeys"', "'movablekeys' is unknown"),
            (f'[a]\n{FRAME}flags = "write readonly"', "exclude each other"),
            (f'[a]\n{FRAME}categories = "nice"', "'nice' is unknown"),
            (f'[a]\n{FRAME}group = "nice"', "'nice' is no group"),
            (f'[a]\n{FRAME}keys_function = "yes"', "of type bool"),
            ('[a]\narity = 1\nsince = "1.0.0"', "summary is missing"),
            ('[a]\narity = "1"\nsince = "1.0.0"\nsummary = "x"', "of type int"),
            ('[a]\narity = 0\nsince = "1.0.0"\nsummary = "x"', "arity of 0"),
            ('[a]\narity = 2\nsince = "1.0"\nsummary = "x"', "no version"),
            (f'[a]\n{FRAME}history = [["7.0.0"]]', "not a version and a text"),
            (f'[a]\n{FRAME}deprecated_since = "7.0.0"', "belong together"),
            (f"[A]\n{FRAME}", "a name has"),
            (f'["{"a" * 25}"]\n{FRAME}', "a name has"),
            (f'["a|b"]\n{FRAME}', "container is not described"),
            (f'[a]\n{FRAME}["a|b|c"]\n{FRAME}', "no subcommands"),
            (f'[a]\n{FRAME}help_since = "1.0.0"\n["a|help"]\n{FRAME}', "describes its HELP too"),
            (f"[a]\n{FRAME}own_handler = true", "own_handler is for"),
            (f'[a]\n{FRAME}keys = ["RO : unknown"]', "needs a keys_function"),
            (f'[a]\n{FRAME}["a|b"]\n{FRAME}[c]\n{FRAME}syntax = "key"', "test.toml: c: syntax"),
            ('[a]\narity = 2\nsince = "1.0.0"\nsummary = "x"\nkeys = ["RO : at 2"]', "begins at 2"),
            ('[a]\narity = 2\nsince = "1.0.0"\nsummary = "x"\nkeys = ["RO : at 1 to 1"]', "ends at 2"),
            ("[a", "test.toml: "),
            ('a = "b"', "is no command"),
        ]:
            with self.subTest(text), self.assertRaisesRegex(description.Problem, words):
                family(text)

    def test_twice(self):
        text = f"[a]\n{FRAME}"
        with self.assertRaisesRegex(description.Problem, "two.toml: a: described twice, also in one.toml"):
            description.read_families([("one.toml", f'group = "string"\n{text}'),
                                       ("two.toml", f'group = "string"\n{text}')])


class Table(unittest.TestCase):
    def test_perfect_hash_at_every_size(self):
        for count in (1, 2, 3, 10, 100, 400):
            commands = family("".join(f"[name-{i}]\n{FRAME}" for i in range(count)))
            slots, displacements = generate.perfect_hash(commands)
            self.assertEqual(sorted(s for s in slots if s), list(range(1, count + 1)))
            for size in (len(slots), len(displacements)):
                self.assertEqual(size & (size - 1), 0)

    def test_texts_are_escaped(self):
        self.assertEqual(generate.c_text('a "b" \\ c\nd'), '"a \\"b\\" \\\\ c\\nd"')
        self.assertEqual(generate.c_text(None), "NULL")

    def test_page_is_up_to_date(self):
        paths = sorted(FOLDER.glob("*.toml"))
        commands = description.read_families([(p.name, p.read_text()) for p in paths])
        page = (FOLDER.parents[1] / "docs" / "commands.md").read_text()
        self.assertEqual(page, generate.docs_page(commands), "run: ninja -C build commands-page")


if __name__ == "__main__":
    unittest.main()
