"""What makes two e-mail addresses, or two names, the same key."""

import idna
import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.domain.contact_keys.email_and_name import (
    NORMALISATION_VERSION,
    normalise_email,
    normalise_emails,
    normalise_names,
)

ADDRESSES = {
    "ada@club.example": "ada@club.example",
    "  Ada.Green+Golf@Club.EXAMPLE\t": "ada.green+golf@club.example",
    "a.d.a@club.example": "a.d.a@club.example",  # dots may be another person
    "ada@localhost": "ada@localhost",
    "ada@192.0.2.1": "ada@192.0.2.1",
    "ada@club.example.": "ada@club.example",
    "ada@straße.example": "ada@xn--strae-oqa.example",  # case folding would make it strasse.example
    "ada@STRAẞE.example": "ada@xn--strae-oqa.example",
    "ada@XN--STRAE-OQA.example": "ada@xn--strae-oqa.example",
    "ada@faß。example": "ada@xn--fa-hia.example",  # an ideographic full stop
    "\uff21da\uff20club\uff0eexample": "ada@club.example",  # full-width letters and @
    "\u00a0ada@club.example\u2003": "ada@club.example",
    "żółw@club.example": "żółw@club.example",
    "o'hara@club.example": "o'hara@club.example",
    "ada!#$%&*/=?^_`{|}~-@club.example": "ada!#$%&*/=?^_`{|}~-@club.example",
    '"ada green"@club.example': '"ada green"@club.example',
    "mailto:ada@club.example": "ada@club.example",
    "MailTo: Ada@club.example": "ada@club.example",
    "'ada@club.example'": "ada@club.example",
    '"ada@club.example"': "ada@club.example",
    "\u201cada@club.example\u201d": "ada@club.example",
    "Ada <ada@club.example>": "ada@club.example",
    '"Green, Ada" <mailto:ada@club.example>': "ada@club.example",
    "<ada@club.example>": "ada@club.example",
    "ada green@club.example": None,
    "'ada@club.example": None,  # a quote mark that closes nowhere
    "ada'@club.example": None,
    "email: ada@club.example": None,
    "ada @club.example": None,
    "a\nda@club.example": None,
    "ada\u200b@club.example": None,
    ".ada@club.example": None,
    "ada.@club.example": None,
    "a..da@club.example": None,
    "Ada <ada@club.example> <bob@club.example>": None,
    f"ada@{'a' * 63}.example": f"ada@{'a' * 63}.example",
    f"ada@{'a' * 64}.example": None,
    f"ada@{'a.' * 126}b": f"ada@{'a.' * 126}b",  # a domain of 253 characters
    f"ada@{'a.' * 126}bc": None,
    "": None,
    "   ": None,
    "ada": None,
    "@club.example": None,
    " @club.example": None,
    "ada@": None,
    "ada@.": None,
    "ada@@club.example": None,
    "ada@green@club.example": None,
    "ada@club..example": None,
    "ada@club.example..": None,
    "ada@.club.example": None,
    "ada@-club.example": None,
    "ada@club-.example": None,
    "ada@cl--ub.example": None,
    "ada@xn--.example": None,
    "ada@xn--zz.example": None,
    "ada@the_club.example": None,
    "ada@the club.example": None,
    "ada@club.example, bob@club.example": None,
}

FRAGMENTS = st.sampled_from(
    [*"aZ09.-_+@ <\t\x1c\u00a0\u00ad\u200d。ßẞſİΣ٣א界", "xn--", "--", "club", ".example", "a" * 62]
)
LIKE_AN_ADDRESS = st.tuples(*[st.lists(FRAGMENTS, max_size=6).map("".join)] * 2).map("@".join)


def normalised(*addresses: str | None) -> list[str | None]:
    return normalise_emails(pa.array(addresses, pa.string())).to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("address", "normal_form"), ADDRESSES.items())
def test_an_address_has_one_normal_form_or_none(address: str, normal_form: str | None) -> None:
    assert normalise_email(address) == normal_form
    assert normalised(address) == [normal_form]


@given(st.lists(LIKE_AN_ADDRESS | st.text() | st.emails()))
def test_columns_answer_exactly_as_single_addresses(addresses: list[str]) -> None:
    assert normalised(*addresses) == [normalise_email(address) for address in addresses]


@given(LIKE_AN_ADDRESS | st.emails())
def test_a_normal_form_is_its_own_normal_form(address: str) -> None:
    normal_form = normalise_email(address)
    assert normal_form is None or normalise_email(normal_form) == normal_form


def test_rows_keep_their_place_and_null_stays_null() -> None:
    assert normalised("b@c.example", None, "A@c.example", "no", "a@c.example") == [
        *("b@c.example", None, "a@c.example", None, "a@c.example")
    ]


def test_a_column_may_come_empty_chunked_or_sliced() -> None:
    addresses = pa.array(["skipped", "Ada@club.example"]).slice(1)
    assert normalise_emails(pa.chunked_array([addresses, addresses])).to_pylist() == ["ada@club.example"] * 2
    assert normalise_emails(pa.chunked_array([], pa.string())).to_pylist() == []


NAMES = {
    "Ada": "ada",
    "  ÅSA ": "åsa",
    "A\u030asa": "åsa",
    "\uff2ao": "jo",
    "de la  Cruz": "de la  cruz",
    "": None,
    " \u00a0": None,
}


def test_names_are_compared_without_case_outer_space_and_width() -> None:
    assert normalise_names(pa.array([*NAMES, None])).to_pylist() == [*NAMES.values(), None]


def test_the_version_changes_with_every_library_that_decides() -> None:
    assert phonenumbers.__version__ in NORMALISATION_VERSION
    assert idna.__version__ in NORMALISATION_VERSION
