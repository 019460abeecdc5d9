"""Withheld consents: Messaging contacts that are set aside, and the profile each was last linked to.

Such a contact agrees to nothing at that profile until it is mended or deleted, so no opt-in turns true because its row
became unusable. The stored link says where it was linked; once that is gone, the table does. It is stored before the
links are, so a run that ends in between leaves both.
"""

from collections.abc import Sequence
from typing import Final

from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.outputs import identity

_SET_ASIDE_CONTACTS_SQL: Final = """
    create or replace temp table set_aside_contacts as
    with faulty as (
        select distinct tenant_id, id from messaging_contact_validated where len(_problems) > 0 and id is not null)
    select tenant_id, id as contact_id from faulty
    anti join (select tenant_id, id from messaging_contact semi join faulty using (tenant_id, id))
    using (tenant_id, id)"""
_WITHHELD_CONSENTS_SQL: Final = """
    create or replace temp table found_withheld_consents as
    select tenant_id, contact_id, coalesce(i.profile_id, w.profile_id) as profile_id
    from set_aside_contacts
    left join (
        select tenant_id, service_record_id as contact_id, profile_id from {links} where service = 'MESSAGING'
    ) i using (tenant_id, contact_id)
    left join {withheld} w using (tenant_id, contact_id)
    where coalesce(i.profile_id, w.profile_id) is not null"""


def store_withheld_consents(run: RunContext, tenants: Sequence[str], condition: str) -> ChangeCounts:
    """Returns what changed in withheld_consents to make the rows where `condition` holds right.

    Reads: the views of messaging_contact, and the stored customer_identities and withheld_consents.
    Creates: set_aside_contacts, found_withheld_consents.
    """
    stored_views = {
        name: run.lake.create_current_view(run.con, table, tenants=tenants, name=f"last_{table.name}")
        for name, table in (("links", identity.customer_identities), ("withheld", identity.withheld_consents))
    }
    run.con.execute(_SET_ASIDE_CONTACTS_SQL)
    run.con.execute(_WITHHELD_CONSENTS_SQL.format(**stored_views))
    return run.replace(identity.withheld_consents, "found_withheld_consents", tenants, condition)
