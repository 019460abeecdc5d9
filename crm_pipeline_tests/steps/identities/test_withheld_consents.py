"""A contact that is set aside agrees to nothing at the profile that it was last linked to, until mended or deleted."""

from pathlib import Path

import pytest

from crm_pipeline.tables.outputs.identity import customer_identities, withheld_consents
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline_tests.fixtures.histories.moving_services import Row
from crm_pipeline_tests.fixtures.histories.small_club import OPT_INS, SmallClub

FLAGS = ("email_opt_in", "sms_opt_in", "push_opt_in", "whatsapp_opt_in")
BROKEN, ALL, NONE = "perhaps", (True,) * 4, (False,) * 4


class Club(SmallClub):
    """With a player of two contacts, one of which agrees to everything and the other to email alone; and a member."""

    def __post_init__(self) -> None:
        super().__post_init__()
        contract = {"membershipTier": "Full", "joinedAt": "2026-01-01", "yearlyFeeCents": "1000"}
        self.add("Member", "77001", firstName="Vera", email="v@x.example", membershipStatus="ACTIVE", **contract)
        vera = {"firstName": "Vera", "authUserId": "vera"}
        self.player = self.add("Player", "vera", **vera)
        self.yes = self.add("Contact", "yes", **vera)
        self.no = self.add("Contact", "no", **vera, **dict.fromkeys(OPT_INS[1:], "false"))

    def opt_ins(self, record_id: str = "vera") -> tuple[bool, ...]:
        """Returns the opt-ins of a record's profile."""
        [link] = self.rows(customer_identities, f"service_record_id = '{record_id}'")
        [profile] = self.rows(customer_profiles, f"id = '{link['profile_id']}'")
        return tuple(profile[flag] for flag in FLAGS)

    def spoil(self, row: Row) -> None:
        row.update(pushOptIn=BROKEN, updatedAt=f"{self.at:%Y-%m-%dT%H:%M:%SZ}")

    def mend(self, row: Row, *answers: str) -> None:
        row.update(dict(zip(OPT_INS, answers, strict=True)), updatedAt=f"{self.at:%Y-%m-%dT%H:%M:%SZ}")


@pytest.fixture
def club(tmp_path: Path) -> Club:
    club = Club(tmp_path)
    club.next_hour()
    assert club.opt_ins() == (True, False, False, False)
    club.spoil(club.no)
    club.next_hour()
    return club


def test_no_opt_in_turns_true_because_a_row_is_set_aside(club: Club) -> None:
    assert len(club.rows(customer_identities, "service_record_id in ('vera', 'yes', 'no')")) == 2
    assert club.opt_ins() == NONE, "not even email, to which the broken row may not agree any more"
    club.player.update(lastName="Tarn", updatedAt=f"{club.at:%Y-%m-%dT%H:%M:%SZ}")
    club.next_hour()
    assert club.opt_ins() == NONE
    club.next_day()
    assert club.opt_ins() == NONE


def test_a_contact_that_is_mended_speaks_for_itself(club: Club) -> None:
    club.mend(club.no, "true", "true", "false", "true")
    club.next_hour()
    assert club.opt_ins() == (True, True, False, True)
    assert club.rows(withheld_consents) == []
    club.spoil(club.no)
    club.next_hour()
    assert club.opt_ins() == NONE


def test_one_that_is_mended_and_now_is_somebody_else_frees_the_profile_it_left(club: Club) -> None:
    club.mend(club.no, *["false"] * 4)
    club.no.update(authUserId="somebody else")
    club.next_hour()
    assert (club.opt_ins(), club.opt_ins("no")) == (ALL, NONE)


def test_one_that_is_deleted_says_nothing(club: Club) -> None:
    club.remove("Contact", club.no)
    club.next_hour()
    assert club.opt_ins() == ALL
    assert club.rows(withheld_consents) == []


def test_a_profile_that_merges_takes_the_withheld_consent_along_and_gives_it_back(club: Club) -> None:
    [member] = club.rows(customer_identities, "service_record_id = '77001'")
    club.player.update(email="v@x.example", updatedAt=f"{club.at:%Y-%m-%dT%H:%M:%SZ}")
    club.next_hour()
    links = club.rows(customer_identities, "service_record_id in ('vera', 'yes')")
    assert {link["profile_id"] for link in links} == {member["profile_id"]}
    assert club.opt_ins() == NONE
    club.player.update(email="", updatedAt=f"{club.at:%Y-%m-%dT%H:%M:%SZ}")
    club.next_hour()
    assert len(club.rows(customer_identities, f"profile_id = '{member['profile_id']}'")) == 1
    assert club.opt_ins() == NONE


def test_a_contact_never_seen_whole_withholds_nothing(club: Club) -> None:
    club.remove("Contact", club.no)
    club.add("Contact", "new", firstName="Vera", authUserId="vera", pushOptIn=BROKEN)
    club.next_hour()
    assert club.opt_ins() == ALL


def test_a_second_row_of_a_contact_is_no_contact_set_aside(club: Club) -> None:
    club.mend(club.no, *["true"] * 4)
    club.hours.services.tables["Contact"].append({**club.no, "smsOptIn": "false", "updatedAt": "2026-01-01T00:00:00Z"})
    club.next_hour()
    assert club.opt_ins() == ALL
    assert club.rows(withheld_consents) == []
