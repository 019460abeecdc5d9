"""Files of contacts as they should not be: their bytes, and what must come of them, the rows or one clear line.

What `test_source_folders` and `test_source_folder_faults` hold already is not repeated here: byte order marks and line
ends that are fine, latin-1, values too many and too few, quotes left open, missing columns and tables.
"""

import gzip
import json
from typing import NamedTuple

from crm_pipeline_tests.resources.contact_files import BOB, HEADER, NAMES, SECRET, a_line

NO_COLUMNS = f"has no column {', '.join(NAMES)}"
NO_UTF_8, NO_CSV = "cannot be read: it is not UTF-8", "cannot be read: its quotes or line ends are not those of CSV"
NO_JSON, NO_OBJECT = "cannot be read: line 1: it is no JSON", "cannot be read: line 1: it is no JSON object"
TOO_LONG = "a row is over 33,554,432 bytes long"
Rows = dict[str | None, tuple[str | None, list[str]]]
"""Per id, the first name and the faults."""
SEVEN: Rows = {"7": (None, [])}
SEVEN_AND_EIGHT: Rows = {"7": (None, []), "8": (None, [])}
BAD_NAME_AND_EIGHT: Rows = {"7": ("x" * 10_000_000, ["firstName:TOO_LONG"]), "8": (None, [])}
EMPTY = [f"{name}:MISSING_VALUE" for name in NAMES if "Opt" in name or name.endswith("At")]


class OddFile(NamedTuple):
    """The file's kind and content, and what becomes of it: rows, or what is said after the file's name."""

    kind: str
    content: bytes
    becomes: Rows | str


def csv(content: str | bytes, becomes: Rows | str) -> OddFile:
    return OddFile("csv", content if isinstance(content, bytes) else content.encode(), becomes)


def jsonl(content: str | bytes, becomes: Rows | str) -> OddFile:
    return OddFile("jsonl", content if isinstance(content, bytes) else content.encode(), becomes)


def lines(*rows: str, header: str = HEADER) -> str:
    return "".join(f"{line}\n" for line in (header, *rows))


def an_object(first_name: str = '"Bob"', more: str = "") -> str:
    """A line about contact 7, with the first name and what follows as they are given."""
    values = {name: BOB.get(name) for name in NAMES if name != "firstName"} | {"id": "7"}
    return f'{json.dumps(values)[:-1]}, "firstName": {first_name}{more}}}\n'


TWO = lines(a_line(), a_line(id="8"))
FILES = {
    "UTF-16": csv(TWO.encode("utf-16"), NO_UTF_8),
    "UTF-16 without its mark": csv(TWO.encode("utf-16-le"), NO_COLUMNS),
    "UTF-32": csv(TWO.encode("utf-32"), NO_UTF_8),
    "Windows-1252": csv(lines(a_line(firstName=f"{SECRET} Zoë")).encode("cp1252"), NO_UTF_8),
    "Shift JIS": csv(lines(a_line(firstName="山田")).encode("shift-jis"), NO_UTF_8),
    "overlong UTF-8": csv(lines(a_line(firstName="@")).encode().replace(b"@", b"\xc0\xaf"), NO_UTF_8),
    "surrogates in UTF-8": csv(lines(a_line(firstName="@")).encode().replace(b"@", b"\xed\xa0\x80"), NO_UTF_8),
    "latin-1 in the header": csv(lines(a_line() + ",", header=f"{HEADER},Größe").encode("latin-1"), NO_UTF_8),
    "compressed": csv(gzip.compress(TWO.encode()), NO_UTF_8),
    "two byte order marks": csv("\ufeff\ufeff" + TWO, "has no column id"),
    "a byte order mark before a quote": csv('\ufeff"id"' + TWO.removeprefix("id"), SEVEN_AND_EIGHT),
    "a byte order mark alone": csv("\ufeff", NO_COLUMNS),
    "no bytes": csv("", NO_COLUMNS),
    "NULs alone": csv("\0" * 1000, NO_COLUMNS),
    "a header alone": csv(HEADER, {}),
    "no header": csv(f"{a_line(email=SECRET, lastName=SECRET)}\n", NO_COLUMNS),
    "a header in capitals": csv(lines(a_line(), header=HEADER.upper()), NO_COLUMNS),
    "a header with spaces": csv(lines(a_line(), header=HEADER.replace(",email,", ", email,")), "has no column email"),
    "a header with a NUL": csv(lines(a_line(), header=HEADER.replace(",email,", ",em\0ail,")), "has no column email"),
    "a column twice": csv(lines(f"{a_line()},{SECRET}", header=f"{HEADER},email"), "has column email twice"),
    "a column twice, once in capitals": csv(lines(f"{a_line()},x@y.example", header=f"{HEADER},Email"), SEVEN),
    "a column nobody knows, twice": csv(lines(f"{a_line()},1,2", header=f"{HEADER},x,x"), SEVEN),
    "columns without a name": csv(lines(f"{a_line()},,", header=f"{HEADER},,"), SEVEN),
    "5,000 columns more": csv(lines(a_line() + "," * 5_000, header=HEADER + ",x" * 5_000), SEVEN),
    "injection for a column": csv(lines(f"{a_line()},1", header=f'{HEADER},"x\'}}); drop table t; --"'), SEVEN),
    "semicolons": csv(TWO.replace(",", ";"), NO_COLUMNS),
    "tabs": csv(TWO.replace(",", "\t"), NO_COLUMNS),
    "a web page": csv("<html><body>502 Bad Gateway</body></html>\n", NO_COLUMNS),
    "JSON in CSV": csv(an_object(), NO_COLUMNS),
    "carriage returns alone": csv(TWO.replace("\n", "\r"), SEVEN_AND_EIGHT),
    "line ends of two kinds": csv(f"{HEADER}\r\n{a_line()}\n{a_line(id='8')}\r\n", NO_CSV),
    "empty lines": csv(TWO.replace("\n", "\n\n"), SEVEN_AND_EIGHT),
    "a comment": csv(
        lines("# made by hand", a_line()), "cannot be read: line 2: another number of values than the header has"
    ),
    "cut off": csv(TWO[:-30], "cannot be read: line 3: another number of values than the header has"),
    "cut off in its last value": csv(TWO[:-15], {"7": (None, []), "8": (None, ["updatedAt:NOT_A_TIME"])}),
    "an end of file from DOS": csv(
        f"{TWO}\x1a", "cannot be read: line 4: another number of values than the header has"
    ),
    "a NUL in a value": csv(lines(a_line(firstName="A\0da")), {"7": ("A\0da", ["firstName:NUL_BYTE"])}),
    "a NUL in an id": csv(lines(a_line(id="7\0")), {"7\ufffd": (None, ["id:NUL_BYTE"])}),
    "quotes inside": csv(lines(a_line(firstName='A"d"a')), {"7": ('A"d"a', [])}),
    "doubled quotes": csv(lines(a_line(firstName='"""Ada"" "')), {"7": ('"Ada" ', [])}),
    "single quotes": csv(lines(a_line(firstName="'Ada'")), {"7": ("'Ada'", [])}),
    "text behind a quote": csv(lines(a_line(firstName='"Ada"x')), "cannot be read: line 2: a quote is never closed"),
    "a quote behind a backslash": csv(
        lines(a_line(firstName=r'"A\"da"')), "cannot be read: line 2: a quote is never closed"
    ),
    "10 MB in a cell": csv(lines(a_line(firstName="x" * 10_000_000), a_line(id="8")), BAD_NAME_AND_EIGHT),
    "40 MB in a cell": csv(lines(a_line(firstName="x" * 40_000_000)), f"cannot be read: line 2: {TOO_LONG}"),
    "UTF-16 in JSON": jsonl(an_object().encode("utf-16"), NO_JSON),
    "a byte order mark in JSON": jsonl("\ufeff" + an_object(), NO_JSON),
    "compressed JSON": jsonl(gzip.compress(an_object().encode()), NO_JSON),
    "CSV in JSON": jsonl(TWO, NO_JSON),
    "an array": jsonl(f"[{an_object().strip()}]\n", NO_OBJECT),
    "a number for a row": jsonl("7\n", NO_OBJECT),
    "an object over many lines": jsonl(an_object().replace(", ", ",\n"), NO_JSON),
    "two objects in a line": jsonl(an_object().strip() + an_object(), NO_JSON),
    "cut-off JSON": jsonl(an_object()[:-20], NO_JSON),
    "a key twice": jsonl(an_object(more=', "email": "x"'), "cannot be read: line 1: a key appears twice"),
    "a key twice, once in capitals": jsonl(an_object(more=', "Email": "x"'), {"7": ("Bob", [])}),
    "half a surrogate pair": jsonl(an_object(r'"\ud83c"'), NO_JSON),
    "a surrogate pair": jsonl(an_object(r'"\ud83c\udfcc"'), {"7": ("🏌", [])}),
    "NaN for a name": jsonl(an_object("NaN"), {"7": ("NaN", [])}),
    "negative zero for a name": jsonl(an_object("-0.0"), {"7": ("-0.0", [])}),
    "an object without keys": jsonl(
        an_object() + "{}\n", {"7": ("Bob", []), None: (None, ["id:MISSING_KEY", "tenantId:MISSING_TENANT", *EMPTY])}
    ),
    "40 MB in a row": jsonl(an_object('"' + "x" * 40_000_000 + '"'), f"cannot be read: {TOO_LONG}"),
}
