"""Withheld consents: Messaging contacts that are set aside, and the profile each was last linked to.

Such a contact agrees to nothing at that profile until it is mended or deleted, so no opt-in turns true because its row
became unusable. The stored link says where it was linked; once that is gone, the table does. It is stored before the
links are, so a run that ends in between leaves both.

A contact of which no row is left is deleted, unless its row may be one that is set aside without saying whose it is:
one of its club without a usable id, or one with its id and without a known club. Then it is set aside as long as that
row is.
"""

from collections.abc import Sequence
from typing import Final

from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.sources import messaging
from crm_pipeline.vocabulary import QuarantineReason as Reason

_LAST_PROFILES_SQL: Final = """
    create or replace temp table last_profiles as
    select tenant_id, contact_id, coalesce(i.profile_id, w.profile_id) as profile_id
    from (
        select tenant_id, service_record_id as contact_id, profile_id from {links} where service = 'MESSAGING') i
    full join {withheld} w using (tenant_id, contact_id)
    where {condition}"""
_SET_ASIDE_CONTACTS_SQL: Final = """
    create or replace temp table set_aside_contacts as
    with faulty as (
        select distinct tenant_id, id from messaging_contact_validated where len(_problems) > 0 and id is not null)
    select tenant_id, id as contact_id from faulty
    anti join (select tenant_id, id from messaging_contact semi join faulty using (tenant_id, id))
    using (tenant_id, id)"""
_MISSING_CONTACTS_SQL: Final = """
    create or replace temp table missing_contacts as
    select tenant_id, contact_id from last_profiles
    where (tenant_id, contact_id) not in (select (tenant_id, id) from present_messaging_contact where id is not null)"""
_UNIDENTIFIED_CONTACTS_SQL: Final = """
    insert into set_aside_contacts
    select tenant_id, contact_id from missing_contacts
    where tenant_id in (select tenant_id from present_messaging_contact where {has_faulty_id})
        or contact_id in (select id from {delivered} where tenant_id not in (from known_tenants) and id is not null)"""
_HAS_FAULTY_ID: Final = f"""len(list_filter(_problems,
    lambda problem: starts_with(problem, 'id:') and not starts_with(problem, 'id:{Reason.DUPLICATE_KEY}'))) > 0"""
_WITHHELD_CONSENTS_SQL: Final = """
    create or replace temp table found_withheld_consents as
    from last_profiles semi join set_aside_contacts using (tenant_id, contact_id)"""


def store_withheld_consents(run: RunContext, tenants: Sequence[str], condition: str) -> ChangeCounts:
    """Returns what changed in withheld_consents to make the rows where `condition` holds right.

    Reads: the views of messaging_contact, present_messaging_contact, known_tenants, and the stored customer_identities
        and withheld_consents.
    Creates: last_profiles, set_aside_contacts, missing_contacts, found_withheld_consents.
    """
    stored_views = {
        name: run.lake.create_current_view(run.con, table, tenants=tenants, name=f"last_{table.name}")
        for name, table in (("links", identity.customer_identities), ("withheld", identity.withheld_consents))
    }
    run.con.execute(_LAST_PROFILES_SQL.format(**stored_views, condition=condition))
    run.con.execute(_SET_ASIDE_CONTACTS_SQL)
    run.con.execute(_MISSING_CONTACTS_SQL)
    if run.con.execute("from missing_contacts limit 1").fetchall():
        delivered = run.lake.create_current_view(run.con, messaging.contact, name="delivered_contacts")
        run.con.execute(_UNIDENTIFIED_CONTACTS_SQL.format(delivered=delivered, has_faulty_id=_HAS_FAULTY_ID))
    run.con.execute(_WITHHELD_CONSENTS_SQL)
    return run.replace(identity.withheld_consents, "found_withheld_consents", tenants, condition)
