"""Consent through every merge, split and change of the rules: a profile agrees as far as all its contacts do."""

from collections.abc import Sequence

from hypothesis import given

from crm_pipeline_tests.fixtures.worlds.identity_consents import ANSWERS, CHANNELS, Answers, consents
from crm_pipeline_tests.fixtures.worlds.identity_worlds import about, history, profiles, select_tenants
from crm_pipeline_tests.fixtures.worlds.random_worlds import Tenants, histories, thorough


@thorough
@given(histories(may_vanish=True), ANSWERS)
def test_a_profile_agrees_only_as_far_as_all_its_contacts_do(moments: Sequence[Tenants], answers: Answers) -> None:
    for moment, found in zip(moments, history(*moments), strict=True):
        agreed = consents(found, answers)
        for tenant, some in moment.items():
            with about(tenant, some):
                for profile, records in profiles(select_tenants(found, tenant)).items():
                    said = [answers[tenant, record_id] for service, record_id in records if service == "MESSAGING"]
                    everybody = tuple(bool(said) and all(flags[i] for flags in said) for i in range(len(CHANNELS)))
                    assert agreed[profile] == everybody
