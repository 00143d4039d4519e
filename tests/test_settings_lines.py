"""Where keys stand in a TOML file, held against tomllib's own reading of the same text."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vonad.settings.toml_lines import Place, lines_of

EXAMPLE = '''\
# a comment with [brackets] and = signs
top = 1
"quoted key" = "# no comment"
'single.quoted' = 2

[mqtt]  # the broker
host = "a\\"b]" # end
port= 1883
nested.deep . "er" = [
    1, # [ in a comment
    "], }", [2, { a = 3 }],
    """ ] """,
]
after = true

[ satellites . "kitchen" ]
text = """
[not.a.table]
key = 1
"""
raw = \'\'\'
= [ { \'\'\'
style = { pace = 0.5, "voice" = { name = "x" }, list = [1, 2] }
date = 1979-05-27 07:32:00

[[rooms]]
name = "a"
[[rooms]]
name = "b"
[last]
x = 1'''


def test_each_key_is_where_an_editor_shows_it():
    assert dict(lines_of(EXAMPLE)) == {
        ("top",): 2,
        ("quoted key",): 3,
        ("single.quoted",): 4,
        ("mqtt",): 6,
        ("mqtt", "host"): 7,
        ("mqtt", "port"): 8,
        ("mqtt", "nested"): 9,
        ("mqtt", "nested", "deep"): 9,
        ("mqtt", "nested", "deep", "er"): 9,
        ("mqtt", "after"): 14,
        ("satellites",): 16,
        ("satellites", "kitchen"): 16,
        ("satellites", "kitchen", "text"): 17,
        ("satellites", "kitchen", "raw"): 21,
        ("satellites", "kitchen", "style"): 23,
        ("satellites", "kitchen", "style", "pace"): 23,
        ("satellites", "kitchen", "style", "voice"): 23,
        ("satellites", "kitchen", "style", "voice", "name"): 23,
        ("satellites", "kitchen", "style", "list"): 23,
        ("satellites", "kitchen", "date"): 24,
        ("rooms",): 26,
        ("rooms", "name"): 27,
        ("last",): 30,
        ("last", "x"): 31,
    }


def test_windows_line_ends_and_escapes_in_keys():
    assert dict(lines_of('a = 1\r\n"k\\u00fcche\\t" = 2\r\n[t]\r\nb = """x\r\n"""\r\nc = 3\r\n')) == {
        ("a",): 1,
        ("küche\t",): 2,
        ("t",): 3,
        ("t", "b"): 4,
        ("t", "c"): 6,
    }


def places(values: object, above: Place = ()) -> set[Place]:
    """Every key of what tomllib read, without those inside of lists."""
    if not isinstance(values, dict):
        return set()
    here = {(*above, key) for key in values}
    return here.union(*(places(value, (*above, key)) for key, value in values.items())) if values else here


KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters='"\\'), max_size=6).map(
        '"{}"'.format
    ),
)
SCALARS = st.sampled_from(
    [
        "1",
        "-0.5",
        "true",
        '"]"',
        "'}'",
        '"#"',
        '"a\\"="',
        '""',
        '"""]\n["""',
        "'''\n= \"'''",
        "1979-05-27",
        "inf",
        '""""x"""" ',
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", # ]\n".join(items) + "\n]"),
        st.lists(st.tuples(KEYS, inner), max_size=3, unique_by=lambda pair: pair[0].strip('"')).map(
            lambda pairs: f"{{ {', '.join(f'{key} = {value}' for key, value in pairs)} }}"
        ),
    ),
    max_leaves=8,
)
STATEMENTS = st.one_of(
    st.tuples(KEYS, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]} # [x]"),
    st.lists(KEYS, min_size=1, max_size=3).map(lambda keys: f"[{' . '.join(keys)}]"),
    st.sampled_from(["", "# a = 1", "   "]),
)


@given(st.lists(STATEMENTS, max_size=8).map("\n".join))
def test_every_key_that_tomllib_finds_has_a_line_and_no_other(text: str):
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = lines_of(text)
    assert set(lines) == places(values)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@pytest.mark.parametrize(
    "text", ["[", "a", "a =", "= 1", '"', "[[", "]", "{", "a = {", "a = [", "a.", '"""', "a = '''"]
)
def test_text_that_is_no_toml_ends_all_the_same(text: str):
    lines_of(text)
