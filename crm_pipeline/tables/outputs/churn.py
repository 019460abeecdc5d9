"""Output tables of the weekly fit: every version of each club's churn model, and its backtests."""

from typing import Any

from sqlalchemy import Column, Double, Table

from crm_pipeline.tables.columns import flag, fraction, integer, json, output_metadata, planned_at, primary, text


def _declare_positive_number(name: str, comment: str) -> Column[Any]:
    """Creates the column of a parameter above 0."""
    return Column(name, Double, nullable=False, comment=comment)


churn_models = Table(
    "churn_models",
    output_metadata,
    primary(text("tenant_id", "The club; empty for all clubs pooled, which serve a club without a model.")),
    primary(planned_at("fitted_at", "The version: as_of of the fit. A refresh applies the latest up to its own.")),
    flag("is_fallback", "Whether r, alpha, a, b are the pool's, because the club's own did not beat the base rate."),
    _declare_positive_number("r", "MBG/NBD: shape of the rates visitors come at."),
    _declare_positive_number("alpha", "MBG/NBD: their scale, in days of the clock."),
    _declare_positive_number("a", "MBG/NBD: how readily visitors drop out after a visit."),
    _declare_positive_number("b", "MBG/NBD: how readily they stay."),
    Column("log_likelihood", Double, nullable=False, comment="Of the visits the four were fitted to."),
    json("spend", "Gamma-Gamma p, q, v, the latter in cents; null without anybody who paid twice.", nullable=True),
    json(
        "season", "The seasonal clock: days' worth of a day, January to December; null for plain days.", nullable=True
    ),
    json("members", "sBG gamma and delta, and the log odds each sign adds."),
    json("tiers", "gamma and delta of each membership tier."),
    integer("visitors", "Visitors without a membership the fit has seen.", minimum=0),
    integer("repeaters", "Those of them who paid on two days or more.", minimum=0),
    integer("rounds", "Rounds in the club's full months, which the clock needs 200 of.", minimum=0),
    integer("members_a_year_ago", "Members whose year since then is known.", minimum=0),
    integer("lapses", "Those of them who have lapsed; the signs need 50.", minimum=0),
    integer("rules_version", "Which rules of visits and signs it was fitted by; null for the first.", nullable=True),
    comment="Parameters of every fit of the churn model, per club and for all clubs pooled.",
    info={"is_input": True},
)

churn_backtests = Table(
    "churn_backtests",
    output_metadata,
    primary(text("tenant_id", "The club; empty for all clubs together.")),
    primary(planned_at("judged_at", "as_of of the backtest.")),
    primary(integer("horizon_days", "How long before judged_at the forecast was made, and how far it looked.")),
    integer("golfers", "Visitors without a membership who were forecast.", minimum=0),
    integer("left_since", "Those who did not come again in time.", minimum=0),
    fraction("auc", "Chance that one who left had the higher risk; null where all or none left.", nullable=True),
    fraction("auc_recency", "The same for ranking by days since the last visit.", nullable=True),
    fraction("brier", "Mean squared error of the forecast."),
    fraction("brier_base_rate", "Of saying for everybody the share who left."),
    fraction("brier_recency", "Of the rule that 90 days without a visit mean gone."),
    json("calibration", "Ten bins: golfers, the risk they were given, the share who left."),
    comment="How each club's churn forecast of 90 and 365 days ago turned out, beside the rivals it must beat.",
    info={"lake_only": True, "is_input": True},
)
