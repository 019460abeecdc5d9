"""Placeholders: words and numbers that stand for "nothing", each list declared once per form of text."""

import re
from collections.abc import Iterable
from typing import Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from crm_pipeline.domain.contact_keys.first_names import TITLES
from crm_pipeline.tables.columns import TextForm

_WORDS: Final = (
    *(
        "null",
        "(null)",
        "<null>",
        "nil",
        "none",
        "(none)",
        "nan",
        "undefined",
        "n/a",
        "#n/a",
        "n.a.",
        "[object object]",
    ),
    *("-", "--", "---", ".", "..", "...", "?", "_"),
)
_EMPTY_UUIDS: Final = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff")
_NO_LOGINS: Final = ("0", "00", "000", "-1", "false", "true", "anonymous", "unknown", "guest", "system", "test")
_NO_NAMES: Final = (
    "null",
    "(null)",
    "<null>",
    "none",
    "(none)",
    "undefined",
    "n/a",
    "#n/a",
    "n.a.",
    "unknown",
    "anonymous",
)
_NO_MAILBOXES: Final = (
    *("noemail", "no-email", "no_email", "no.email", "nomail", "no-mail", "none", "null", "na", "undefined", "unknown"),
    *("noreply", "no-reply", "donotreply", "do-not-reply", "notprovided", "not-provided", "notavailable"),
)
"""What stands before the @ of addresses that are nobody's, at any domain."""
_NO_ADDRESSES: Final = (
    *(
        "test@test",
        "a@a",
        "aa@aa",
        "abc@abc",
        "x@x",
        "xx@xx",
        "xxx@xxx",
        "asdf@asdf",
        "email@email",
        "no@no",
        "no@email",
    ),
    *(
        "no@mail",
        "mail@mail",
        "name@email",
        "test@email",
        "test@example",
        "example@example",
        "user@example",
        "user@test",
    ),
)
"""Addresses that are nobody's, without the end of their domain."""
_SAME_DIGITS: Final = "|".join(f"{digit}{{5,}}" for digit in range(10))
_COUNTING_DIGITS: Final = "12345(6(7(8(90?)?)?)?)?|987654321?0?"
_CALLING_CODES: Final = "|".join(map(str, sorted(COUNTRY_CODE_TO_REGION_CODE)))
_NO_NUMBER_PATTERN: Final = rf"((\+|00)({_CALLING_CODES}))?0?({_SAME_DIGITS}|{_COUNTING_DIGITS})"
_PUNCTUATION_PATTERN: Final = r"[\p{P}\p{Z}]+"
_WORDS_BY_FORM: Final = {
    TextForm.ID: _WORDS + _EMPTY_UUIDS,
    TextForm.LOGIN: _WORDS + _EMPTY_UUIDS + _NO_LOGINS,
    TextForm.FIRST_NAME: _NO_NAMES,
    TextForm.LAST_NAME: _NO_NAMES,
}


def build_placeholder_condition(form: TextForm, value: str) -> str:
    """Returns a SQL condition that a cleaned value of this form, an id in canonical form, stands for "nothing"."""
    lower = f"lower({value})"
    matches = [(lower, _join_words(_WORDS_BY_FORM.get(form, _WORDS)))]
    if form in (TextForm.FIRST_NAME, TextForm.LAST_NAME):
        matches.append((value, _PUNCTUATION_PATTERN))
    if form is TextForm.FIRST_NAME:
        matches.append((f"rtrim({lower}, '.')", _join_words(sorted(TITLES))))
    if form is TextForm.EMAIL:
        matches.append((lower, rf"({_join_words(_NO_MAILBOXES)})@.*|({_join_words(_NO_ADDRESSES)})(\..*)?"))
    if form is TextForm.PHONE:
        matches.append((f"regexp_replace({value}, '[ ()./-]', '', 'g')", _NO_NUMBER_PATTERN))
    # No `in`: DuckDB makes a join of a long one, which every row pays for.
    conditions = (f"regexp_full_match({text}, '{pattern}')" for text, pattern in matches)
    return f"({' or '.join(conditions)})"


def _join_words(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, words))
