"""Comparison of the records of two profiles: the match keys they share, and the link rule those keys satisfy."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import product
from typing import Final, NamedTuple

import pyarrow as pa

from crm_pipeline.domain.contact_keys.first_names import FirstNames
from crm_pipeline.domain.identity.match_keys import AUTH_USER_ID, MAX_SHARING_RECORDS, find_match_keys
from crm_pipeline.domain.identity.match_rules import RULE_CONFIDENCE
from crm_pipeline.domain.identity.match_rules import RULES as RULE_ORDER
from crm_pipeline.domain.identity.nodes import VALUE_COLUMNS, read_nodes
from crm_pipeline.explain.formatting import Row, join_words
from crm_pipeline.explain.labels import MATCH_KEY_LABELS, format_record_name
from crm_pipeline.explain.warehouse_reader import RecordKey
from crm_pipeline.vocabulary import LinkRule, Service

RULE_COLUMNS: Final = {
    LinkRule.AUTH_USER_ID: ("auth_user_id",),
    LinkRule.EMAIL_AND_PHONE: ("email", "phone_number"),
    LinkRule.DUPLICATE_REGISTRATION: ("email", "phone_number"),
    LinkRule.EMAIL: ("email",),
    LinkRule.PHONE: ("phone_number",),
}
"""The values that are equal where a rule holds; of two rules that both may hold, the first one decides."""
_SHARED_FLAGS: Final = {"email": "email_is_shared", "phone_number": "phone_is_shared"}
_RECORD_SCHEMA: Final = pa.schema(
    [(name, pa.string()) for name in ("tenant_id", "service", "record_id", *VALUE_COLUMNS)]
)
"""The columns of the records that the domain resolves."""
_NO_IDENTIFIERS: Final = pa.table({name: pa.array([], pa.string()) for name in ("tenant_id", "kind", "value")})


class ComparedProfile(NamedTuple):
    """A profile with its records.

    Attributes:
        links: rows of customer_identities by record.
        comparison_rows: rows of `people` by record, as identity resolution compares them.
    """

    profile_id: str
    links: dict[RecordKey, Row]
    comparison_rows: dict[RecordKey, Row]


class RecordComparison(NamedTuple):
    """Two records with equal match keys, the kinds of those keys, and the rule that would link them, if any."""

    own: RecordKey
    other: RecordKey
    values: list[str]
    rule: LinkRule | None

    @property
    def confidence(self) -> float:
        """The confidence of the rule, 0 without one."""
        return float(RULE_CONFIDENCE[RULE_ORDER.index(self.rule)]) if self.rule else 0.0

    def as_document(self) -> Row:
        """Returns the comparison as the document has it."""
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
    """Returns rows of customer_identities by record."""
    return {RecordKey(link["service"], link["service_record_id"]): link for link in links}


def list_paired_records(row: Row) -> list[RecordKey]:
    """Returns the two records of a review or a decision; no records for a review of a shared value."""
    pairs = ((row["service_a"], row["record_id_a"]), (row["service_b"], row["record_id_b"]))
    return [RecordKey(*pair) for pair in pairs if pair[0]]


def to_sort_key(key: RecordKey) -> tuple[int, int, str]:
    """Returns the key that sorts records by service, then by id, with numbers by their value."""
    return (
        list(Service).index(Service(key.service)),
        len(key.record_id) if key.record_id.isdigit() else 99,
        key.record_id,
    )


def find_shared_logins(records: Mapping[RecordKey, Row], links: Mapping[RecordKey, Row]) -> set[str]:
    """Returns the logins that say nothing about who somebody is.

    Args:
        records: rows of `people`: all that have one of the logins.
        links: their rows of customer_identities.
    """
    rows = [
        row
        | {"first_name": row["comparable_first_name"], "last_name": row["comparable_last_name"]}
        | {column: None for column, flag in _SHARED_FLAGS.items() if links.get(key, {}).get(flag)}
        for key, row in records.items()
    ]
    tenant_ids = sorted({row["tenant_id"] for row in rows})
    tenants = pa.table({"tenant_id": pa.array(tenant_ids, pa.string()), "min_confidence": [1.0] * len(tenant_ids)})
    nodes, values = read_nodes(pa.Table.from_pylist(rows, _RECORD_SCHEMA), tenants)
    keys = find_match_keys(nodes, values, _NO_IDENTIFIERS)
    return set(keys[AUTH_USER_ID].sharing.value.to_pylist())


def find_shared_kinds(sharing: Sequence[Row], shared_logins: Collection[str]) -> dict[RecordKey, set[str]]:
    """Returns the kinds of match key each record shares with others, without values that too many records have."""
    record_counts = Counter((row["kind"], row["value"], row["service"]) for row in sharing)
    overused_values = {
        (kind, value) for (kind, value, _), count in record_counts.items() if count > MAX_SHARING_RECORDS
    } | {("auth_user_id", login) for login in shared_logins}
    kinds: dict[RecordKey, set[str]] = {}
    for row in sharing:
        if (row["kind"], row["value"]) not in overused_values:
            kinds.setdefault(RecordKey(row["service"], row["record_id"]), set()).add(row["kind"])
    return kinds


def read_first_names(people: Iterable[Row]) -> FirstNames:
    """Returns the first names of rows of `people`; one that is missing neither agrees nor disagrees."""
    return FirstNames(pa.array([row["comparable_first_name"] or "" for row in people], pa.string()))


def compare_records(
    own: ComparedProfile, other: ComparedProfile, shared_kinds: Mapping[RecordKey, set[str]]
) -> list[RecordComparison]:
    """Returns every pair of their records with an equal match key, by confidence and then by record."""
    pairs = (
        _compare_pair(own, other, one, two, shared_kinds)
        for one, two in product(own.comparison_rows, other.comparison_rows)
    )
    return sorted(
        (pair for pair in pairs if pair),
        key=lambda pair: (-pair.confidence, to_sort_key(pair.own), to_sort_key(pair.other)),
    )


def _compare_pair(
    own: ComparedProfile,
    other: ComparedProfile,
    one: RecordKey,
    two: RecordKey,
    shared_kinds: Mapping[RecordKey, set[str]],
) -> RecordComparison | None:
    own_row, other_row = own.comparison_rows[one], other.comparison_rows[two]
    values = [
        kind
        for kind in MATCH_KEY_LABELS
        if kind in shared_kinds.get(one, ())
        and own_row[kind] == other_row[kind] is not None
        and not own.links[one].get(_SHARED_FLAGS.get(kind, ""), False)
    ]
    if not values:
        return None
    rule = next(rule for rule, columns in RULE_COLUMNS.items() if set(columns) <= set(values))
    names = read_first_names([own_row, other_row])
    are_two_people = rule is not LinkRule.AUTH_USER_ID or names.do_disagree(0, 1, strictly=True)
    return RecordComparison(one, two, values, None if one.service == two.service and are_two_people else rule)
