"""Records with an equal value, and the rule that would link them."""

import pytest

from crm_pipeline.explain.formatting import Row
from crm_pipeline.explain.shared_values import ComparedProfile, compare_records
from crm_pipeline.explain.warehouse_reader import RecordKey
from crm_pipeline.vocabulary import LinkRule

OWN, OTHER = RecordKey("TEETIME", "1"), RecordKey("TEETIME", "2")


def a_profile(key: RecordKey, **values: str | None) -> ComparedProfile:
    row: Row = dict.fromkeys(("auth_user_id", "email", "phone_number", "comparable_first_name")) | values
    return ComparedProfile(key.record_id, {key: {"email_is_shared": False, "phone_is_shared": False}}, {key: row})


@pytest.mark.parametrize(
    ("own_name", "other_name", "rule"),
    [("ann", "ann", LinkRule.AUTH_USER_ID), ("ann", "ben", None), (None, "ben", LinkRule.AUTH_USER_ID)],
)
def test_one_login_in_one_service_is_one_person_unless_first_names_disagree(
    own_name: str | None, other_name: str | None, rule: LinkRule | None
) -> None:
    own, other = (
        a_profile(key, auth_user_id="ann-1", comparable_first_name=name)
        for key, name in ((OWN, own_name), (OTHER, other_name))
    )
    [comparison] = compare_records(own, other, {OWN: {"auth_user_id"}})
    assert (comparison.values, comparison.rule) == (["auth_user_id"], rule)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"email": "a@b.example", "phone_number": "+1"}, LinkRule.EMAIL_AND_PHONE),
        ({"email": "a@b.example"}, LinkRule.EMAIL),
        ({"phone_number": "+1"}, LinkRule.PHONE),
        ({"email": "a@b.example", "auth_user_id": "ann-1"}, LinkRule.AUTH_USER_ID),
    ],
)
def test_values_of_two_services_have_the_best_rule_that_holds(values: dict[str, str], rule: LinkRule) -> None:
    other = RecordKey("MESSAGING", "2")
    [comparison] = compare_records(a_profile(OWN, **values), a_profile(other, **values), {OWN: set(values)})
    assert (set(comparison.values), comparison.rule) == (set(values), rule)
