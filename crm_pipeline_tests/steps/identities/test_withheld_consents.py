"""A contact that is set aside agrees to nothing at the profile that it was last linked to, until mended or deleted."""

from dataclasses import dataclass

from crm_pipeline.tables.outputs.identity import customer_identities, withheld_consents
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline_tests.fixtures.histories.moving_services import Row
from crm_pipeline_tests.fixtures.histories.small_clubs import DAY, HOUR, OPT_INS, Passing, SharedHours, SmallClub

FLAGS = ("email_opt_in", "sms_opt_in", "push_opt_in", "whatsapp_opt_in")
BROKEN, ALL, NONE = "perhaps", (True,) * 4, (False,) * 4


@dataclass
class Club(SmallClub):
    """With a player of two contacts, one of which agrees to everything and the other to email alone; and a member."""

    def __post_init__(self) -> None:
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
        self.change(row, pushOptIn=BROKEN)

    def mend(self, row: Row, *answers: str) -> None:
        self.change(row, **dict(zip(OPT_INS, answers, strict=True)))


clubs = SharedHours(Club)


def begin(club: Club) -> Passing:
    """Both contacts are seen whole, then one is set aside."""
    yield HOUR
    assert club.opt_ins() == (True, False, False, False)
    club.spoil(club.no)
    yield HOUR


@clubs.test
def test_no_opt_in_turns_true_because_a_row_is_set_aside(club: Club) -> Passing:
    yield from begin(club)
    assert len(club.rows(customer_identities, "service_record_id in ('vera', 'yes', 'no')")) == 2
    assert club.opt_ins() == NONE, "not even email, to which the broken row may not agree any more"
    club.change(club.player, lastName="Tarn")
    yield HOUR
    assert club.opt_ins() == NONE
    yield HOUR  # The other clubs' last hour.
    yield DAY
    assert club.opt_ins() == NONE


@clubs.test
def test_a_contact_that_is_mended_speaks_for_itself(club: Club) -> Passing:
    yield from begin(club)
    club.mend(club.no, "true", "true", "false", "true")
    yield HOUR
    assert club.opt_ins() == (True, True, False, True)
    assert club.rows(withheld_consents) == []
    club.spoil(club.no)
    yield HOUR
    assert club.opt_ins() == NONE


@clubs.test
def test_one_that_is_mended_and_now_is_somebody_else_frees_the_profile_it_left(club: Club) -> Passing:
    yield from begin(club)
    club.mend(club.no, *["false"] * 4)
    club.no.update(authUserId="somebody else")
    yield HOUR
    assert (club.opt_ins(), club.opt_ins("no")) == (ALL, NONE)


@clubs.test
def test_one_that_is_deleted_says_nothing(club: Club) -> Passing:
    yield from begin(club)
    club.remove("Contact", club.no)
    yield HOUR
    assert club.opt_ins() == ALL
    assert club.rows(withheld_consents) == []


@clubs.test
def test_a_profile_that_merges_takes_the_withheld_consent_along_and_gives_it_back(club: Club) -> Passing:
    yield from begin(club)
    [member] = club.rows(customer_identities, "service_record_id = '77001'")
    club.change(club.player, email="v@x.example")
    yield HOUR
    links = club.rows(customer_identities, "service_record_id in ('vera', 'yes')")
    assert {link["profile_id"] for link in links} == {member["profile_id"]}
    assert club.opt_ins() == NONE
    club.change(club.player, email="")
    yield HOUR
    assert len(club.rows(customer_identities, f"profile_id = '{member['profile_id']}'")) == 1
    assert club.opt_ins() == NONE


@clubs.test
def test_a_contact_never_seen_whole_withholds_nothing(club: Club) -> Passing:
    yield from begin(club)
    club.remove("Contact", club.no)
    club.add("Contact", "new", firstName="Vera", authUserId="vera", pushOptIn=BROKEN)
    yield HOUR
    assert club.opt_ins() == ALL


@clubs.test
def test_a_second_row_of_a_contact_is_no_contact_set_aside(club: Club) -> Passing:
    yield from begin(club)
    club.mend(club.no, *["true"] * 4)
    club.tables["Contact"].append({**club.no, "smsOptIn": "false", "updatedAt": "2026-01-01T00:00:00Z"})
    yield HOUR
    assert club.opt_ins() == ALL
    assert club.rows(withheld_consents) == []


@clubs.test
def test_of_a_contact_that_comes_twice_the_newest_row_counts_even_where_it_is_set_aside(club: Club) -> Passing:
    yield HOUR
    older = club.no | dict.fromkeys(OPT_INS, "true")
    club.spoil(club.no)
    club.tables["Contact"].append(older)
    yield HOUR
    assert club.opt_ins() == NONE


@clubs.test
def test_a_contact_that_lost_its_id_agrees_to_nothing(club: Club) -> Passing:
    yield HOUR
    club.change(club.no, id="null")
    yield HOUR
    assert club.opt_ins() == NONE
    yield HOUR
    assert club.opt_ins() == NONE
    club.remove("Contact", club.no)
    yield HOUR
    assert club.opt_ins() == ALL


@clubs.test
def test_a_contact_whose_id_became_unusable_agrees_to_nothing(club: Club) -> Passing:
    yield HOUR
    club.change(club.no, id="no" * 150)
    yield HOUR
    assert club.opt_ins() == NONE
    club.change(club.no, id="no")
    yield HOUR
    assert club.opt_ins() == (True, False, False, False)


@clubs.test
def test_a_contact_whose_row_lost_its_club_agrees_to_nothing(club: Club) -> Passing:
    club.no["id"] = "astray"
    yield HOUR
    club.change(club.no, tenantId="nowhere")
    yield HOUR
    assert club.opt_ins() == NONE
    yield HOUR
    assert club.opt_ins() == NONE
    club.change(club.no, tenantId=club.tenant)
    yield HOUR
    assert club.opt_ins() == (True, False, False, False)


@clubs.test
def test_a_club_with_rows_without_an_id_may_delete_a_contact_once_they_are_mended(club: Club) -> Passing:
    nobody = club.add("Contact", "")
    yield HOUR
    club.remove("Contact", club.no)
    yield HOUR
    assert club.opt_ins() == NONE, "the row without an id may be the contact's"
    club.change(nobody, id="somebody")
    yield HOUR
    assert club.opt_ins() == ALL
