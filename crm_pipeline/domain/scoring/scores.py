"""The customer_profiles rows: golden record, activity and facts from SQL, joined with the scores of the models.

The scores are engagement, churn risk, predicted value, and the reasons for them. Facts are scored in batches of rows,
so that memory does not grow with the number of profiles.
"""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.churn.gamma_gamma import predict_mean_value
from crm_pipeline.domain.churn.mbg_nbd import HORIZON_DAYS, predict_horizon_churn, predict_transactions
from crm_pipeline.domain.churn.parameters import BroadcastParameters, ChurnModels, broadcast_parameters
from crm_pipeline.domain.churn.renewal import (
    FLAG_TERMS,
    MEMBER_TERMS,
    PLAY_COLUMNS,
    RENEWAL_CODE,
    MemberChurn,
    PlayDates,
    find_play_terms,
    predict_member_churn,
)
from crm_pipeline.domain.churn.risk import ChurnRisk, ChurnRiskInputs, select_churn_risk, to_churn_score
from crm_pipeline.domain.churn.seasonality import to_clock_days
from crm_pipeline.domain.profile_facts.engagement import MEMBERSHIP_FACTORS, compute_engagement_points
from crm_pipeline.domain.profile_facts.facts import create_golden_record, create_temp_table, find_facts
from crm_pipeline.tables.columns import MAX_SUM_CENTS
from crm_pipeline.vocabulary import ChurnBasis, QuarantineReason

Floats = npt.NDArray[np.float64]
Columns = dict[str, pa.ChunkedArray]

PROFILES_FILE: Final = Path(__file__).with_name("profiles.sql")
NEGATIVE_TOTALS_SQL = f"""
    select tenant_id, 'CRM' as service, 'CustomerProfile' as table_name, id as service_record_id, id as _subject,
        'lifetimeValue' as column_name, '{QuarantineReason.NEGATIVE_TOTAL}' as reason, 'profile_scores' as found_by
    from facts where net_value < 0"""
"""Selects the profiles that were refunded more than they paid; their lifetime value is 0."""
ROWS_PER_READ: Final = 200_000
_MEMBERSHIP_FACTOR_CASES: Final = " ".join(
    f"when '{status}' then {factor}" for status, factor in MEMBERSHIP_FACTORS.items()
)
FACTS_SQL: Final = f"""
    select tenant_id, id, membership_tier, renewal_number, {", ".join(FLAG_TERMS)}, {", ".join(PLAY_COLUMNS)},
        has_contract, gave_notice, had_contract, has_visited, is_expected, yearly_fee_cents, visit_value, today,
        if(has_plan, no_show_risk, 1.0) as no_show,
        play, spend, message, case contract_status {_MEMBERSHIP_FACTOR_CASES} else 0.0 end as membership_factor,
        email_opt_in or sms_opt_in or push_opt_in or whatsapp_opt_in as any_consent,
        greatest(coalesce(visit_days, 0), 1) - 1 as repeats, visit_days,
        today - cast(coalesce(first_visit_age, 0) as integer) as first_on,
        today - cast(coalesce(last_visit_age, 0) as integer) as last_on
    from facts"""


def build_profiles(con: DuckDBPyConnection, models: ChurnModels) -> None:
    """Creates temp table `profiles`: the customer_profiles rows of the tenants in relation `tenants`.

    Reads: what `create_golden_record`, `activity.sql` and `facts.sql` read.
    Creates: profiles, golden_record, ended_contracts, activity, facts.
    """
    create_golden_record(con)
    score_profiles(con, models)


def score_profiles(con: DuckDBPyConnection, models: ChurnModels) -> None:
    """Creates temp table `profiles` from relation `golden_record`.

    Reads: golden_record, and what `activity.sql` and `facts.sql` read.
    Creates: profiles, activity, facts.
    """
    find_facts(con)
    con.register("scores", score_facts(con, models))
    create_temp_table(con, PROFILES_FILE)
    con.unregister("scores")


def score_facts(con: DuckDBPyConnection, models: ChurnModels) -> pa.Table:
    """Returns one row per row of relation `facts`: tenant_id, id, scores, points, member_terms.

    Reads: facts.
    """
    reader = con.sql(FACTS_SQL).to_arrow_reader(ROWS_PER_READ)
    scored = [_score_rows(pa.Table.from_batches([batch]), models) for batch in reader]
    return pa.concat_tables(scored or [_score_rows(reader.schema.empty_table(), models)])


def _score_rows(facts: pa.Table, models: ChurnModels) -> pa.Table:
    column = {name: facts[name] for name in facts.column_names}
    parameters = _broadcast_models(column, models)
    points = compute_engagement_points(
        *(_to_floats(column[name]) for name in ("play", "spend", "message", "membership_factor", "any_consent"))
    )
    days = _read_dates(column)
    clock = dict(zip(days, to_clock_days(parameters.seasons, parameters.tenant_index, *days.values()), strict=True))
    visits = (_to_floats(column["repeats"]), clock["last_on"] - clock["first_on"], clock["today"] - clock["first_on"])
    year = clock["in_a_year"] - clock["today"]
    member = _score_member_churn(column, parameters, PlayDates.from_rows(facts))
    inputs = ChurnRiskInputs(
        *(
            _to_booleans(column[name])
            for name in ("has_contract", "gave_notice", "had_contract", "has_visited", "is_expected")
        )
    )
    risk = select_churn_risk(
        inputs,
        predict_horizon_churn(parameters.visits, *visits, year),
        member.probability,
        _to_floats(column["no_show"]),
    )
    visit_forecast = predict_transactions(parameters.visits, *visits, year)
    return pa.table(
        {
            "tenant_id": column["tenant_id"],
            "id": column["id"],
            "engagement_score": points.score.astype(np.int64),
            **{f"{name}_points": values for name, values in points._asdict().items()},
            "churn_basis": pa.array(risk.basis),
            "churn_risk_score": _to_integers(to_churn_score(risk.probability)),
            "predicted_value_12m": _to_integers(
                np.floor(0.5 + _predict_value(column, parameters, visit_forecast, inputs, risk))
            ),
            "member_terms": _build_member_terms(member, np.asarray(inputs.is_member)),
        }
    )


def _broadcast_models(column: Columns, models: ChurnModels) -> BroadcastParameters:
    tenant, tier = (column[name].combine_chunks().dictionary_encode() for name in ("tenant_id", "membership_tier"))
    # One more tier stands for having none.
    no_tier = len(tier.dictionary)
    return broadcast_parameters(
        models,
        tenant.dictionary.to_pylist(),
        np.asarray(tenant.indices, dtype=np.intp),
        [*tier.dictionary.to_pylist(), None],
        np.asarray(tier.indices.fill_null(no_tier), dtype=np.intp),
    )


def _read_dates(column: Columns) -> dict[str, npt.NDArray[np.datetime64]]:
    days = {name: column[name].to_numpy().astype("M8[D]") for name in ("today", "first_on", "last_on")}
    return days | {"in_a_year": days["today"] + np.timedelta64(int(HORIZON_DAYS), "D")}


def _score_member_churn(column: Columns, parameters: BroadcastParameters, dates: PlayDates) -> MemberChurn:
    flags = {code: _to_booleans(column[code]) for code in FLAG_TERMS}
    flags |= find_play_terms(dates, parameters.seasons, parameters.tenant_index)
    number = _to_floats(column["renewal_number"], missing=1.0)
    return predict_member_churn(number, flags, parameters.gamma, parameters.delta, parameters.log_odds)


def _predict_value(
    column: Columns, parameters: BroadcastParameters, visit_forecast: Floats, inputs: ChurnRiskInputs, risk: ChurnRisk
) -> Floats:
    """Returns the cents (n,) expected within a year, at most MAX_SUM_CENTS.

    NaN without a visit day or, for a member, without a known fee.
    """
    days = _to_floats(column["visit_days"])
    mean = predict_mean_value(parameters.spend, days, _to_floats(column["visit_value"]) / np.maximum(days, 1))
    from_fee = _to_floats(column["yearly_fee_cents"], missing=np.nan) * (1.0 - risk.probability)
    is_member = np.asarray(inputs.is_member)
    expected = np.select(
        [is_member, np.asarray(inputs.has_visited), risk.basis == ChurnBasis.MEMBER],
        [from_fee, visit_forecast * mean, 0.0],
        np.nan,
    )
    capped: Floats = np.minimum(expected, MAX_SUM_CENTS)
    return capped


def _build_member_terms(member: MemberChurn, is_member: npt.NDArray[np.bool_]) -> pa.Array:
    """Returns for each member the list of {term, log_odds, words} that hold; for others an empty list."""
    words = {RENEWAL_CODE: "Where members stand at this renewal", **{t.code: t.words for t in MEMBER_TERMS}}
    codes = list(member.contributions)
    log_odds = np.column_stack([member.contributions[code] for code in codes])
    holds = (log_odds != 0.0) & is_member[:, None]
    code_index = pa.array(np.nonzero(holds)[1])
    terms = pa.StructArray.from_arrays(
        [
            pa.array(codes).take(code_index),
            pa.array(log_odds[holds]),
            pa.array([words[code] for code in codes]).take(code_index),
        ],
        names=["term", "log_odds", "words"],
    )
    ends = np.cumsum(np.concatenate([[0], holds.sum(axis=1)])).astype(np.int32)
    return pa.ListArray.from_arrays(ends, terms)


def _to_floats(column: pa.ChunkedArray, missing: float = 0.0) -> Floats:
    # Unsafe: a sum beyond 2**53 is rounded.
    return np.asarray(column.cast(pa.float64(), safe=False).fill_null(missing).to_numpy(), dtype=np.float64)


def _to_booleans(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.array(column.fill_null(False).to_numpy(), dtype=np.bool_)


def _to_integers(values: Floats) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True).cast(pa.int64())
