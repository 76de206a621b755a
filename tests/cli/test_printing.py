import json

from graphwire.cli.printing import json_bytes, printable

EVIL = "a\x1b[31m\x9b31m\u202eb\u2028\x7f\r\b\ud800é✓👩‍💻\u3000"


def test_json_is_the_same_value_and_nothing_in_it_speaks_to_a_terminal() -> None:
    shown = json_bytes({"k\x9b": [EVIL, {"tab": "\t", "line": "1\n2"}]})

    assert json.loads(shown) == {"k\x9b": [EVIL, {"tab": "\t", "line": "1\n2"}]}
    text = shown.decode()
    assert not {each for each in text if each != "\n" and (ord(each) < 32 or 127 <= ord(each) < 160)}
    assert not set(text) & set("\u202e\u2028\u2066")
    assert "é✓👩‍💻\u3000" in text  # for people


def test_text_of_others_is_one_line_of_what_can_be_seen() -> None:
    assert printable(EVIL).isprintable()
    assert printable("x" * 300, 10) == "x" * 10 + "…"
