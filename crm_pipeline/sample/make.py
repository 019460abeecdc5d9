"""One block of people, drawn step by step and written: a CSV file per source table, and truth.csv."""

from collections import Counter
from collections.abc import Iterable, Mapping
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
from crm_pipeline.sample.faults.decisions import build_odd_overrides
from crm_pipeline.sample.faults.rows import format_rows, split_faulty_rows
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
from crm_pipeline.tables.sources import crm, scl, teetime
from crm_pipeline.vocabulary import Service

_MAX_NON_MAIL_SHARE: Final = 0.75
_ORIGINS: Final = ("website", "open-day", "phone", "partner")
_FIRST_ID: Final = 1_001
_TRUTH_COLUMNS: Final = ("service", "record_id", "person_id")
_CSV_OPTIONS: Final = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")


class SampleFiles:
    """All files of a sample, open for appending, with a count of the events written."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._files: dict[str, pa.NativeFile] = {}
        self._id_counts: Counter[str] = Counter()
        self.event_count = 0

    def __enter__(self) -> Self:
        with ExitStack() as exit_stack:
            for service in Service:
                for table in list_source_tables(service):
                    self._open_file(
                        exit_stack, table.name, build_source_path(self._out, table), (column.name for column in table.c)
                    )
            self._open_file(exit_stack, "truth", self._out / "truth.csv", _TRUTH_COLUMNS)
            self._exit_stack = exit_stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._exit_stack.__exit__(kind, error, at)

    def _open_file(self, exit_stack: ExitStack, name: str, path: Path, header: Iterable[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files[name] = exit_stack.enter_context(pa.OSFile(str(path), "wb"))
        self._files[name].write(f"{','.join(header)}\n".encode())

    def reserve_ids(self, table: Table, count: int) -> Ints:
        """Returns the next `count` record numbers of a table, and reserves them."""
        start = _FIRST_ID + self._id_counts[table.name]
        self._id_counts[table.name] += count
        return np.arange(start, start + count, dtype=np.int64)

    def write_rows(self, table: Table, columns: Columns, block: PeopleBlock | None = None) -> None:
        """Appends rows with the given ids, with the faults of a block."""
        self._append_source_rows(table, as_file_rows(table, columns), block)

    def write_texts(self, table: Table, rows: Iterable[Mapping[str, str | None]]) -> None:
        """Appends rows as they are spelled."""
        self._files[table.name].write(format_rows(table, rows))

    def write_events(self, events: EventRows, block: PeopleBlock, is_included: Flags) -> None:
        """Appends the events of the included people, numbered unless their ids are given, with the block's faults."""
        columns = {**events.columns, "tenant_id": block.club.slug}
        if "id" not in columns:
            columns["id"] = self.reserve_ids(events.table, len(events.person))
        included_rows = is_included[events.person]
        rows = as_file_rows(events.table, columns).filter(pa.array(included_rows))
        self._append_source_rows(events.table, rows, block)
        self.event_count += int(included_rows.sum())

    def write_truth(self, service: Service, record_ids: pa.Array, person_ids: pa.Array) -> None:
        """Appends the person of each record of a service."""
        service_name = pa.repeat(pa.scalar(service.value), len(record_ids))
        self._append_rows("truth", pa.table([service_name, record_ids, person_ids], names=_TRUTH_COLUMNS))

    def _append_source_rows(self, table: Table, rows: pa.Table, block: PeopleBlock | None) -> None:
        faulty_lines = b""
        if block and block.fault_share:
            rows, faulty_lines = split_faulty_rows(block, table, rows)
        self._append_rows(table.name, rows)
        self._files[table.name].write(faulty_lines)

    def _append_rows(self, name: str, rows: pa.Table) -> None:
        pyarrow.csv.write_csv(rows, self._files[name], _CSV_OPTIONS)


def build_source_path(out: Path, table: Table) -> Path:
    """Returns the path of a source table in a folder of snapshots."""
    return out / find_table_service(table).lower() / f"{table.name}.csv"


def write_block(block: PeopleBlock, files: SampleFiles) -> None:
    """Draws the people of a block, their records and events, and appends all to the files."""
    people, contracts = draw_people(block), draw_contracts(block)
    acquired_at = draw_acquisition_times(block, people, contracts)
    records = {
        service: draw_records(
            block, people, service, contracts.joined_at if service is Service.SCL else acquired_at, files.reserve_ids
        )
        for service in SERVICES
    }
    events, handicap = _draw_activity_events(block, people, contracts, acquired_at, records, files)
    in_order = list(records.values())
    events += draw_office_events(block, people, in_order, acquired_at, are_single_profiles(people, in_order))
    _write_records(block, records, people, _draw_service_columns(block, contracts, handicap, records), files)
    _write_events(block, records[Service.MESSAGING], events, files)
    if block.fault_share and not block.first_in_club:
        files.write_texts(crm.identity_override, build_odd_overrides(block, records[Service.SCL]))


def _draw_activity_events(
    block: PeopleBlock,
    people: People,
    contracts: Contracts,
    acquired_at: Ints,
    records: dict[Service, ServiceRecords],
    files: SampleFiles,
) -> tuple[list[EventRows], Ints]:
    """Returns the events of members and golfers, and everybody's handicap after them."""
    is_member = people.are_of_kind(PersonKind.MEMBER)
    player, member = records[Service.TEETIME].first_number, records[Service.SCL].first_number
    visits = draw_visits(block, people, contracts, acquired_at)
    bookings = draw_bookings(block, visits, files.reserve_ids(teetime.booking, len(visits.at)), acquired_at, is_member)
    paid_here = draw_ledger_bookings(block, bookings, is_member)
    entries = draw_entries(block, contracts, bookings, paid_here, is_member)
    handicaps, handicap = draw_handicaps(block, bookings, player, is_member)
    events = [
        draw_booking_events(block, bookings, player, paid_here),
        build_payment_events(block, entries, files.reserve_ids(scl.payment, len(entries.person)), member),
        draw_tier_changes(block, contracts, member),
        handicaps,
        draw_competitions(block, bookings, player, is_member),
    ]
    return events, handicap


def _write_records(
    block: PeopleBlock,
    records: dict[Service, ServiceRecords],
    people: People,
    service_columns: dict[Service, Columns],
    files: SampleFiles,
) -> None:
    for service, each in records.items():
        files.write_rows(each.table, {**each.columns, **service_columns[service]}, block)
        person_ids = pa.array(people.number[each.person]).cast(pa.string())
        files.write_truth(service, each.ids, pc.binary_join_element_wise("person", person_ids, "-"))


def _draw_service_columns(
    block: PeopleBlock, contracts: Contracts, handicap: Ints, records: dict[Service, ServiceRecords]
) -> dict[Service, Columns]:
    """Returns the columns of each service's records that no other service has."""
    member, player = records[Service.SCL].person, records[Service.TEETIME].person
    contacts, leads = records[Service.MESSAGING].person, records[Service.CRM].person
    return {
        Service.SCL: {
            "membership_tier": decode_categories(TIERS, contracts.tier[member]),
            "membership_status": pa.array(contracts.status[member]),
            "joined_at": contracts.joined_at[member],
            "renews_on": contracts.renews_on[member],
            "ended_at": contracts.ended_at[member],
            "notice_given_at": contracts.notice_given_at[member],
            "yearly_fee_cents": contracts.yearly_fee_cents[member],
        },
        Service.TEETIME: {"handicap": handicap[player], "home_club_id": block.club.slug},
        Service.MESSAGING: draw_consents(block, len(contacts)),
        Service.CRM: {"origin": decode_categories(_ORIGINS, block.rng.integers(len(_ORIGINS), size=len(leads)))},
    }


def _write_events(block: PeopleBlock, contacts: ServiceRecords, events: list[EventRows], files: SampleFiles) -> None:
    """Writes events of people up to three quarters of the target, and message events for the rest."""
    max_events = _MAX_NON_MAIL_SHARE * (block.event_target - files.event_count)
    event_counts = np.zeros(block.count, np.int64)
    for each in events:
        event_counts += np.bincount(each.person, minlength=block.count)
    order = block.rng.permutation(block.count)
    is_included = np.zeros(block.count, np.bool_)
    is_included[order] = np.cumsum(event_counts[order]) <= max_events
    for each in events:
        files.write_events(each, block, is_included)
    mail = draw_message_events(block, contacts, block.event_target - files.event_count)
    files.write_events(mail, block, np.ones(block.count, np.bool_))
