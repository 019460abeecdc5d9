"""What two people have in common: the values their records share that are evidence, and the rule those make.

Why they are two people all the same belongs to `refused`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Final, NamedTuple

from crm_pipeline.domain.identity.match_keys import MAX_SHARING_RECORDS
from crm_pipeline.domain.identity.match_rules import RULE_CONFIDENCE
from crm_pipeline.domain.identity.match_rules import RULES as RULE_ORDER
from crm_pipeline.explain.formatting import Row, join_words
from crm_pipeline.explain.labels import MATCH_KEY_LABELS, format_record_name
from crm_pipeline.explain.warehouse_reader import RecordKey
from crm_pipeline.vocabulary import LinkRule, Service

_RULES_BY_MATCH_KEYS: Final = {
    frozenset({"email", "phone_number"}): LinkRule.EMAIL_AND_PHONE,
    frozenset({"email"}): LinkRule.EMAIL,
    frozenset({"phone_number"}): LinkRule.PHONE,
}
_SHARED_FLAGS: Final = {"email": "email_is_shared", "phone_number": "phone_is_shared"}


class ComparedProfile(NamedTuple):
    """A profile: its records as published, and as identity compares them."""

    profile_id: str
    links: dict[RecordKey, Row]
    people: dict[RecordKey, Row]


class RecordComparison(NamedTuple):
    """Two records that carry the same values: which, and the rule that would make them one person, if any."""

    own: RecordKey
    other: RecordKey
    values: list[str]
    rule: LinkRule | None

    @property
    def confidence(self) -> float:
        """What the rule is worth, 0 where there is none."""
        return float(RULE_CONFIDENCE[RULE_ORDER.index(self.rule)]) if self.rule else 0.0

    def as_document(self) -> Row:
        """As the document has it."""
        same = join_words(MATCH_KEY_LABELS[value] for value in self.values)
        return {
            "own": self.own._asdict(),
            "other": self.other._asdict(),
            "values": self.values,
            "rule": self.rule,
            "confidence": self.confidence if self.rule else None,
            "words": f"{format_record_name(self.own)} and {format_record_name(self.other)} have the same {same}",
        }


def index_links_by_record(links: Iterable[Row]) -> dict[RecordKey, Row]:
    """Rows of customer_identities by record."""
    return {RecordKey(link["service"], link["service_record_id"]): link for link in links}


def list_paired_records(row: Row) -> list[RecordKey]:
    """The two records of a review or a decision; none of a review about a shared value."""
    pairs = ((row["service_a"], row["record_id_a"]), (row["service_b"], row["record_id_b"]))
    return [RecordKey(*pair) for pair in pairs if pair[0]]


def to_sort_key(key: RecordKey) -> tuple[int, int, str]:
    """By what records are listed: service, then id, numbers by their value."""
    return (
        list(Service).index(Service(key.service)),
        len(key.record_id) if key.record_id.isdigit() else 99,
        key.record_id,
    )


def find_shared_kinds(sharing: Sequence[Row]) -> dict[RecordKey, set[str]]:
    """Per record the kinds of value it has in common with others, leaving aside values that too many have."""
    crowds = Counter((row["kind"], row["value"], row["service"]) for row in sharing)
    crowded = {(kind, value) for (kind, value, _), size in crowds.items() if size > MAX_SHARING_RECORDS}
    found: dict[RecordKey, set[str]] = {}
    for row in sharing:
        if (row["kind"], row["value"]) not in crowded:
            found.setdefault(RecordKey(row["service"], row["record_id"]), set()).add(row["kind"])
    return found


def compare_records(
    own: ComparedProfile, other: ComparedProfile, carrying: Mapping[RecordKey, set[str]]
) -> list[RecordComparison]:
    """Every pair of their records that has a value in common."""
    pairs = (_compare_pair(own, other, one, two, carrying) for one, two in product(own.people, other.people))
    return sorted(
        (pair for pair in pairs if pair),
        key=lambda pair: (-pair.confidence, to_sort_key(pair.own), to_sort_key(pair.other)),
    )


def _compare_pair(
    own: ComparedProfile, other: ComparedProfile, one: RecordKey, two: RecordKey, carrying: Mapping[RecordKey, set[str]]
) -> RecordComparison | None:
    mine, theirs = own.people[one], other.people[two]
    values = [
        kind
        for kind in MATCH_KEY_LABELS
        if kind in carrying.get(one, ())
        and mine[kind] == theirs[kind] is not None
        and not own.links[one].get(_SHARED_FLAGS.get(kind, ""), False)
    ]
    if not values:
        return None
    rule = LinkRule.AUTH_USER_ID if "auth_user_id" in values else _RULES_BY_MATCH_KEYS[frozenset(values)]
    names_no_one = one.service == two.service and rule is not LinkRule.AUTH_USER_ID
    return RecordComparison(one, two, values, None if names_no_one else rule)
