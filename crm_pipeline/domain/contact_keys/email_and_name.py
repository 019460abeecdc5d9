"""The normal forms of email addresses and names, and the version of all normal forms."""

import re
import unicodedata
from typing import Final

import idna
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

NORMALISATION_VERSION: Final = (
    f"2 phonenumbers-{phonenumbers.__version__} idna-{idna.__version__} unicode-{unicodedata.unidata_version}"
)
"""The version of the normal forms here and in `phone.py`, stored with them: forms of two versions do not compare."""

_MAX_DOMAIN_LENGTH: Final = 253
_DOMAIN_LABEL: Final = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# RFC 5322's atext less the apostrophe, which may be a quote around the address.
_ATOM: Final = r"[a-z0-9!#$%&*+/=?^_`{|}~-]+"
# ASCII without blanks: for these, trimming and normalising mean what they mean in ASCII.
_PLAIN_ADDRESS: Final = rf"^{_ATOM}(?:\.{_ATOM})*@(?:{_DOMAIN_LABEL}\.)*{_DOMAIN_LABEL}$"
# Hyphens in the third and fourth place mark an encoded label (xn--), which idna decodes and validates.
_ENCODED_LABEL: Final = r"[@.]..--"
_WRAPPER_PATTERN: Final = re.compile(
    r"[^<>]*<\s*([^<>]+?)\s*>|mailto:\s*(.+)|\'(.+)\'|\"([^\"]+)\"|\u2018(.+)\u2019|\u201c(.+)\u201d", re.DOTALL
)
"""What an address is entered in: a name before angle brackets, a link, quotes around all of it."""
_QUOTED_LOCAL_PATTERN: Final = re.compile(r'"(?:[^"\\]|\\.)+"')
_LOCAL_PATTERN: Final = re.compile(r"(?!')[^.\s\"(),:;<>@\[\\\]]+(?:\.[^.\s\"(),:;<>@\[\\\]]+)*(?<!')")
"""The dot-atom of RFC 5322 and RFC 6531, without a quote mark at either end."""


def normalise_emails(values: pa.StringArray | pa.ChunkedArray) -> pa.StringArray:
    """Returns the normal form of each address, null where it is no address: `normalise_email` for columns."""
    encoded = to_string_array(values).dictionary_encode()
    spelled = encoded.dictionary
    lowered = pc.ascii_lower(pc.ascii_trim_whitespace(spelled))
    # A pattern that limits the length of the domain would be huge; limiting the whole address is safe.
    is_short = pc.less_equal(pc.binary_length(lowered), _MAX_DOMAIN_LENGTH)
    is_address = pc.and_(is_short, pc.match_substring_regex(lowered, _PLAIN_ADDRESS))
    is_plain = pc.and_not(is_address, pc.match_substring_regex(lowered, _ENCODED_LABEL))
    rest = pa.array(map(normalise_email, spelled.filter(pc.invert(is_plain)).to_pylist()), pa.string())
    return pc.replace_with_mask(lowered, pc.invert(is_plain), rest).take(encoded.indices)


def normalise_email(value: str) -> str | None:
    """Returns the normal form of one address, None where it is no address.

    The form is NFKC, trimmed and lower-cased (never case-folded, which would turn `straße.de` into another domain).
    The domain is encoded by IDNA 2008 after the mapping of UTS 46. Dots and plus-tags stay: they may mean other people.

    An address has exactly one @, something before it, and a domain of labels of 1 to 63 characters, 253 in all. One
    label is enough (`user@localhost`) and reserved names are domains too (`.example`). One dot after the last label
    only says that the name is complete, so it is removed. A name around it (`Ann <ann@...>`), `mailto:` and quotes
    around all of it are removed too.
    """
    local, at, domain = _unwrap_address(_normalise_text(value)).partition("@")
    if not (at and _is_local_part(local)) or "@" in domain:
        return None
    try:
        encoded = idna.encode(domain, uts46=True).decode("ascii").removesuffix(".")
    except idna.IDNAError:
        return None
    return f"{local}@{encoded}"


def _unwrap_address(text: str) -> str:
    while wrapper := _WRAPPER_PATTERN.fullmatch(text):
        text = next(filter(None, wrapper.groups()))
    return text


def _is_local_part(text: str) -> bool:
    """Whether the text may stand before the @: an unquoted one holds no blanks, separators or invisible characters."""
    if _QUOTED_LOCAL_PATTERN.fullmatch(text):
        return True
    return bool(_LOCAL_PATTERN.fullmatch(text)) and not any(unicodedata.category(c)[0] in "CZ" for c in text)


def normalise_names(values: pa.StringArray | pa.ChunkedArray) -> pa.StringArray:
    """Returns each name in NFKC, trimmed and lower-cased; null where nothing is left."""
    encoded = to_string_array(values).dictionary_encode()
    names = [_normalise_text(name) or None for name in encoded.dictionary.to_pylist()]
    return pa.array(names, pa.string()).take(encoded.indices)


def to_string_array(values: pa.StringArray | pa.ChunkedArray) -> pa.StringArray:
    """Returns a column of text as one array of strings, whatever its chunks and encoding."""
    return (values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values).cast(pa.string())


def _normalise_text(value: str) -> str:
    return unicodedata.normalize("NFKC", value).strip().lower()
