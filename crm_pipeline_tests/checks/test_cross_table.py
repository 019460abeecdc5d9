"""Agreements between tables at their edges: consent that is withheld, and sums at their limit."""

from typing import Any

import pytest

from crm_pipeline.checks.cross_table import find_disagreements
from crm_pipeline.tables.columns import MAX_SUM_CENTS
from crm_pipeline.tables.outputs.identity import profile_ids, withheld_consents
from crm_pipeline_tests.fixtures.servers.warehouses import a_row
from crm_pipeline_tests.fixtures.worlds.checked_clubs import (
    Club,
    Fault,
    again,
    an_id,
    both,
    changed,
    connect_clubs,
    gone,
    valid_club,
)

FLAGS = ("email_opt_in", "sms_opt_in", "push_opt_in", "whatsapp_opt_in")
ALL_NO: dict[str, Any] = dict.fromkeys(FLAGS, False)
PROFILES, LINKS, CONTACTS, OLD_ID = "compared_profiles", "compared_identities", "messaging_contact", an_id(70)
SECOND_LINK = 1
"""The place of the first profile's contact among the links; its member comes before it."""
NO_LONGER_A_CONTACT = both(gone(CONTACTS), gone(LINKS, SECOND_LINK), changed(PROFILES, messaging_contact_id=None))


def withheld(profile_id: str, **id_values: object) -> Fault:
    """Returns a fault: a contact that was last linked to this profile id is set aside."""

    def plant(club: Club) -> None:
        tenant = club[PROFILES][0]["tenant_id"]
        club["profile_ids"].append(a_row(profile_ids, tenant_id=tenant, profile_id=profile_id, **id_values))
        club["withheld_consents"].append(
            a_row(withheld_consents, tenant_id=tenant, contact_id="c99", profile_id=profile_id)
        )

    return plant


def find_broken(plant: Fault, agreement: str) -> dict[str, int]:
    """Returns how many rows break the agreement in a club with a fault, and in another that has none."""
    clubs = {name: valid_club(name) for name in ("faulty", "valid")}
    plant(clubs["faulty"])
    con = connect_clubs(clubs)
    find_disagreements(con)
    rows = con.execute("select tenant_id, broken from disagreements where expectation = $name", {"name": agreement})
    return {tenant: int(broken) for tenant, broken in rows.fetchall()}


@pytest.mark.parametrize(
    "plant",
    [
        both(changed(PROFILES, **ALL_NO), withheld(an_id(0))),
        both(changed(PROFILES, **ALL_NO), withheld(OLD_ID, redirects_to=an_id(0), is_live=False)),
        both(changed(PROFILES, **ALL_NO), NO_LONGER_A_CONTACT, withheld(an_id(0))),
        both(changed(PROFILES, **ALL_NO), NO_LONGER_A_CONTACT),
        withheld(OLD_ID, is_live=False),
    ],
    ids=["one of two contacts", "of a merged id", "its only contact", "no contact", "of an id that is retired"],
)
def test_an_opt_in_is_false_where_a_contact_of_the_profile_is_set_aside(plant: Fault) -> None:
    assert find_broken(plant, "consent_is_messagings") == {"faulty": 0, "valid": 0}


@pytest.mark.parametrize(
    "plant",
    [
        withheld(an_id(0)),
        withheld(OLD_ID, redirects_to=an_id(0), is_live=False),
        both(NO_LONGER_A_CONTACT, withheld(an_id(0))),
        NO_LONGER_A_CONTACT,
        changed(CONTACTS, push_opt_in=False),
        *(both(changed(PROFILES, **(ALL_NO | {flag: True})), withheld(an_id(0))) for flag in FLAGS),
        both(changed(PROFILES, **ALL_NO), withheld(an_id(1)), changed(PROFILES, (1,), **ALL_NO)),
    ],
    ids=[
        *("though withheld", "though withheld from a merged id", "though its only contact is set aside"),
        *("without a valid contact", "though a contact says no", *FLAGS, "false though nothing is withheld"),
    ],
)
def test_an_opt_in_that_no_valid_record_grants_is_one_broken_profile(plant: Fault) -> None:
    assert find_broken(plant, "consent_is_messagings") == {"faulty": 1, "valid": 0}


@pytest.mark.parametrize(
    ("cents", "lifetime_value", "broken"),
    [
        (MAX_SUM_CENTS, MAX_SUM_CENTS, 0),
        (MAX_SUM_CENTS, MAX_SUM_CENTS - 1, 1),
        (-MAX_SUM_CENTS, 0, 0),
        (-MAX_SUM_CENTS, -MAX_SUM_CENTS, 1),
    ],
)
def test_a_lifetime_value_at_the_limit_of_sums_adds_up(cents: int, lifetime_value: int, broken: int) -> None:
    plant = both(
        changed("compared_timeline", amount_cents=cents),
        again("compared_timeline", event_id="more"),
        changed(PROFILES, lifetime_value=lifetime_value),
    )
    assert find_broken(plant, "lifetime_value_adds_up") == {"faulty": broken, "valid": 0}
