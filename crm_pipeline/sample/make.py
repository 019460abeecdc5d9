"""How one block of people comes about, step by step, and is written."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.sample.chance import Ints
from crm_pipeline.sample.clubs import Block
from crm_pipeline.sample.golf import booking_events, draw_bookings, draw_competitions, draw_handicaps
from crm_pipeline.sample.ledger import draw_entries, draw_ledger_bookings, draw_tier_changes, payment_events
from crm_pipeline.sample.mailing import draw_consents, draw_messages
from crm_pipeline.sample.memberships import TIERS, Contracts, draw_contracts
from crm_pipeline.sample.office import draw_office_events
from crm_pipeline.sample.people import SERVICES, Kind, People, draw_people
from crm_pipeline.sample.records import Records, draw_records, surely_one_profile
from crm_pipeline.sample.rows import Columns, Events, words
from crm_pipeline.sample.visits import draw_beginnings, draw_visits
from crm_pipeline.sample.write import SampleFiles
from crm_pipeline.tables.sources import scl, teetime
from crm_pipeline.vocabulary import Service

_MOST_BUT_MAIL: Final = 0.75
_ORIGINS: Final = ("website", "open-day", "phone", "partner")


def make_block(block: Block, files: SampleFiles) -> None:
    """Make the people of a block and all that is known of them, and append it to the files."""
    people, contracts = draw_people(block), draw_contracts(block)
    begins = draw_beginnings(block, people, contracts)
    records = {
        service: draw_records(
            block, people, service, contracts.joined if service is Service.SCL else begins, files.new_ids
        )
        for service in SERVICES
    }
    events, handicap = _golf_and_ledger(block, people, contracts, begins, records, files)
    in_order = list(records.values())
    events += draw_office_events(block, people, in_order, begins, surely_one_profile(people, in_order))
    _write_records(records, people, _only_in_one_service(block, contracts, handicap, records), files)
    _write_events(block, records[Service.MESSAGING], events, files)


def _golf_and_ledger(
    block: Block,
    people: People,
    contracts: Contracts,
    begins: Ints,
    records: dict[Service, Records],
    files: SampleFiles,
) -> tuple[list[Events], Ints]:
    """What members and golfers did, and everybody's handicap after it."""
    is_member = people.among(Kind.MEMBER)
    player, member = records[Service.TEETIME].number_of, records[Service.SCL].number_of
    visits = draw_visits(block, people, contracts, begins)
    bookings = draw_bookings(block, visits, files.new_ids(teetime.booking, len(visits.at)), begins, is_member)
    paid_here = draw_ledger_bookings(block, bookings, is_member)
    entries = draw_entries(block, contracts, bookings, paid_here, is_member)
    handicaps, handicap = draw_handicaps(block, bookings, player, is_member)
    events = [
        booking_events(block, bookings, player, paid_here),
        payment_events(block, entries, files.new_ids(scl.payment, len(entries.person)), member),
        draw_tier_changes(block, contracts, member),
        handicaps,
        draw_competitions(block, bookings, player, is_member),
    ]
    return events, handicap


def _write_records(
    records: dict[Service, Records], people: People, more: dict[Service, Columns], files: SampleFiles
) -> None:
    for service, each in records.items():
        files.write(each.table, {**each.columns, **more[service]})
        person_ids = pa.array(people.number[each.person]).cast(pa.string())
        files.write_truth(service, each.ids, pc.binary_join_element_wise("person", person_ids, "-"))


def _only_in_one_service(
    block: Block, contracts: Contracts, handicap: Ints, records: dict[Service, Records]
) -> dict[Service, Columns]:
    """The columns of each service's records that no other service has."""
    member, player = records[Service.SCL].person, records[Service.TEETIME].person
    contacts, leads = records[Service.MESSAGING].person, records[Service.CRM].person
    return {
        Service.SCL: {
            "membership_tier": words(TIERS, contracts.tier[member]),
            "membership_status": pa.array(contracts.status[member]),
            "joined_at": contracts.joined[member],
            "renews_on": contracts.renews_on[member],
            "ended_at": contracts.ended[member],
            "notice_given_at": contracts.notice[member],
            "yearly_fee_cents": contracts.fee[member],
        },
        Service.TEETIME: {"handicap": handicap[player], "home_club_id": block.club.slug},
        Service.MESSAGING: draw_consents(block, len(contacts)),
        Service.CRM: {"origin": words(_ORIGINS, block.rng.integers(len(_ORIGINS), size=len(leads)))},
    }


def _write_events(block: Block, contacts: Records, events: list[Events], files: SampleFiles) -> None:
    """What people did, as far as it leaves room for a quarter of mail, and mail for the rest."""
    tenant, room = block.club.slug, _MOST_BUT_MAIL * (block.event_target - files.events)
    did = np.zeros(block.count, np.int64)
    for each in events:
        did += np.bincount(each.person, minlength=block.count)
    order = block.rng.permutation(block.count)
    keep = np.zeros(block.count, np.bool_)
    keep[order] = np.cumsum(did[order]) <= room
    for each in events:
        files.write_events(each, tenant, keep)
    mail = draw_messages(block, contacts, block.event_target - files.events)
    files.write_events(mail, tenant, np.ones(block.count, np.bool_))
