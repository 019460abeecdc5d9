"""Cleaning of texts and the canonical form of ids, as SQL over one value, for rows, decisions and questions alike."""

from typing import Final

_LINE_ENDS: Final = r"[\t\n\x0B\f\r\x{85}\x{2028}\x{2029}]+"
_INVISIBLE: Final = r"[\p{Cc}\p{Cf}]"
_INVISIBLE_IN_PARAGRAPHS: Final = r"[\x00-\x08\x0B\f\x0E-\x1F\x7F-\x{9F}\p{Cf}]"
# White space of Unicode, and five letters and symbols that print as nothing.
_BLANK: Final = r"[\p{Z}\t\n\x0B\f\r\x{85}\x{115F}\x{1160}\x{2800}\x{3164}\x{FFA0}]"
# Printable ASCII without outer blanks is clean already: nearly every value, so that the rest may cost more.
_UNCLEAN: Final = r"[^ -~]|^ | $"

WHOLE_NUMBER_PATTERN: Final = r"[0-9]+\.0+"
"""A whole number as spreadsheets and data frames write it into a column of numbers with gaps."""
ROUNDED_NUMBER_PATTERN: Final = r"-?[0-9]+([.,][0-9]+)?[eE]\+[0-9]+"
"""A number in scientific notation as spreadsheets write it; its last digits are lost. `7e12` is an id."""
_UUID_PATTERN: Final = r"(urn:uuid:)?\{?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\}?"
# Lower-case ids without a full stop, a brace or the length of a UUID are canonical already.
_MAY_NOT_BE_CANONICAL: Final = r"[A-Z.{]|^[0-9a-f-]{32,35}$|^urn:uuid:"
# Most ids: clean, canonical and no placeholder, found with one pattern. The length is that of a UUID without hyphens.
_PLAIN_ID: Final = r"([a-z_][a-z_-]*)?[1-9][a-z0-9_-]*"
_BARE_UUID_LENGTH: Final = 32
_MAX_EXACT_NUMBERS: Final = {"DOUBLE": 2**53, "FLOAT": 2**24}
"""Per type of a column the least number that cannot be told from its neighbours."""
_FULL_WIDTH: Final = "".join(map(chr, range(0xFF01, 0xFF5F)))
_HALF_WIDTH: Final = "".join(chr(ord(sign) - 0xFEE0) for sign in _FULL_WIDTH)


def build_text_sql(raw: str, raw_type: str) -> str:
    """Returns SQL for a delivered value, of DuckDB type `raw_type`, as text.

    A whole number in a column of doubles or decimals becomes its integer. A number that cannot be told from its
    neighbours keeps scientific notation.
    """
    text = f"cast({raw} as varchar)"
    if raw_type.startswith("DECIMAL"):
        return rf"regexp_replace({text}, '\.0+$', '')"
    if raw_type not in _MAX_EXACT_NUMBERS:
        return text
    rounded = f"printf('%.15E', cast({raw} as double))"
    return f"""case when not isfinite({raw}) then {text}
        when abs({raw}) >= {_MAX_EXACT_NUMBERS[raw_type]} then {rounded}
        when {raw} = trunc({raw}) then cast(try_cast({raw} as bigint) as varchar) else {text} end"""


def build_blank_condition(text: str) -> str:
    """Returns a SQL condition that a delivered text is empty or has nothing but white space."""
    # Comparing the first letter costs next to nothing; matching every value would cost more than reading the file.
    return f"({text} < '!' or {text} > '~') and regexp_full_match({text}, '{_BLANK}*')"


def build_plain_id_condition(delivered: str) -> str:
    """Returns a SQL condition under which an id is canonical as delivered; it is false for some that are."""
    return f"length({delivered}) <> {_BARE_UUID_LENGTH} and regexp_full_match({delivered}, '{_PLAIN_ID}')"


def build_line_sql(text: str) -> str:
    """Returns SQL for a text on one line, null where it is blank.

    The text is in NFC, without control and format characters and without outer blanks. Line ends and tabs are blanks.
    """
    return _build_clean_sql(text, f"regexp_replace({text}, '{_LINE_ENDS}', ' ', 'g')", _INVISIBLE)


def build_paragraphs_sql(text: str) -> str:
    """Returns SQL for a text like that of `build_line_sql` that keeps its line ends and tabs."""
    return _build_clean_sql(text, text, _INVISIBLE_IN_PARAGRAPHS)


def build_half_width_sql(text: str) -> str:
    """Returns SQL for a text with ASCII in place of full-width letters, digits and signs (of East Asian keyboards)."""
    half_width = _HALF_WIDTH.replace("'", "''")
    return f"""case when strlen({text}) = length({text}) then {text}
        else translate({text}, '{_FULL_WIDTH}', '{half_width}') end"""


def build_canonical_id_sql(text: str) -> str:
    """Returns SQL for the canonical form of a cleaned id: `17` for `17.0`, a UUID in lower case and with hyphens."""
    return f"""case when not regexp_matches({text}, '{_MAY_NOT_BE_CANONICAL}') then {text}
        when regexp_full_match({text}, '{WHOLE_NUMBER_PATTERN}') then split_part({text}, '.', 1)
        when regexp_full_match({text}, '{_UUID_PATTERN}', 'i')
        then cast(cast(regexp_replace({text}, '^urn:uuid:', '', 'i') as uuid) as varchar)
        else {text} end"""


def build_contact_sql(text: str) -> str:
    """Returns SQL for a cleaned phone number or email address without the decimals of a number column."""
    return f"""case when regexp_full_match({text}, '[+]?{WHOLE_NUMBER_PATTERN}') then split_part({text}, '.', 1)
        else {text} end"""


def build_whole_number_id_sql(text: str) -> str:
    """Returns SQL for the canonical form of a cleaned id of a table whose ids are whole numbers."""
    number = f"try_cast(split_part({text}, '.', 1) as bigint)"
    return f"case when regexp_full_match({text}, '[0-9]+(\\.0+)?') then cast({number} as varchar) else {text} end"


def build_id_number_sql(text: str) -> str:
    """Returns SQL for the number that a text id stands for, without leading zeros; null where it is none."""
    return f"case when regexp_full_match({text}, '[0-9]+') then ltrim({text}, '0') end"


def _build_clean_sql(text: str, with_line_ends: str, invisible: str) -> str:
    # Invisible characters go first: without them, others may compose.
    visible = f"nfc_normalize(regexp_replace({with_line_ends}, '{invisible}', '', 'g'))"
    return f"""case when regexp_matches({text}, '{_UNCLEAN}')
        then nullif(regexp_replace({visible}, '^{_BLANK}+|{_BLANK}+$', '', 'g'), '') else nullif({text}, '') end"""
