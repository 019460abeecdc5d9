"""The invariants of identity resolution, each row of the specification's table as one test on random graphs."""

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import combinations, pairwise
from random import Random
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.domain.identity import clustering
from crm_pipeline.domain.identity.resolve import Resolution, ResolutionInputs, resolve_identities
from crm_pipeline_tests.fixtures.worlds.identity_consents import ANSWERS, Answers, consents
from crm_pipeline_tests.fixtures.worlds.identity_worlds import (
    CON,
    about,
    anonymous,
    assert_same,
    history,
    inputs,
    obeyed,
    open_reviews,
    partition,
    profiles,
    renamed_world,
    run,
    select_tenants,
    together,
    world,
)
from crm_pipeline_tests.fixtures.worlds.naive_identities import Person, cannot_link
from crm_pipeline_tests.fixtures.worlds.random_worlds import HALF, MANY, Tenants, histories, tenants, thorough

SEED = st.integers(0, 9_999)
"""Of choices that need not be shrunk."""


@thorough
@given(tenants(HALF), tenants(HALF), SEED)
def test_the_order_of_input_rows_never_changes_the_result(before: Tenants, after: Tenants, seed: int) -> None:
    straight, chance = inputs(after, run(before)), Random(seed)

    def shuffled(table: pa.Table) -> pa.Table:
        return table.take(pa.array(chance.sample(range(len(table)), len(table)), pa.int64()))

    tables = {
        f.name: shuffled(getattr(straight, f.name))
        for f in fields(ResolutionInputs)
        if f.name not in ("as_of", "run_id")
    }
    one, other = resolve_identities(CON, replace(straight, **tables)), resolve_identities(CON, straight)
    assert_same(one, other, after)
    assert one == other, "sorted by tenant"


@thorough
@given(tenants(MANY))
def test_no_profile_holds_two_auth_user_ids_a_never_pair_or_two_people_of_one_service(everybody: Tenants) -> None:
    found = run(everybody)
    for tenant, some in everybody.items():
        with about(tenant, some):
            holder = {record: cluster for cluster in partition(select_tenants(found, tenant)) for record in cluster}
            assert holder.keys() == together(*some.people)
            for one, other in combinations(some.people, 2):
                assert not (cannot_link(obeyed(some), one, other) and holder[one[:2]] == holder[other[:2]])


@thorough
@given(
    tenants(MANY), st.lists(st.sampled_from((0.85, 0.9, 0.95, 0.97, 0.99, 0.995, 1.0)), min_size=MANY, max_size=MANY)
)
def test_the_partition_at_a_higher_min_confidence_refines_the_one_at_a_lower(
    everybody: Tenants, others: Sequence[float]
) -> None:
    levels = {t: sorted((w.min_confidence, level)) for (t, w), level in zip(everybody.items(), others, strict=True)}
    low, high = (
        run({tenant: some._replace(min_confidence=levels[tenant][at]) for tenant, some in everybody.items()})
        for at in (0, 1)
    )
    for tenant, some in everybody.items():
        with about(tenant, some, levels[tenant]):
            coarse, fine = partition(select_tenants(low, tenant)), partition(select_tenants(high, tenant))
            assert all(any(piece <= whole for whole in coarse) for piece in fine)


@thorough
@given(tenants(MANY), SEED)
def test_renaming_record_ids_consistently_changes_nothing_but_names(everybody: Tenants, seed: int) -> None:
    chance = Random(seed)
    new = {
        tenant: dict(zip(some.people, chance.sample(range(100), len(some.people)), strict=True))
        for tenant, some in everybody.items()
    }
    straight, renamed = run(everybody), run({tenant: renamed_world(everybody[tenant], new[tenant]) for tenant in new})
    for tenant, names in new.items():
        with about(tenant, everybody[tenant], names):
            same = {person[:2]: person[:2] for person in names}
            back = {(person.service, str(name)): person[:2] for person, name in names.items()}
            assert anonymous(select_tenants(renamed, tenant), back) == anonymous(select_tenants(straight, tenant), same)


@thorough
@given(tenants(MANY))
def test_the_fast_path_equals_the_level_by_level_algorithm_run_on_everything(everybody: Tenants) -> None:
    with patch.object(clustering, "find_conflicting_components", lambda nodes, *_: np.ones(nodes.size, bool)):
        slowly = run(everybody)
    assert_same(run(everybody), slowly, everybody)


@thorough
@given(histories(may_vanish=True))
def test_running_again_on_the_same_input_changes_no_id_and_writes_nothing(moments: Sequence[Tenants]) -> None:
    *_, before, after = history(*moments, moments[-1])
    assert_same(replace(before, profile_events=before.profile_events.slice(0, 0)), after, moments[-1])


@thorough
@given(histories(may_vanish=True))
def test_an_unchanged_cluster_keeps_its_id_live_ids_and_clusters_are_one_to_one_and_redirects_end_at_a_live_id(
    moments: Sequence[Tenants],
) -> None:
    found = history(*moments)
    for tenant in moments[0]:
        with about(tenant, *(moment[tenant] for moment in moments)):
            life = [select_tenants(resolution, tenant) for resolution in found]
            for resolution in life:
                _assert_valid_ids(resolution)
            for before, after in pairwise(life):
                now = profiles(after)
                unchanged = {i: records for i, records in profiles(before).items() if records in now.values()}
                assert unchanged.items() <= now.items()
                known, still_known = (set(each.profile_ids["profile_id"].to_pylist()) for each in (before, after))
                assert known <= still_known


def _assert_valid_ids(found: Resolution) -> None:
    rows = found.profile_ids.to_pylist()
    live = {row["profile_id"] for row in rows if row["is_live"]}
    assert live == profiles(found).keys()
    assert len({row["profile_id"] for row in rows}) == len(rows)
    assert [row["birth_order"] for row in rows] == list(range(len(rows)))
    assert all(row["redirects_to"] in live and not row["is_live"] for row in rows if row["redirects_to"])


@thorough
@given(histories(may_vanish=False), ANSWERS)
def test_any_partition_that_comes_back_has_its_ids_consents_and_links_back(
    moments: Sequence[Tenants], answers: Answers
) -> None:
    first, *rest = moments
    found = history(first, *rest, first)
    agreed = [consents(resolution, answers) for resolution in found]
    for tenant in first:
        with about(tenant, *(moment[tenant] for moment in moments)):
            life = [select_tenants(resolution, tenant) for resolution in found]
            assert life[-1].customer_identities == life[0].customer_identities
            asked = [{row["review_id"] for row in open_reviews(resolution)} for resolution in (life[0], life[-1])]
            assert asked[0] == asked[1]
            seen: dict[object, object] = {}
            for resolution, said in zip(life, agreed, strict=True):
                now = {profile: (records, said[profile]) for profile, records in profiles(resolution).items()}
                assert seen.setdefault(partition(resolution), now) == now


@thorough
@given(tenants(HALF), tenants(HALF), SEED)
def test_resolving_only_the_tenants_whose_records_changed_equals_resolving_all(
    before: Tenants, others: Tenants, seed: int
) -> None:
    chance = Random(seed)
    changed = {tenant: some for tenant, some in others.items() if chance.random() < 0.5}
    known, after = run(before), {**before, **changed}
    everything = run(after, known, hour=1)
    assert_same(everything, run(changed, known, hour=1), changed)
    unchanged = {tenant: some for tenant, some in before.items() if tenant not in changed}
    assert_same(everything, replace(known, profile_events=known.profile_events.slice(0, 0)), unchanged)


@thorough
@given(tenants(HALF), tenants(HALF), SEED)
def test_one_tenants_rows_never_influence_anothers(before: Tenants, after: Tenants, seed: int) -> None:
    chance = Random(seed)
    company = {tenant: chance.random() < 0.5 for tenant in before}
    *_, everybody = history(before, after)
    for one_company in (True, False):
        then, now = ({t: some for t, some in all_.items() if company[t] is one_company} for all_ in (before, after))
        assert_same(everybody, history(then, now)[-1], now)


def test_adding_a_record_may_split_a_cluster() -> None:
    """The one row of the table that does not hold."""
    member, player = Person("SCL", "1", email="lees@x.example"), Person("TEETIME", "p", email="lees@x.example")
    assert len(partition(run(world(member, player)))) == 1
    assert len(partition(run(world(member, player, member._replace(record_id="2"))))) == 3
