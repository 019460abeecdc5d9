"""Contact details as identity compares them: e-mail addresses and names in their normal form.

Belongs here: one normal form per key, and the version of the functions that make them. Does not belong here: phone
numbers (`phones.py`), and what an equal key is worth as evidence (`identities`).
"""

import unicodedata
from typing import Final

import idna
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

NORMALISATION_VERSION: Final = (
    f"1 phonenumbers-{phonenumbers.__version__} idna-{idna.__version__} unicode-{unicodedata.unidata_version}"
)
"""The version of the normal forms here and in `phones.py`, to store beside them: two versions do not compare."""

_MAX_DOMAIN_LENGTH: Final = 253
_DOMAIN_LABEL: Final = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# No spaces and no control characters, so that trimming and normalising cannot mean more than they do in ASCII.
_PLAIN_ADDRESS: Final = rf"^[!-?\[-~]+@(?:{_DOMAIN_LABEL}\.)*{_DOMAIN_LABEL}$"
# Hyphens in the third and fourth place announce an encoded label (xn--), which idna decodes and judges.
_ENCODED_LABEL: Final = r"[@.]..--"


def normalise_emails(values: pa.StringArray | pa.ChunkedArray) -> pa.StringArray:
    """The normal form of each address, null where it is none: `normalise_email` for columns."""
    encoded = to_string_array(values).dictionary_encode()
    spelled = encoded.dictionary
    lowered = pc.ascii_lower(pc.ascii_trim_whitespace(spelled))
    # A pattern for a whole domain of at most this length would be huge: a whole address of it is a safe stand-in.
    is_short = pc.less_equal(pc.binary_length(lowered), _MAX_DOMAIN_LENGTH)
    is_address = pc.and_(is_short, pc.match_substring_regex(lowered, _PLAIN_ADDRESS))
    is_plain = pc.and_not(is_address, pc.match_substring_regex(lowered, _ENCODED_LABEL))
    rest = pa.array(map(normalise_email, spelled.filter(pc.invert(is_plain)).to_pylist()), pa.string())
    return pc.replace_with_mask(lowered, pc.invert(is_plain), rest).take(encoded.indices)


def normalise_email(value: str) -> str | None:
    """The normal form of one address, None where it is none.

    NFKC, trimmed, lower-cased (never case-folded, which would move `straße.de` to another domain), with the domain
    encoded by IDNA 2008 after the mapping of UTS 46. Dots and plus-tags stay: behind them can be other people.

    An address has exactly one @, something before it, and a domain of labels of 1 to 63 characters, 253 in all. One
    label is enough (`user@localhost`) and reserved names are domains too (`.example`). One dot after the last label
    only says that the name is complete, so it goes.
    """
    local, at, domain = _normalise_text(value).partition("@")
    if not (local and at) or "@" in domain:
        return None
    try:
        encoded = idna.encode(domain, uts46=True).decode("ascii").removesuffix(".")
    except idna.IDNAError:
        return None
    return f"{local}@{encoded}"


def normalise_names(values: pa.StringArray | pa.ChunkedArray) -> pa.StringArray:
    """Each name in NFKC, trimmed and lower-cased; null where nothing is left."""
    encoded = to_string_array(values).dictionary_encode()
    names = [_normalise_text(name) or None for name in encoded.dictionary.to_pylist()]
    return pa.array(names, pa.string()).take(encoded.indices)


def to_string_array(values: pa.StringArray | pa.ChunkedArray) -> pa.StringArray:
    """A column of text as a single array, whatever its chunks and encoding."""
    return (values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values).cast(pa.string())


def _normalise_text(value: str) -> str:
    return unicodedata.normalize("NFKC", value).strip().lower()
