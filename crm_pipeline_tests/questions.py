"""What tests of `explain` and `what-if` share: questions asked in this process, and a world that changed."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

from click.testing import CliRunner, Result
from rich.console import Console

from crm_pipeline.cli import main
from crm_pipeline.cli.options import choose
from crm_pipeline.explain import Question, explain
from crm_pipeline.explain.text_page import print_answer
from crm_pipeline.explain.what_if import Effect, what_would_change
from crm_pipeline.vocabulary import TenantStatus
from crm_pipeline_tests.homes import copied
from crm_pipeline_tests.support import ask, clean_environment, refresh
from crm_pipeline_tests.world import cast
from crm_pipeline_tests.world_rows import (
    CLUBS,
    FYNBOS,
    HEATHER,
    booking,
    contact,
    override,
    player,
    tenant,
    write_rows,
)

ISLA = player("isla-sedgeley", HEATHER, "Isla Sedgeley")
RUTH = contact("ruth-ashdown", HEATHER, "Ruth Ashdown")
WALTER = contact("walter-holbrook", HEATHER, "Walter Holbrook")
FLAGS = ("email_opt_in", "sms_opt_in", "push_opt_in", "whatsapp_opt_in")
TOLD = "told.pickle"
By = Literal["email", "phone", "profile", "record"]


def answer(home: Path, tenant: str, by: By, value: str) -> dict[str, Any]:
    """The document of `crm-pipeline explain --json`."""
    with clean_environment():
        return explain(choose(home), Question(tenant, by, value))


def person(home: Path, tenant: str, by: By, value: str) -> dict[str, Any]:
    """The only person a question fits."""
    (found,) = answer(home, tenant, by, value)["people"]
    return dict(found)


def page(document: dict[str, Any]) -> str:
    """The page a document is printed as."""
    output = StringIO()
    print_answer(Console(file=output, width=10_000), document)
    return output.getvalue()


def command(home: Path, *arguments: str, **variables: str) -> Result:
    """What the command line says, in this process."""
    with clean_environment(**variables):
        return CliRunner().invoke(main, [*arguments, "--home", str(home)])


def effect(home: Path, tenant_id: str, min_confidence: float) -> Effect:
    """What `crm-pipeline what-if` finds."""
    with clean_environment():
        return what_would_change(choose(home), tenant_id, min_confidence)


class State(NamedTuple):
    """What a run published of Fynbos Links: whose each record is, who agreed to what, and whose the money is."""

    profiles: dict[tuple[str, str], str]
    flags: dict[str, tuple[bool, ...]]
    money: dict[str, tuple[str, int]]


class Changed(NamedTuple):
    """A world before and after it changed, and what `what-if` foretold of Fynbos Links each way."""

    home: Path
    forward: Effect
    back: Effect
    before: State
    after: State


def change_world(blank: Path, folder: Path) -> None:
    """Make the home and the rest of `Changed` in a folder: the cast, and two days later.

    By then Fynbos Links asks for 0.99, staff of Heather Moor have joined Isla and Ruth, Walter's contact was deleted
    there, and Saguaro Ridge is closed.
    """
    rows = [*cast(), booking(player("thandi-molefane", FYNBOS, "Thandi Molefane"), "2026-01-10", cents=9_000)]
    left = [row for row in rows if WALTER.id not in row.values.values()]
    fynbos, heather, saguaro = map(tenant, CLUBS)
    clubs = [fynbos.but(minConfidence=0.99), heather, saguaro.but(status=TenantStatus.CLOSED.value)]
    folder.mkdir()
    write_rows(folder / "before", [*map(tenant, CLUBS), *rows])
    write_rows(folder / "after", [*clubs, *left, override(ISLA, RUTH, "ALWAYS", "The same person")])
    with copied(blank, folder / "home") as home:
        refresh(home, folder / "before")
        forward, before = effect(home, FYNBOS.slug, 0.99), _published(home)
        assert refresh(home, folder / "after", as_of="2026-04-02T12:00:00Z").faults == []
        told = (forward, effect(home, FYNBOS.slug, 0.85), before, _published(home))
    (folder / TOLD).write_bytes(pickle.dumps(told))


@contextmanager
def changed_world(made: Path, home: Path) -> Iterator[Changed]:
    """What was made, in a home of one's own."""
    with copied(made / "home", home):
        yield Changed(home, *pickle.loads((made / TOLD).read_bytes()))  # noqa: S301  our own


def _published(home: Path) -> State:
    club = f"where tenant_id = '{FYNBOS.slug}'"
    links = ask(home, f"select service, service_record_id, profile_id::text from crm.customer_identities {club}")
    flags = ask(home, f"select id::text, {', '.join(FLAGS)} from crm.customer_profiles {club}")
    money = f"select event_id, profile_id::text, amount_cents from crm.customer_timeline {club} and amount_cents <> 0"
    return State(
        {(service, record): profile for service, record, profile in links},
        {profile: tuple(agreed) for profile, *agreed in flags},
        {event: (profile, cents) for event, profile, cents in ask(home, money)},
    )
