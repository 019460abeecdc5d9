"""A sound club in every relation the suites judge, and ways to plant a fault in it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

import pyarrow as pa
from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.checks.anomalies import MEASURES, find_unusual
from crm_pipeline.checks.cross_table import find_disagreements
from crm_pipeline.checks.evaluation import Verdict, judge_findings, judge_rows
from crm_pipeline.checks.expectations import AS_USUAL, TABLE_SUITES, TABLES_AGREE
from crm_pipeline.domain.as_of import define_as_of
from crm_pipeline.tables.outputs import identity, operations, profiles, timeline
from crm_pipeline.tables.projections import arrow_schema
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline_tests.resources.warehouses import AS_OF, Row, a_connection, a_row

RELATIONS: Final[Mapping[str, Table]] = {
    "given_profiles": profiles.customer_profiles,
    "given_timeline": timeline.customer_timeline,
    "given_identities": identity.customer_identities,
    "history": operations.quality_measures,
    "scl_member": scl.member,
    "teetime_player": teetime.player,
    "messaging_contact": messaging.contact,
    "crm_lead": crm.lead,
    "scl_payment": scl.payment,
}
TODAY: Final = date(2026, 3, 31)
PEOPLE: Final = 20
AS_EVER: Final = {
    "profiles": 20.0,
    "records": 40.0,
    "events": 20.0,
    "share_of_customer": 1.0,
    "linked_by_anchor": 0.5,
    "linked_by_email": 0.5,
}
"""What is measured of a sound club; everything else is 0."""
Club = dict[str, list[Row]]
Fault = Callable[[Club], None]


def sound(tenant: str) -> Club:
    """Twenty members who are contacts too, each of whom has paid once; for ten days it was no other."""
    club: Club = {name: [] for name in RELATIONS}

    def add(name: str, **values: Any) -> None:  # noqa: ANN401
        club[name].append(a_row(RELATIONS[name], **{"tenant_id": tenant, **values}))

    for n in range(PEOPLE):
        add("scl_member", id=n)
        add("messaging_contact", id=f"c{n}")
        add("scl_payment", id=f"p{n}", member_id=n, kind="PAYMENT", status="SETTLED", amount_cents=500, paid_at=AS_OF)
        add("given_profiles", **profile(n))
        link = {"profile_id": an_id(n), "is_primary": True}
        add("given_identities", service="SCL", service_record_id=str(n), rule="ANCHOR", **link)
        add("given_identities", service="MESSAGING", service_record_id=f"c{n}", rule="EMAIL", **link)
        add("given_timeline", **payment(n))
    for days in range(1, 11):
        for measure in MEASURES:
            row = {"measured_on": TODAY - timedelta(days=days), "measure": measure, "value": AS_EVER.get(measure, 0.0)}
            club["history"].append({"tenant_id": tenant, **row})
    return club


def an_id(n: int) -> str:
    return f"00000000-0000-0000-0000-{n:012}"


def profile(n: int) -> Row:
    return {
        "id": an_id(n),
        "scl_member_id": n,
        "messaging_contact_id": f"c{n}",
        "status": "ACTIVE",
        "lifecycle_stage": "CUSTOMER",
        "engagement_score": 50,
        "churn_risk_score": 10,
        "churn_basis": "TRANSACTIONAL",
        "lifetime_value": 500,
    }


def payment(n: int) -> Row:
    return {
        "event_id": f"SCL:Payment:p{n}:PAYMENT",
        "profile_id": an_id(n),
        "source": "SCL",
        "event_type": "PAYMENT",
        "counts_as": "PAYMENT",
        "amount_cents": 500,
        "currency": "EUR",
    }


def changed(name: str, rows: Sequence[int] = (0,), **values: object) -> Fault:
    """Rows of a relation have other values."""

    def plant(club: Club) -> None:
        for n in rows:
            club[name][n] |= values

    return plant


def gone(name: str, n: int = 0) -> Fault:
    """A row of a relation is missing."""

    def plant(club: Club) -> None:
        del club[name][n]

    return plant


def again(name: str, *, times: int = 1, **values: object) -> Fault:
    """The first row of a relation is there more often, with other values."""

    def plant(club: Club) -> None:
        club[name] += [{**club[name][0], **values} for _ in range(times)]

    return plant


def both(*faults: Fault) -> Fault:
    def plant(club: Club) -> None:
        for fault in faults:
            fault(club)

    return plant


def staged(clubs: Mapping[str, Club]) -> DuckDBPyConnection:
    """A connection with every relation the suites read."""
    con = a_connection()
    define_as_of(con, AS_OF)
    for name, table in RELATIONS.items():
        rows = [row for club in clubs.values() for row in club[name]]
        con.register("incoming", pa.Table.from_pylist(rows, schema=arrow_schema(table)))
        con.execute(f"create temp table {name} as from incoming")
        con.unregister("incoming")
    con.execute("create temp table judged_tenants as select unnest($tenants) as tenant_id", {"tenants": list(clubs)})
    return con


def judged(clubs: Mapping[str, Club]) -> list[Verdict]:
    """The verdicts of every suite on these clubs."""
    con = staged(clubs)
    find_disagreements(con)
    find_unusual(con)
    return [
        *judge_rows(con, TABLE_SUITES[profiles.customer_profiles], "given_profiles", list(clubs)),
        *judge_rows(con, TABLE_SUITES[timeline.customer_timeline], "given_timeline", list(clubs)),
        *judge_findings(con, TABLES_AGREE, "disagreements"),
        *judge_findings(con, AS_USUAL, "unusual"),
    ]
