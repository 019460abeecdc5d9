"""Placeholders: words and numbers that stand for "nothing", each list declared once per form of text.

Signs around a word, the case of letters and full-width letters make no difference. Of a value that says more, the part
that names somebody counts: an address without the name beside it, a login without its provider, the digits of a phone
number without a label or an extension.
"""

import re
from collections.abc import Iterable
from typing import Final

from duckdb import DuckDBPyConnection
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from crm_pipeline.domain.contact_keys.first_names import TITLES
from crm_pipeline.tables.columns import TextForm

_NO_NAMES: Final = (
    *("null", "none", "undefined", "unknown", "anonymous", "n/a", "n.a", "tba", "tbc", "tbd"),
    *("object object", "no name", "not known", "not provided"),
)
_WORDS: Final = (
    *("null", "none", "nil", "nan", "undefined", "n/a", "n.a", "n-a", "n a", "n_a", "na", "tba", "tbc", "tbd"),
    *("object object", "not set", "not provided", "not available"),
)
_NO_LOGINS: Final = (
    *("true", "false", "anonymous", "unknown", "nobody", "guest", "system", "test", "default", "user", "empty"),
)
_ENTERED_SIGNS: Final = (
    r"\\n",
    r"#(ref|value|name|null|num|n/a|div/0)[!?]?",
    r"[<(\[{]+(null|nil|nan|na|blank|empty|missing|unset|no value)[>)\]}]+",
)
"""What databases, spreadsheets and programs write for "nothing"; without the signs it may be a name."""
# Ranges, since a class of Unicode takes a millisecond to compile: ASCII, Latin-1, general and CJK punctuation, minus.
_SIGN: Final = r"[ -/:-@\[-`{-~\x{A0}-\x{BF}\x{2000}-\x{206F}\x{2212}\x{3000}-\x{303F}]"
_ONLY_SIGNS: Final = f"{_SIGN}+"
_DASH: Final = r"[-\x{2010}-\x{2015}\x{2212}]"
_NO_ID_SIGNS: Final = rf"({_DASH}|[.?_])+"
"""Of an id, other signs alone may be one."""

_EMPTY_UUIDS: Final = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff")
_NO_LOGIN_NUMBER: Final = rf"{_DASH}?0+|{_DASH}1"

_NO_MAILBOXES: Final = (
    *("no email", "no mail", "no address", "no reply", "do not reply", "not provided", "not available", "not known"),
    *("none", "null", "na", "undefined", "unknown", "nobody", "invalid"),
)
"""What stands before the @ of addresses that are nobody's, at any domain, with or without a number after it."""
_NO_ADDRESSES: Final = (
    *("test@test", "a@a", "a@b", "aa@aa", "abc@abc", "x@x", "x@y", "xx@xx", "xxx@xxx", "asdf@asdf", "email@email"),
    *("no@no", "not@provided", "no@email", "no@mail", "mail@mail", "name@email", "test@email", "test@example"),
    *("example@example", "user@example", "user@test"),
)
"""Addresses that are nobody's, without the end of their domain."""
_PLAIN_ADDRESS: Final = "[a-zA-Z0-9@._+-]*"
_ADDRESS_CHARACTER: Final = r'[^\s@<>()\[\]"`:;,\x{27}\x{2018}\x{2019}\x{201C}\x{201D}]'

_SAME_DIGITS: Final = "|".join(f"{digit}{{5,}}" for digit in range(10))
_COUNTING_DIGITS: Final = "12345(6(7(8(90?)?)?)?)?|987654321?0?"
_SAME_LOCAL_DIGITS: Final = "|".join(f"{digit}{{8,}}" for digit in range(10))
_CALLING_CODES: Final = "|".join(map(str, sorted(COUNTRY_CODE_TO_REGION_CODE)))
# A plain number of a network or a region may end in seven equal digits; in more it is made up.
_NO_NUMBER: Final = (
    rf"((\+|00)({_CALLING_CODES}))?0?"
    rf"({_SAME_DIGITS}|{_COUNTING_DIGITS}|[0-9]{{1,3}}({_SAME_LOCAL_DIGITS}|1234567890?))"
)
_PLAIN_NUMBER: Final = r"[0-9 ()./+-]*"
_EXTENSION: Final = r"[ ,;/]*(;ext=|extn?\.?|x|#)[ .:]*[0-9]{1,9}$"


def define_placeholders(con: DuckDBPyConnection) -> None:
    """Creates the variables with the patterns of each form: in the text of a query they would take long to parse."""
    for form, pattern in _PATTERNS_BY_FORM.items():
        con.execute(f"set variable {_name_variable(form)} = $pattern", {"pattern": pattern})


def build_placeholder_condition(form: TextForm, value: str) -> str:
    """Returns a SQL condition that a cleaned value of this form, an id in canonical form, stands for "nothing".

    Reads: macro to_half_width(value), and the variables of `define_placeholders`.
    """
    # No `in`: DuckDB makes a join of a long one, which every row pays for.
    return f"regexp_full_match(lower({build_placeholder_sql(form, value)}), getvariable('{_name_variable(form)}'))"


def build_placeholder_sql(form: TextForm, value: str) -> str:
    """Returns SQL for the part of a cleaned value that may be a placeholder.

    Reads: macro to_half_width(value).
    """
    ascii_value = f"to_half_width({value})"
    match form:
        case TextForm.LOGIN:
            return f"regexp_extract({ascii_value}, '[^|:]*$')"
        case TextForm.EMAIL:
            address = f"nullif(regexp_extract({ascii_value}, '{_ADDRESS_CHARACTER}+@{_ADDRESS_CHARACTER}+'), '')"
            return f"""case when regexp_full_match({value}, '{_PLAIN_ADDRESS}') then {value}
                else coalesce({address}, {ascii_value}) end"""
        case TextForm.PHONE:
            number = f"regexp_replace({ascii_value}, '{_EXTENSION}', '', 'i')"
            digits = f"nullif(regexp_replace({number}, '[^0-9+]', '', 'g'), '')"
            return f"""case when regexp_full_match({value}, '{_PLAIN_NUMBER}')
                then regexp_replace({value}, '[ ()./-]', '', 'g') else coalesce({digits}, {ascii_value}) end"""
        case _:
            return ascii_value


def _build_pattern(words: Iterable[str], *others: str, signs: str = _ONLY_SIGNS) -> str:
    """Returns a pattern of these words, with any signs around them, of `signs` alone, and of the other patterns."""
    joined = "|".join(map(re.escape, words))
    return "|".join((f"{_SIGN}*({joined}){_SIGN}*", signs, *_ENTERED_SIGNS, *others))


_MAILBOXES: Final = "|".join(word.replace(" ", "[._-]?") for word in _NO_MAILBOXES)
_ADDRESSES: Final = "|".join(_NO_ADDRESSES)
_PATTERNS_BY_FORM: Final = dict.fromkeys(TextForm, _build_pattern(_WORDS)) | {
    TextForm.ID: _build_pattern((*_WORDS, *_EMPTY_UUIDS), signs=_NO_ID_SIGNS),
    TextForm.LOGIN: _build_pattern((*_WORDS, *_NO_LOGINS, *_EMPTY_UUIDS), _NO_LOGIN_NUMBER, ""),
    TextForm.FIRST_NAME: _build_pattern((*_NO_NAMES, *sorted(TITLES))),
    TextForm.LAST_NAME: _build_pattern(_NO_NAMES),
    TextForm.EMAIL: _build_pattern(_WORDS, rf"({_MAILBOXES})[0-9]*(\+.*)?@.*|({_ADDRESSES})(\..*)?"),
    TextForm.PHONE: _build_pattern(_WORDS, _NO_NUMBER, ""),
}


def _name_variable(form: TextForm) -> str:
    return f"placeholder_{form.name.lower()}"
