"""Strict YAML: what is read, what is refused, and where each thing stands."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sretool.documents import MAX_CHARACTERS, MAX_NODES, read_document, read_file, suggest
from sretool.errors import DocumentError, UsageError


def problems_of(text):
    with pytest.raises(DocumentError) as caught:
        read_document(text, origin="f")
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("expected", "written"),
    [
        ("plain words", "plain words"),
        (True, "true"),
        (False, "False"),
        (None, "~"),
        (None, ""),
        (12, "12"),
        (-3, "-3"),
        (0, "0"),
        (1.1, "1.10"),
        (0.5, ".5"),
        ("30s", "30s"),
        ("200Mi", "200Mi"),
        ("80%", "80%"),
        ("no", "'no'"),
        ("0644", '"0644"'),
        ("tab\there", r'"tab\there"'),
        ([1, "a"], "[1, a]"),
        ({"b": 1}, "{b: 1}"),
        ("one\ntwo\n", "|\n  one\n  two"),
    ],
)
def test_scalars_are_read_as_yaml_1_2_does(expected, written):
    assert expected == read_document(f"a: {written}\n", origin="f").value["a"]


BASE_60 = "YAML 1.1 reads it as a number in base 60: write a duration such as 1m30s, or quote it"
BOOLEAN = "YAML 1.1 reads it as a boolean: write true or false, or quote the word"
OCTAL = "YAML 1.1 reads it as an octal number: write it without the leading zero, or quote it"
UNDERSCORE = "YAML 1.1 reads it as a number: write it without underscores, or quote it"
RADIX = "YAML 1.1 and 1.2 disagree on it: write a decimal number, or quote it"
EXPONENT = "YAML 1.1 and 1.2 disagree on exponents: write the number out, or quote it"
NUMBER = "it is no number to work with: quote it if it is text"
DATE = "YAML 1.1 reads it as a date: quote it"
MERGE = "it has a special meaning in YAML 1.1 (value, merge key): write the keys out"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("no", BOOLEAN),
        ("Off", BOOLEAN),
        ("y", BOOLEAN),
        ("1:30", BASE_60),
        ("12:30:45", BASE_60),
        ("0644", OCTAL),
        ("-007", OCTAL),
        ("0o644", RADIX),
        ("0x1F", RADIX),
        ("0b11", RADIX),
        ("1_000", UNDERSCORE),
        ("1_0.5", UNDERSCORE),
        ("1e3", EXPONENT),
        (".inf", NUMBER),
        (".NaN", NUMBER),
        ("2001-01-01", DATE),
        ("=", MERGE),
    ],
)
def test_what_yaml_1_1_reads_differently_is_refused_with_the_reason(written, why):
    assert problems_of(f"a: {written}\n") == [f"f:1:4: {written}: {why}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["f:1:1: the document is empty"]),
        ("---\n", ["f:1:1: the document is empty"]),
        ("x\n", ["f:1:1: the document is not a mapping of keys to values"]),
        ("on: 1\n", [f"f:1:1: on: {BOOLEAN}"]),
        ("<<: {a: 1}\n", [f"f:1:1: <<: {MERGE}"]),
        ("1: x\n", ["f:1:1: a key is a word, not 1: quote it"]),
        ("~: x\n", ["f:1:1: a key is a word, not ~: quote it"]),
        ("a: {{ b.c }}\n", ['f:1:5: a key is a word, not a mapping or list: quote it, "{{ b.c }}"']),
        ("a: {b: {{c}}, d: 1}\n", ['f:1:9: a key is a word, not a mapping or list: quote it, "{{c}}"']),
        ("? [a]\n: 1\n", ["f:1:3: a key is a word, not a mapping or list"]),
        ("a: 1\nb: {c: 1, c: 2}\na: 3\n", [
            "f:2:11: duplicate key c: it stands in line 2 too",
            "f:3:1: duplicate key a: it stands in line 1 too",
        ]),
        ("a: 1\n---\nb: 2\n", ["f:2:1: a second document: a file holds one"]),
        ("%YAML 1.2\n---\na: 1\n", ["f:1:1: YAML directives (%YAML, %TAG) are not allowed"]),
        ("a: !!str 1\nb: ! c\n", [
            "f:1:4: tag tag:yaml.org,2002:str: tags are not allowed",
            "f:2:4: tag !: tags are not allowed",
        ]),
        ("a: !!python/object:os.system x\n", [
            "f:1:4: tag tag:yaml.org,2002:python/object:os.system: tags are not allowed",
        ]),
        ("a: &x 1\nb: *x\n", [
            "f:1:4: anchor &x: write the value out, anchors are not allowed",
            "f:2:4: alias *x: write the value out, aliases are not allowed",
        ]),
        ("a:\n\tb: 1\n", ["f:2:1: a tab: YAML indents with spaces"]),
        ("a: b: c\n", ["f:1:5: ': ' inside a plain value, or a wrong indentation: quote the value or indent the key"]),
        ("a: @b\n", ["f:1:4: a plain value cannot begin with @: quote it"]),
        ("a: %b\n", ["f:1:4: a plain value cannot begin with %: quote it"]),
        ("a: [1, 2\nb: 3\n", ["f:2:2: not YAML: while parsing a flow sequence that begins in line 1, did not find expected ',' or ']'"]),
        ("a: 'b\n", ["f:2:1: not YAML: while scanning a quoted scalar that begins in line 1, found unexpected end of stream"]),
        ("a: 1\nb: \x07\n", ["f:2:4: control character U+0007 is not allowed in YAML"]),
        ("a: \ud800\n", ["f:1:4: control character U+D800 is not allowed in YAML"]),
        ('a: "\\e[31m"\n', ["f:1:4: control character U+001B inside a text"]),
        ("a: " + "9" * 5000 + "\n", ["f:1:4: " + "9" * 57 + "...: too many digits for a number: quote it if it is text"]),
        ("a: " + "[" * 30, ["f:1:23: nested deeper than 20 levels"]),
        ("a: [" + "1," * MAX_NODES + "]", [f"f:1:{2 * MAX_NODES + 1}: more than {MAX_NODES} values"]),
        ("#" * (MAX_CHARACTERS + 1), [f"f:1:1: {MAX_CHARACTERS + 1} characters: a document has at most {MAX_CHARACTERS}"]),
    ],
)  # fmt: skip
def test_what_is_no_strict_yaml_is_refused_with_its_place(text, expected):
    assert problems_of(text) == expected


def test_a_problem_of_the_yaml_does_not_hide_those_before_it():
    assert problems_of("a: no\nb: 1_0\nc: [1\n")[:2] == [f"f:1:4: no: {BOOLEAN}", f"f:2:4: 1_0: {UNDERSCORE}"]


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text", ["[" * 200_000, "{a: " * 60_000, "- " * 120_000, "a: " + "&a " * 80_000, '"' * 99_999]
)
def test_a_document_made_to_hurt_is_refused(text):
    assert problems_of(text)


@pytest.mark.timeout(10)
def test_an_alias_bomb_is_refused():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert "alias *a0: write the value out, aliases are not allowed" in problems_of("\n".join(rows))[-1]


DOCUMENT = """\
# a comment
top: 1
steps:
  - {id: a, when: "b"}
  -  id: c
     with:
        x: [1, 22]
"""


@pytest.mark.parametrize(
    ("position", "key", "path"),
    [
        ((2, 1), (2, 1), ()),
        ((2, 6), (2, 1), ("top",)),
        ((4, 3), (3, 1), ("steps",)),
        ((4, 5), (4, 5), ("steps", 0)),
        ((4, 19), (4, 13), ("steps", 0, "when")),
        ((7, 16), (7, 16), ("steps", 1, "with", "x", 1)),
        ((7, 9), (6, 6), ("steps", 1, "with", "missing")),
    ],
)
def test_every_value_knows_where_it_stands(position, key, path):
    document = read_document(DOCUMENT, origin="f")
    assert (position, key) == (document.position(path), document.key_position(path))
    assert f"f:{position[0]}:{position[1]}" == document.at(path)


@pytest.mark.parametrize(
    "written",
    ["ab X", "'ab X'", '"ab X"', "'it''s X'", r'"\x41\u00e9\\ \"q\" X"', '"ü€😀 X"', "ü€😀 X"],
)
def test_a_character_of_a_text_on_one_line_is_found_in_the_file(written):
    document = read_document(f"key: {written}\n", origin="f")
    offset = document.value["key"].index("X")
    assert (1, len("key: ") + written.index("X") + 1) == document.inside(("key",), offset)


def test_a_character_of_a_text_over_several_lines_is_where_the_text_begins():
    document = read_document("key: |\n  ab\n  X\n", origin="f")
    assert document.inside(("key",), 3) == (1, 6)


def test_the_end_of_a_quoted_text_is_its_quote():
    assert read_document("a: 'bc'\n", origin="f").inside(("a",), 2) == (1, 7)


def test_a_byte_order_mark_is_skipped():
    assert read_document("\ufeffa: 1\n", origin="f").value == {"a": 1}


def test_a_file_that_is_not_utf_8_is_refused_with_the_place_of_its_byte(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes("a: é\nb: ".encode() + b"\xff\n")
    with pytest.raises(DocumentError) as caught:
        read_file(path, origin="f")
    assert caught.value.problems == ("f:2:4: byte 0xff is not UTF-8: save the file as UTF-8",)


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path):
    for name, reason in (
        ("none.yaml", "No such file or directory"),
        (".", "Is a directory"),
        ("\0", "null byte"),
    ):
        with pytest.raises(UsageError, match=reason):
            read_file(tmp_path / name)


def test_a_file_without_end_is_refused():
    with pytest.raises(UsageError, match="'/dev/zero' is too long"):
        read_file(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("expected", "word", "known"),
    [
        (" (did you mean steps?)", "stpes", ["steps", "summary"]),
        (" (did you mean steps?)", "STEPS", ["steps"]),
        (" (known: alpha, beta)", "zzz", ["beta", "alpha"]),
        ("", "zzz", [f"word-{number}" for number in range(20)]),
        ("", "zzz", []),
    ],
)
def test_the_nearest_known_word_is_suggested(expected, word, known):
    assert expected == suggest(word, known)


YAML_PIECES = st.sampled_from(
    [*"abn01-:,?[]{}#&*!|>'\"%@` \n\t\\.~=", "- ", ": ", "a: ", "\n  ", "---\n", "...\n", "%YAML 1.1\n", "&a ", "*a", "!!str ", "<<: ", "\u2028", "\x85", "é", "\ufeff", "\r\n"]
)  # fmt: skip


@settings(deadline=2000, max_examples=400)
@given(st.one_of(st.text(max_size=200), st.lists(YAML_PIECES, max_size=60).map("".join)))
def test_any_text_is_a_document_or_a_document_error(text):
    try:
        document = read_document(text, origin="f")
    except DocumentError as error:
        assert all(problem.startswith("f:") for problem in error.problems)
    else:
        assert isinstance(document.value, dict)
        lines = text.count("\n") + text.count("\r") + text.count("\u2028") + text.count("\x85") + 2
        assert all(1 <= document.position((key,))[0] <= lines for key in document.value)


@settings(deadline=2000, max_examples=200)
@given(
    st.text(
        alphabet=st.characters(
            exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="\ufeff\uffff\ufffe"
        ),
        max_size=30,
    ),
    st.data(),
)
def test_every_character_of_a_quoted_text_is_found(text, data):
    written = "'" + text.replace("'", "''") + "'"
    try:
        document = read_document(f"k: {written}", origin="f")
    except DocumentError:
        return
    for offset, character in enumerate(document.value["k"]):
        column = document.inside(("k",), offset)[1]
        assert f"k: {written}"[column - 1] == character
