"""Values as people and exports spell them: words for "nothing", invisible characters, wrappers, lost digits."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from crm_pipeline.sample.chance import Rng

Spelling = Callable[[str, Rng], str]
_Choice = TypeVar("_Choice")

PLACEHOLDERS: Final = {
    "authUserId": (
        *("null", "NULL", "undefined", "None", "nan", "0", "-", "N/A", "false", "anonymous", "[object Object]"),
        "00000000-0000-0000-0000-000000000000",
    ),
    "email": ("none@none.com", "noemail@example.com", "no-reply@example.org", "test@test.com"),
    "phoneNumber": ("0000000000", "1111111111", "0123456789"),
    "firstName": ("-", "N/A", ".", "Mr", "Mrs", "Unknown"),
    "lastName": ("-", "N/A", "."),
}
"""What stands in a column where there is no value."""
_INVISIBLE: Final = ("\u200b", "\ufeff", "\u2060", "\x01", "\t", "\n", "\u00a0", "  ")
_MAX_EXTENSION: Final = 99


def pick_one(choices: Sequence[_Choice], rng: Rng) -> _Choice:
    """Returns one of the choices."""
    return choices[int(rng.integers(len(choices)))]


def format_time(second: int) -> str:
    """Returns a second since 1970 as the files have times."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"


def add_invisible(text: str, rng: Rng) -> str:
    """Returns the text with blanks or characters that cannot be seen before or after it."""
    mark = pick_one(_INVISIBLE, rng)
    return pick_one((f"{mark}{text}", f"{text}{mark}"), rng)


def add_zeros(text: str, rng: Rng) -> str:  # noqa: ARG001  a spelling
    """Returns a number as a column of numbers with gaps is exported; another text stays."""
    return f"{text}.0" if re.fullmatch(r"\+?\d+", text) else text


def add_extension(text: str, rng: Rng) -> str:
    """Returns a phone number with an extension."""
    return f"{text}{pick_one((' x', ' ext. ', ' ext '), rng)}{rng.integers(1, _MAX_EXTENSION)}"


def spell_uuid(text: str, rng: Rng) -> str:
    """Returns a UUID in capitals, in braces, without hyphens, or as it is."""
    return pick_one((text, text.upper(), f"{{{text}}}", text.replace("-", "")), rng)


def spell_number(text: str, rng: Rng) -> str:
    """Returns digits in a form that is the same number."""
    return pick_one((text, f"{text}.0", f"0{text}", f" {text}", f"{text}\t"), rng)


def _round_number(text: str, rng: Rng) -> str:  # noqa: ARG001  a spelling
    digits = re.sub(r"\D", "", text)
    return f"{int(digits):.5E}" if digits else text


def _wrap_email(text: str, rng: Rng) -> str:
    return pick_one((f"mailto:{text}", f"'{text}'", f"Golfer <{text}>", f"{text[:1]}\u200b{text[1:]}"), rng)


def _break_email(text: str, rng: Rng) -> str:
    return pick_one((f"email: {text}", text.replace("@", " @"), f".{text}"), rng)


def _add_title(text: str, rng: Rng) -> str:
    return f"{pick_one(('Dr', 'Mr.', 'Prof'), rng)} {text}"


def _add_initial(text: str, rng: Rng) -> str:
    return f"{text} {pick_one('ABCEJM', rng)}"


def _remove_marks(text: str, rng: Rng) -> str:
    """Returns a name without accents, or with another hyphen or apostrophe."""
    plain = "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))
    return pick_one((plain, unicodedata.normalize("NFD", text), text.replace("-", " ").replace("'", "\u2019")), rng)


SPELLINGS: Final[dict[str, tuple[Spelling, ...]]] = {
    "authUserId": (add_invisible,),
    "email": (add_invisible, _wrap_email, _wrap_email, _break_email),
    "phoneNumber": (add_invisible, add_zeros, add_extension, _round_number),
    "firstName": (add_invisible, _add_title, _add_initial, _remove_marks),
    "lastName": (add_invisible, _remove_marks),
}
"""How a value of a column of people may be spelled."""
