"""A made-up chain of 200 clubs for the benchmarks of identity: its records, an hour later, and as the inputs of a run.

`identities` and `identity_stages` resolve and time them.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.identity.resolve import ResolutionInputs
from crm_pipeline.tables.outputs.identity import customer_identities, identity_reviews, profile_ids
from crm_pipeline.tables.projections import to_arrow_schema

SEED: Final = 20261122
_TENANTS: Final = 200
_RECORDS_PER_PERSON: Final = 1.96
_HOUSEHOLDS: Final = 0.05
_OVERRIDE_COLUMNS: Final = ("tenant_id", "service_a", "record_id_a", "service_b", "record_id_b", "decision")
_INEFFECTIVE_COLUMNS: Final = (*_OVERRIDE_COLUMNS[:-1], "table_name", "column_name", "reason", "kind", "pattern")
# Of the people: who has a record in SCL, TEETIME, MESSAGING and CRM, and the letters its ids begin with.
_SERVICES: Final = {"SCL": (0.45, ""), "TEETIME": (0.7, "p-"), "MESSAGING": (0.6, "c-"), "CRM": (0.2, "lead-")}
_FIRST_HOUR: Final = datetime(2026, 11, 22, tzinfo=UTC)


def nothing_known() -> list[pa.Table]:
    """What is known before the first run: no identities, ids or reviews."""
    return [to_arrow_schema(table).empty_table() for table in (customer_identities, profile_ids, identity_reviews)]


def inputs(records: pa.Table, previous: list[pa.Table], hour: int = 0) -> ResolutionInputs:
    """The records as a run after some hours is given them, with the identities, ids and reviews of the run before."""
    tenants = pa.table({"tenant_id": _names("club-", np.arange(_TENANTS)), "min_confidence": np.full(_TENANTS, 0.85)})
    suppressed = pa.table({name: pa.array([], pa.string()) for name in ("tenant_id", "kind", "value")})
    overrides = pa.table({name: pa.array([], pa.string()) for name in _OVERRIDE_COLUMNS})
    ineffective = pa.table({name: pa.array([], pa.string()) for name in _INEFFECTIVE_COLUMNS})
    (links, ids, reviews), as_of = previous, _FIRST_HOUR + timedelta(hours=hour)
    return ResolutionInputs(
        records, tenants, suppressed, overrides, ineffective, links, ids, reviews, as_of, "benchmark"
    )


def made_up_records(count: int, chance: np.random.Generator) -> pa.Table:
    """About `count` records of people in four services; one person in twenty shares an email or phone with the next."""
    people = int(count / _RECORDS_PER_PERSON)
    tenant = np.sort(chance.integers(0, _TENANTS, people))
    email, phone = np.arange(people), np.arange(people)
    for key in (email, phone):
        sharing = np.flatnonzero(chance.random(people - 1) < _HOUSEHOLDS / 2)
        key[sharing + 1] = key[sharing]
    tables = [_records_of(service, tenant, (email, phone), chance) for service in _SERVICES]
    records = pa.concat_tables(tables)
    return records.take(pa.array(chance.permutation(len(records)))).combine_chunks()


def _records_of(
    service: str,
    tenant: npt.NDArray[np.int64],
    keys: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    chance: np.random.Generator,
) -> pa.Table:
    share, prefix = _SERVICES[service]
    person = np.flatnonzero(chance.random(len(tenant)) < share)
    twice = person[chance.random(len(person)) < 0.01]
    person = np.concatenate([person, twice])
    has_auth = (person % 2 == 0) & (service in ("SCL", "TEETIME"))
    return pa.table(
        {
            "tenant_id": _names("club-", tenant[person]),
            "service": pa.repeat(service, len(person)),
            "record_id": _names(prefix, chance.permutation(len(person))),
            "auth_user_id": _some(_names("auth0|5f7c8ec7c33c6c004bbafe", person), has_auth),
            "email": _some(_names("golfer.", keys[0][person], "@example.com"), chance.random(len(person)) < 0.9),
            "phone_number": _some(_names("+4479", keys[1][person] + 10_000_000), chance.random(len(person)) < 0.75),
            "first_name": _names("name", (person * 2_654_435_761) % 997),
            "last_name": _names("family", (person // 3 * 40_503) % 9_973),
        }
    )


def _names(before: str, numbers: npt.NDArray[np.int64], after: str = "") -> pa.StringArray:
    return pc.binary_join_element_wise(before, pa.array(numbers).cast(pa.string()), after, "")


def _some(values: pa.StringArray, kept: npt.NDArray[np.bool_]) -> pa.StringArray:
    return pc.if_else(pa.array(kept), values, pa.scalar(None, pa.string()))


def an_hour_later(records: pa.Table, chance: np.random.Generator) -> pa.Table:
    """Of 1 % of the records a third is gone, and two thirds have another email."""
    drawn = chance.random(len(records))
    emails = pc.if_else(
        pa.array(drawn < 0.0067), _names("new.", np.arange(len(records)), "@example.com"), records["email"]
    )
    at = records.schema.get_field_index("email")
    return records.set_column(at, "email", emails).filter(pa.array(drawn < 0.9967))
