"""The tenants a run affects: with an invalid row of its own, a closed one, one requested by name, a dry run."""

from pathlib import Path

from crm_pipeline.cli.lake_copy import create_working_copy
from crm_pipeline.cli.options import override_environment
from crm_pipeline.cli.run import RefreshOutcome, refresh_tenants
from crm_pipeline_tests.fixtures.homes.runs import (
    ASSETS,
    CLUBS,
    FYNBOS,
    HEATHER,
    SAGUARO,
    contents,
    materialised,
    mend,
    runs,
)
from crm_pipeline_tests.fixtures.homes.support import AS_OF, ask, clean_environment, refresh

TENANT = Path("crm") / "Tenant.csv"
AN_HOUR_LATER = "2026-03-31T13:00:00Z"
REFRESHED_AT = """
    select tenant_id, to_char(max(as_of) at time zone 'UTC', 'HH24') from crm.publications
    where table_name in ('customer_profiles', 'customer_timeline') group by 1"""
SEEN_AT = """
    select coalesce(tenant_id, ''), string_agg(distinct to_char(last_seen_at at time zone 'UTC', 'HH24'), ' ')
    from crm.quarantined_records group by 1"""


def add_a_lead(services: Path, tenant: str) -> None:
    """Adds a new person to a tenant."""
    with (services / "crm" / "Lead.csv").open("a", encoding="utf-8") as file:
        times = "2026-03-01T00:00:00Z,2026-03-01T00:00:00Z"
        file.write(f"newcomer-{tenant},{tenant},,newcomer@{tenant}.example,,New,Comer,web,{times}\n")


def newcomers(home: Path) -> set[str]:
    """Returns the tenants whose new person is published."""
    return {tenant for (tenant,) in ask(home, "select tenant_id from crm.customer_profiles where last_name = 'Comer'")}


def test_a_tenant_whose_own_row_is_wrong_keeps_its_data_until_it_is_mended(refreshed: Path, services: Path) -> None:
    kept = contents(refreshed, "customer_profiles", HEATHER)
    for club in CLUBS:
        add_a_lead(services, club)
    mend(services / TENANT, "Europe/London", "Europe/Lundun")
    outcome = refresh(refreshed, services, as_of=AN_HOUR_LATER)
    (fault,) = outcome.failures
    assert fault.endswith(f"data kept: {HEATHER} (its Tenant row is wrong: timezone:INVALID_SETTING)")
    assert newcomers(refreshed) == {FYNBOS, SAGUARO}
    assert outcome.published_rows == 6  # two newcomers and one who clicked in that hour, each with an event
    assert contents(refreshed, "customer_profiles", HEATHER) == kept
    assert dict(ask(refreshed, REFRESHED_AT)) == {FYNBOS: "13", HEATHER: "12", SAGUARO: "13"}
    assert set(materialised(refreshed, runs(refreshed)[-1].run_id)) == {
        (a, c) for a in ASSETS for c in (FYNBOS, SAGUARO)
    }
    quarantined = "select column_name from crm.quarantined_records where table_name = 'Tenant' and tenant_id = "
    assert ask(refreshed, f"{quarantined} '{HEATHER}'") == [("timezone",)]
    mend(services / TENANT, "Europe/Lundun", "Europe/London")
    assert refresh(refreshed, services, as_of=AN_HOUR_LATER).failures == []
    assert newcomers(refreshed) == set(CLUBS)
    assert ask(refreshed, f"{quarantined} '{HEATHER}'") == []


def test_a_closed_tenant_keeps_its_tables_and_counts_for_nothing(refreshed: Path, services: Path) -> None:
    kept = contents(refreshed, "customer_timeline", SAGUARO)
    add_a_lead(services, FYNBOS)
    add_a_lead(services, SAGUARO)
    mend(services / TENANT, "America/Phoenix,ACTIVE", "America/Phoenix,CLOSED")
    outcome = refresh(refreshed, services)
    assert outcome.failures == []
    assert outcome.published_rows == 2  # a profile and its LEAD_CREATED
    assert newcomers(refreshed) == {FYNBOS}
    assert contents(refreshed, "customer_timeline", SAGUARO) == kept


def test_a_run_of_one_tenant_changes_no_other(refreshed: Path, services: Path) -> None:
    for club in CLUBS:
        add_a_lead(services, club)
    assert refresh(refreshed, services, as_of=AN_HOUR_LATER, tenants=[HEATHER]).failures == []
    assert newcomers(refreshed) == {HEATHER}
    assert dict(ask(refreshed, REFRESHED_AT)) == {FYNBOS: "12", HEATHER: "13", SAGUARO: "12"}
    seen = dict(ask(refreshed, SEEN_AT))
    assert seen.pop(HEATHER) == "13"
    assert set(seen) == {"", FYNBOS, SAGUARO}
    assert set(seen.values()) == {"12"}
    assert materialised(refreshed, runs(refreshed)[-1].run_id) == {(asset, HEATHER): 1 for asset in ASSETS}


def test_a_dry_run_finds_what_a_run_would_and_leaves_everything_as_it_was(refreshed: Path, services: Path) -> None:
    add_a_lead(services, HEATHER)
    tables = [name for (name,) in ask(refreshed, "select relname from pg_class where oid::regclass::text like 'crm.%'")]
    assert set(ASSETS) <= set(tables)
    states = (
        "select relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables where schemaname = 'crm' order by 1"
    )
    before = (files(refreshed / "lake"), ask(refreshed, states), [run.run_id for run in runs(refreshed)])
    outcome = dry_run(refreshed, services)
    assert (outcome.failures, outcome.published_rows) == ([], 0)
    assert (files(refreshed / "lake"), ask(refreshed, states), [run.run_id for run in runs(refreshed)]) == before
    assert not list(refreshed.glob("crm-pipeline-dry-run-*"))


def dry_run(home: Path, services: Path) -> RefreshOutcome:
    """Returns the outcome of `crm-pipeline run --dry-run` in this process."""
    with (
        clean_environment(),
        create_working_copy(override_environment(home, services, AS_OF), dry_run=True) as settings,
    ):
        return refresh_tenants(settings, [], [], dry_run=True)


def files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Returns every file with its size and time of change."""
    found = [(path, path.stat()) for path in folder.rglob("*") if path.is_file()]
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in found}
