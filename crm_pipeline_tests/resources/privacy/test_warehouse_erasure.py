"""An erasure leaves no values in the planner's statistics."""

from sqlalchemy import Engine

from crm_pipeline.resources.privacy.warehouse_erasure import rewrite_statistics
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline_tests.fixtures.servers.warehouses import a_row, ask, publish

OF_ALL_CLUBS = "select attname from pg_stats where schemaname = 'crm' and inherited"


def test_statistics_of_all_clubs_together_that_an_older_release_let_be_made_go_as_well(
    warehouse: Warehouse, administrator: Engine
) -> None:
    publish(warehouse, "t", {customer_timeline: [a_row(customer_timeline, tenant_id="t", event_id="e")]}, 1)
    ask(warehouse, "alter table crm.customer_timeline alter column summary set statistics 100")
    ask(warehouse, "analyze crm.customer_timeline")
    ask(warehouse, "alter table crm.customer_timeline alter column summary set statistics 0")
    assert ask(warehouse, OF_ALL_CLUBS) == [("summary",)]
    rewrite_statistics(administrator)
    assert ask(warehouse, OF_ALL_CLUBS) == []
