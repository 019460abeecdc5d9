"""Sums of money over a profile's events, at the limit of what is stored."""

import pyarrow as pa
import pytest

from crm_pipeline.domain.scoring.scores import build_profiles
from crm_pipeline.tables.columns import MAX_SUM_CENTS
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.projections import to_arrow_schema
from crm_pipeline.tables.sources import scl
from crm_pipeline_tests.fixtures.worlds.scene import Scene, Values, ago

HALF = MAX_SUM_CENTS // 2


def score_amounts(scene: Scene, *amounts: int) -> Values:
    """Returns the profile of a customer with a payment, or a refund, of each of these amounts, one a day."""
    for days, cents in enumerate(amounts):
        kind = "REFUND" if cents < 0 else "PAYMENT"
        scene.add(scl.payment, id=str(days), kind=kind, status="SETTLED", amount_cents=1, paid_at=ago(days))
    scene.timeline()
    # No row may have such an amount: they stand for a great many rows.
    events = scene.read_columns("events", customer_timeline).to_pylist()
    for event in events:
        if event["amount_cents"]:
            event["amount_cents"] = amounts[int(event["service_record_id"])]
    scene.con.register("customer_timeline", pa.Table.from_pylist(events, to_arrow_schema(customer_timeline)))
    build_profiles(scene.con, scene.models)
    [profile] = scene.read_columns("profiles", customer_profiles).to_pylist()
    return dict(profile)


@pytest.mark.parametrize(
    ("amounts", "net_value"),
    [
        ((HALF, HALF - 1), MAX_SUM_CENTS - 1),
        ((HALF, HALF), MAX_SUM_CENTS),
        ((HALF, HALF, 1), MAX_SUM_CENTS),
        ((MAX_SUM_CENTS, MAX_SUM_CENTS), MAX_SUM_CENTS),
        ((MAX_SUM_CENTS, MAX_SUM_CENTS, -MAX_SUM_CENTS, -1), MAX_SUM_CENTS - 1),  # not cut before all are added
        ((-MAX_SUM_CENTS, -MAX_SUM_CENTS), -MAX_SUM_CENTS),
    ],
)
def test_a_sum_ends_at_its_limit(amounts: tuple[int, ...], net_value: int) -> None:
    scene = Scene()
    assert score_amounts(scene, *amounts)["lifetime_value"] == max(0, net_value)
    assert scene.fact("net_value") == (net_value,)


def test_the_money_of_visits_and_what_is_predicted_from_it_end_there_too() -> None:
    scene = Scene()
    profile = score_amounts(scene, MAX_SUM_CENTS, MAX_SUM_CENTS)
    assert scene.fact("visit_value", "visit_days") == (MAX_SUM_CENTS, 2)
    assert profile["predicted_value_12m"] == MAX_SUM_CENTS
