"""Reading YAML: JSON's values only, every value's line, no surprise from aliases, tags or garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml.spec.yaml_nodes import MAX_VALUES, read_documents


def _found(text: str) -> list[str]:
    return [f"{line}: {finding}" for document in read_documents(text) for line, finding in document.findings]


def test_every_value_has_the_line_of_its_key_or_item() -> None:
    (document,) = read_documents("a:\n  b: 1\n  c:\n    - x\n    - y: 2\n")
    paths = [("a",), ("a", "b"), ("a", "c", 0), ("a", "c", 1, "y")]
    assert [document.line(path) for path in paths] == [1, 2, 4, 5]


def test_a_path_that_is_not_there_has_the_line_of_what_is_around_it() -> None:
    (document,) = read_documents("\na:\n  b: 1\n")
    assert document.line(("a", "missing", 3)) == 2


def test_lines_count_through_all_documents() -> None:
    documents = list(read_documents("a: 1\n---\n\n---\nb: 2\n"))
    assert [document.data for document in documents] == [{"a": 1}, {"b": 2}]
    assert documents[1].line(("b",)) == 5


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "2024-01-01", "="])
def test_words_that_json_does_not_know_stay_text(word: str) -> None:
    (document,) = read_documents(f"name: {word}\n")
    assert document.data == {"name": word}


def test_json_is_read_as_yaml() -> None:
    (document,) = read_documents('{"a": [1, 2.5, true, null, "x"]}')
    assert document.data == {"a": [1, 2.5, True, None, "x"]}


def test_a_repeated_key_is_an_error_on_its_own_line() -> None:
    assert _found("a: 1\nb: 2\na: 3\n") == ["3: a: the key stands twice, first on line 1"]


def test_a_key_must_be_text() -> None:
    assert _found("a:\n  1: x\n") == ["2: a: a key must be text, got 1; write it in quotes"]


def test_aliases_and_merge_keys_work() -> None:
    (document,) = read_documents("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: *x\n")
    assert document.data == {"x": {"a": 1, "b": 2}, "y": {"a": 1, "b": 3}, "z": {"a": 1, "b": 2}}
    assert document.findings == []


def test_a_tag_of_a_language_is_refused() -> None:
    found = _found("a: !!python/object/apply:os.system ['true']\n")
    assert found == ["1: a: the tag '!!python/object/apply:os.system' is not supported; expected plain YAML"]


def test_numbers_that_json_cannot_hold_are_refused() -> None:
    assert _found("a: .nan\nb: -.inf\n") == [
        "1: a: expected a finite number, got nan",
        "2: b: expected a finite number, got -inf",
    ]


def test_aliases_cannot_unfold_without_end() -> None:
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 9)]
    found = _found("\n".join(["l0: &l0 [1]", *levels]))
    assert len(found) == 1
    assert f"too large: over {MAX_VALUES} values" in found[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1,\nb: c", "not YAML: while parsing a flow sequence"),
        ("&a [*a]", "too large"),
        ("[" * 5000, "not YAML: nested too deeply"),
        ("a: \x00", "not YAML: the character #x0000 is not allowed"),
        ('"\\UFFFFFFFF"', "not YAML"),
        ('"\\ud800"', "cannot be read as str"),
        ("a: !!int x", "a: cannot be read as int: 'x'"),
        ("a: " + "9" * 5000, "a: cannot be read as int"),
    ],
)
def test_what_cannot_be_read_is_a_finding(text: str, said: str) -> None:
    (found,) = _found(text)
    assert said in found


def test_documents_before_the_broken_one_are_still_given() -> None:
    documents = list(read_documents("a: 1\n---\nb: [\n"))
    assert documents[0].data == {"a": 1}
    assert documents[1].findings[0][0] == 4


@given(st.text(alphabet=st.sampled_from("ab:-[]{}#&*!|>'\"%@`,? \n\t01.\\x<") | st.characters(), max_size=60))
def test_any_text_is_read_or_found_wrong(text: str) -> None:
    for document in read_documents(text):
        assert document.data is not None or document.findings
        assert all(line >= 1 for line, _ in document.findings)
