"""Profiles put together: the golden record, activity and facts from SQL, the scores from the models.

Each number's formula lives in its own module (`engagement`, `churn` and the models behind it, `lifecycle` in
`facts.sql`); here they only meet, for all profiles of a run at once.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain import churn
from crm_pipeline.domain.engagement import GROUPS, MEMBERSHIP_FACTORS, engagement_points
from crm_pipeline.vocabulary import ChurnBasis, QuarantineReason

Floats = npt.NDArray[np.float64]

FOLDER = Path(__file__).parent
STEPS = ("golden_record", "activity", "facts")
NEGATIVE_TOTALS = f"""
    select tenant_id, 'CRM' as service, 'CustomerProfile' as table_name, id as service_record_id, id as _subject,
        'lifetimeValue' as column_name, '{QuarantineReason.NEGATIVE_TOTAL}' as reason, 'profile_scores' as found_by
    from facts where net_value < 0"""
"""A query of the profiles that were refunded more than they paid; their lifetime value is 0."""


def build_profiles(con: DuckDBPyConnection) -> None:
    """Create temp table `profiles`, the customer_profiles rows of the tenants in relation `tenants`.

    Reads what `golden_record.sql`, `activity.sql` and `facts.sql` say they read; leaves their results as temp tables.
    """
    con.register("engagement_weights", _weights())
    for step in STEPS:
        sql = (FOLDER / f"{step}.sql").read_text(encoding="utf-8")
        con.execute(f"create or replace temp table {step} as {sql}")
    con.register("scores", _scores(con))
    con.execute(f"create or replace temp table profiles as {(FOLDER / 'profiles.sql').read_text(encoding='utf-8')}")
    con.unregister("scores")


def _weights() -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"counts_as": str(counts_as), "habit": group.name, "weight": weight, "half_life_days": group.half_life_days}
            for group in GROUPS
            for counts_as, weight in group.weights.items()
        ]
    )


def _scores(con: DuckDBPyConnection) -> pa.Table:
    """Every model's answer per profile: tenant_id, id, scores, points, member_terms."""
    facts = con.sql(
        """
        select *, case membership_status {factors} else 0.0 end as membership_factor,
            email_opt_in or sms_opt_in or push_opt_in or whatsapp_opt_in as any_consent,
            coalesce(transaction_days, 1) - 1 as repeats, coalesce(first_transaction_age, 0) as age,
            coalesce(first_transaction_age - last_transaction_age, 0) as recency
        from facts""".replace("{factors}", _factors())
    ).to_arrow_table()
    column = {name: facts[name] for name in facts.column_names}
    points = engagement_points(
        *(_numbers(column[name]) for name in ("play", "spend", "message", "membership_factor", "any_consent"))
    )
    visits = (_numbers(column["repeats"]), _numbers(column["recency"]), _numbers(column["age"]))
    member = churn.member_churn(
        _numbers(column["renewal_number"]), {term.code: _flags(column[term.code]) for term in churn.MEMBER_TERMS}
    )
    standing = churn.Standing(
        *(_flags(column[name]) for name in ("has_contract", "gave_notice", "had_contract", "has_transacted"))
    )
    risk = churn.churn_risk(standing, churn.horizon_churn(churn.PRIOR, *visits), member.probability)
    return pa.table(
        {
            "tenant_id": column["tenant_id"],
            "id": column["id"],
            "engagement_score": points.score.astype(np.int64),
            **{f"{name}_points": values for name, values in points._asdict().items()},
            "churn_basis": pa.array(risk.basis.tolist(), pa.string()),
            "churn_risk_score": _whole(churn.churn_score(risk.probability)),
            "predicted_value_12m": _whole(np.floor(0.5 + _predicted_value(column, visits, risk))),
            "member_terms": _member_terms(member),
        }
    )


def _factors() -> str:
    return " ".join(f"when '{status}' then {factor}" for status, factor in MEMBERSHIP_FACTORS.items())


def _predicted_value(
    column: dict[str, pa.ChunkedArray], visits: tuple[Floats, Floats, Floats], risk: churn.ChurnRisk
) -> Floats:
    """Cents (n,) expected within a year; NaN without a signal or, for a member, without a known fee."""
    days = _numbers(column["transaction_days"])
    mean = churn.expected_mean_value(None, days, _numbers(column["paid_value"]) / np.maximum(days, 1))
    from_visits = churn.expected_transactions(churn.PRIOR, *visits) * mean
    from_fee = _numbers(column["yearly_fee_cents"], missing=np.nan) * (1.0 - risk.probability)
    return np.select(
        [risk.basis == ChurnBasis.TRANSACTIONAL, risk.basis == ChurnBasis.MEMBER], [from_visits, from_fee], np.nan
    )


def _member_terms(member: churn.MemberChurn) -> pa.Array:
    """Per profile the list of {term, log_odds, words}; zero terms included, which the query leaves out."""
    words = {churn.RENEWAL: "Where members stand at this renewal", **{t.code: t.words for t in churn.MEMBER_TERMS}}
    codes, profiles = list(member.contributions), len(member.probability)
    terms = pa.StructArray.from_arrays(
        [
            pa.array(codes * profiles),
            pa.array(np.column_stack([member.contributions[code] for code in codes]).ravel()),
            pa.array([words[code] for code in codes] * profiles),
        ],
        names=["term", "log_odds", "words"],
    )
    return pa.ListArray.from_arrays(np.arange(profiles + 1, dtype=np.int32) * len(codes), terms)


def _numbers(column: pa.ChunkedArray, missing: float = 0.0) -> Floats:
    return np.asarray(column.cast(pa.float64()).fill_null(missing).to_numpy(), dtype=np.float64)


def _flags(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.asarray(column.fill_null(False).to_numpy(), dtype=np.bool_)


def _whole(values: Floats) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True).cast(pa.int64())
