"""One block of people made step by step and written: a CSV per source table, and truth.csv beside them."""

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from sqlalchemy import Table

from crm_pipeline.sample.chance import Flags, Ints
from crm_pipeline.sample.clubs import PeopleBlock
from crm_pipeline.sample.golf import draw_booking_events, draw_bookings, draw_competitions, draw_handicaps
from crm_pipeline.sample.ledger import build_payment_events, draw_entries, draw_ledger_bookings, draw_tier_changes
from crm_pipeline.sample.mailing import draw_consents, draw_message_events
from crm_pipeline.sample.memberships import TIERS, Contracts, draw_contracts
from crm_pipeline.sample.office import draw_office_events
from crm_pipeline.sample.people import SERVICES, People, PersonKind, draw_people
from crm_pipeline.sample.records import ServiceRecords, are_single_profiles, draw_records
from crm_pipeline.sample.rows import Columns, EventRows, as_file_rows, decode_categories
from crm_pipeline.sample.visits import draw_acquisition_times, draw_visits
from crm_pipeline.tables import list_source_tables
from crm_pipeline.tables.columns import find_table_service
from crm_pipeline.tables.sources import scl, teetime
from crm_pipeline.vocabulary import Service

_MAX_NON_MAIL_SHARE: Final = 0.75
_ORIGINS: Final = ("website", "open-day", "phone", "partner")
_FIRST_ID: Final = 1_001
_TRUTH_COLUMNS: Final = ("service", "record_id", "person_id")
_CSV_OPTIONS: Final = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")


class SampleFiles:
    """All files of a sample, open for appending; also counts what was written."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._files: dict[str, pa.NativeFile] = {}
        self._numbered: Counter[str] = Counter()
        self.events = 0

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            for service in Service:
                for table in list_source_tables(service):
                    self._open(
                        opened, table.name, build_source_path(self._out, table), (column.name for column in table.c)
                    )
            self._open(opened, "truth", self._out / "truth.csv", _TRUTH_COLUMNS)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opened.__exit__(kind, error, at)

    def _open(self, opened: ExitStack, name: str, path: Path, header: Iterable[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files[name] = opened.enter_context(pa.OSFile(str(path), "wb"))
        self._files[name].write(f"{','.join(header)}\n".encode())

    def new_ids(self, table: Table, count: int) -> Ints:
        """The next `count` record numbers of a table."""
        start = _FIRST_ID + self._numbered[table.name]
        self._numbered[table.name] += count
        return np.arange(start, start + count, dtype=np.int64)

    def write(self, table: Table, columns: Columns) -> None:
        """Append rows with the ids given."""
        self._append(table.name, as_file_rows(table, columns))

    def write_events(self, events: EventRows, tenant: str, keep: Flags) -> None:
        """Append the events of the people kept, numbered unless their ids are given."""
        columns = {**events.columns, "tenant_id": tenant}
        if "id" not in columns:
            columns["id"] = self.new_ids(events.table, len(events.person))
        kept = keep[events.person]
        self._append(events.table.name, as_file_rows(events.table, columns).filter(pa.array(kept)))
        self.events += int(kept.sum())

    def write_truth(self, service: Service, record_ids: pa.Array, person_ids: pa.Array) -> None:
        """Append who the records of a service are."""
        service_name = pa.repeat(pa.scalar(service.value), len(record_ids))
        self._append("truth", pa.table([service_name, record_ids, person_ids], names=_TRUTH_COLUMNS))

    def _append(self, name: str, rows: pa.Table) -> None:
        pyarrow.csv.write_csv(rows, self._files[name], _CSV_OPTIONS)


def build_source_path(out: Path, table: Table) -> Path:
    """Where the rows of a source table lie in a folder of snapshots."""
    return out / find_table_service(table).lower() / f"{table.name}.csv"


def write_block(block: PeopleBlock, files: SampleFiles) -> None:
    """Make the people of a block and all that is known of them, and append it to the files."""
    people, contracts = draw_people(block), draw_contracts(block)
    begins = draw_acquisition_times(block, people, contracts)
    records = {
        service: draw_records(
            block, people, service, contracts.joined if service is Service.SCL else begins, files.new_ids
        )
        for service in SERVICES
    }
    events, handicap = _draw_activity_events(block, people, contracts, begins, records, files)
    in_order = list(records.values())
    events += draw_office_events(block, people, in_order, begins, are_single_profiles(people, in_order))
    _write_records(records, people, _draw_service_columns(block, contracts, handicap, records), files)
    _write_events(block, records[Service.MESSAGING], events, files)


def _draw_activity_events(
    block: PeopleBlock,
    people: People,
    contracts: Contracts,
    begins: Ints,
    records: dict[Service, ServiceRecords],
    files: SampleFiles,
) -> tuple[list[EventRows], Ints]:
    """What members and golfers did, and everybody's handicap after it."""
    is_member = people.among(PersonKind.MEMBER)
    player, member = records[Service.TEETIME].number_of, records[Service.SCL].number_of
    visits = draw_visits(block, people, contracts, begins)
    bookings = draw_bookings(block, visits, files.new_ids(teetime.booking, len(visits.at)), begins, is_member)
    paid_here = draw_ledger_bookings(block, bookings, is_member)
    entries = draw_entries(block, contracts, bookings, paid_here, is_member)
    handicaps, handicap = draw_handicaps(block, bookings, player, is_member)
    events = [
        draw_booking_events(block, bookings, player, paid_here),
        build_payment_events(block, entries, files.new_ids(scl.payment, len(entries.person)), member),
        draw_tier_changes(block, contracts, member),
        handicaps,
        draw_competitions(block, bookings, player, is_member),
    ]
    return events, handicap


def _write_records(
    records: dict[Service, ServiceRecords], people: People, more: dict[Service, Columns], files: SampleFiles
) -> None:
    for service, each in records.items():
        files.write(each.table, {**each.columns, **more[service]})
        person_ids = pa.array(people.number[each.person]).cast(pa.string())
        files.write_truth(service, each.ids, pc.binary_join_element_wise("person", person_ids, "-"))


def _draw_service_columns(
    block: PeopleBlock, contracts: Contracts, handicap: Ints, records: dict[Service, ServiceRecords]
) -> dict[Service, Columns]:
    """The columns of each service's records that no other service has."""
    member, player = records[Service.SCL].person, records[Service.TEETIME].person
    contacts, leads = records[Service.MESSAGING].person, records[Service.CRM].person
    return {
        Service.SCL: {
            "membership_tier": decode_categories(TIERS, contracts.tier[member]),
            "membership_status": pa.array(contracts.status[member]),
            "joined_at": contracts.joined[member],
            "renews_on": contracts.renews_on[member],
            "ended_at": contracts.ended[member],
            "notice_given_at": contracts.notice[member],
            "yearly_fee_cents": contracts.fee[member],
        },
        Service.TEETIME: {"handicap": handicap[player], "home_club_id": block.club.slug},
        Service.MESSAGING: draw_consents(block, len(contacts)),
        Service.CRM: {"origin": decode_categories(_ORIGINS, block.rng.integers(len(_ORIGINS), size=len(leads)))},
    }


def _write_events(block: PeopleBlock, contacts: ServiceRecords, events: list[EventRows], files: SampleFiles) -> None:
    """What people did, as far as it leaves room for a quarter of mail, and mail for the rest."""
    tenant, room = block.club.slug, _MAX_NON_MAIL_SHARE * (block.event_target - files.events)
    did = np.zeros(block.count, np.int64)
    for each in events:
        did += np.bincount(each.person, minlength=block.count)
    order = block.rng.permutation(block.count)
    keep = np.zeros(block.count, np.bool_)
    keep[order] = np.cumsum(did[order]) <= room
    for each in events:
        files.write_events(each, tenant, keep)
    mail = draw_message_events(block, contacts, block.event_target - files.events)
    files.write_events(mail, tenant, np.ones(block.count, np.bool_))
