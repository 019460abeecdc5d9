"""Which columns each column of an output is made of; declared as columns, so that none can be named that is not there.

What a column is compared with, ordered by or counted from is part of it; keys that rows are joined by are not.
A column without any is the run's own word. How Dagster is told is no business of this module.
"""

from typing import Any

from sqlalchemy import Column, Table

from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.outputs.churn import churn_models
from crm_pipeline.tables.outputs.identity import customer_identities
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.sources.crm import (
    campaign_interaction,
    identity_override,
    lead,
    note,
    profile_tag,
    referral,
    suppressed_identifier,
    tenant,
)
from crm_pipeline.tables.sources.messaging import contact, message_event
from crm_pipeline.tables.sources.scl import member, payment, tier_change
from crm_pipeline.tables.sources.teetime import booking, competition_entry, handicap_update, player

Columns = tuple[Column[Any], ...]


def _of(table: Table, *names: str) -> Columns:
    return tuple(table.c[name] for name in names)


def _of_people(*names: str) -> Columns:
    """These columns of every service's people."""
    return tuple(table.c[name] for table in PEOPLE.values() for name in names)


SUPPRESSED = _of(suppressed_identifier, "kind", "value")
EVIDENCE = (
    *_of_people("id", "auth_user_id", "email", "phone_number", "first_name", "last_name"),
    *_of(identity_override, "service_a", "record_id_a", "service_b", "record_id_b", "decision"),
    *SUPPRESSED,
    tenant.c.min_confidence,
)
ABOUT_PROFILES = (note, profile_tag, campaign_interaction)
EVENT_TABLES = (
    *(member, tier_change, payment, booking, handicap_update, competition_entry, message_event, lead),
    *(*ABOUT_PROFILES, referral),
)
TOLD = (
    member.c.membership_tier,
    *_of(tier_change, "from_tier", "to_tier"),
    payment.c.description,
    *_of(booking, "tee_time_at", "players", "price_cents"),
    *_of(handicap_update, "handicap", "previous_handicap"),
    *_of(competition_entry, "competition", "position"),
    *_of(message_event, "channel", "is_machine_open"),
    *(lead.c.origin, note.c.body, profile_tag.c.tag),
)
"""What both an event's line and its details tell."""
KIND_OF_EVENT = (payment.c.kind, booking.c.status, message_event.c.kind, campaign_interaction.c.kind)
WHEN_AND_WHAT = _of(customer_timeline, "occurred_at", "counts_as")
CONSENT = _of(contact, "email_opt_in", "sms_opt_in", "push_opt_in", "whatsapp_opt_in")
STAGE = (
    *_of(member, "membership_status", "ended_at", "updated_at"),
    *_of(customer_timeline, "occurred_at", "counts_as", "event_type", "details"),
)
RISK = (
    *_of(member, "membership_status", "membership_tier", "joined_at", "renews_on", "ended_at", "notice_given_at"),
    *_of(payment, "kind", "status", "due_at"),
    *_of(customer_timeline, "occurred_at", "counts_as", "event_type"),
    *_of(churn_models, "r", "alpha", "a", "b", "season", "members", "tiers"),
)

MADE_OF: dict[Table, dict[str, Columns]] = {
    customer_identities: {
        "tenant_id": _of_people("tenant_id"),
        "service": (),
        "service_record_id": _of_people("id"),
        "profile_id": EVIDENCE,
        "is_primary": (*_of_people("updated_at"), member.c.membership_status),
        "rule": EVIDENCE,
        "confidence": EVIDENCE,
        "linked_to_service": EVIDENCE,
        "linked_to_record_id": EVIDENCE,
        "email_is_shared": (*_of_people("email"), *SUPPRESSED),
        "phone_is_shared": (*_of_people("phone_number"), *SUPPRESSED),
    },
    customer_timeline: {
        "tenant_id": tuple(table.c.tenant_id for table in EVENT_TABLES),
        "event_id": (*(table.c.id for table in EVENT_TABLES), *KIND_OF_EVENT),
        "profile_id": (
            customer_identities.c.profile_id,
            *(table.c.profile_id for table in ABOUT_PROFILES),
            referral.c.referrer_profile_id,
        ),
        "occurred_at": (
            member.c.joined_at,
            tier_change.c.changed_at,
            payment.c.paid_at,
            *_of(booking, "booked_at", "tee_time_at", "paid_at", "updated_at"),
            handicap_update.c.recorded_at,
            *_of(competition_entry, "entered_at", "played_at"),
            message_event.c.occurred_at,
            *(lead.c.created_at, note.c.created_at),
            *_of(profile_tag, "added_at", "removed_at"),
            *(campaign_interaction.c.occurred_at, referral.c.occurred_at),
        ),
        "source": (),
        "event_type": KIND_OF_EVENT,
        "service_record_id": tuple(table.c.id for table in EVENT_TABLES),
        "counts_as": (
            *KIND_OF_EVENT,
            *(payment.c.amount_cents, booking.c.tee_time_at, competition_entry.c.played_at),
            message_event.c.is_machine_open,
        ),
        "amount_cents": (*_of(payment, "kind", "amount_cents"), booking.c.price_cents),
        "currency": (tenant.c.currency,),
        "summary": (*TOLD, *KIND_OF_EVENT, *_of(payment, "amount_cents", "currency"), tenant.c.currency),
        "details": (
            *TOLD,
            *_of(payment, "refund_of_id", "booking_id"),
            *_of(booking, "id", "course_id"),
            competition_entry.c.score,
            *_of(message_event, "message_id", "campaign_id", "url"),
            *(note.c.author_id, campaign_interaction.c.campaign_id, referral.c.referred_profile_id),
        ),
    },
    customer_profiles: {
        "tenant_id": (customer_identities.c.tenant_id,),
        "id": (customer_identities.c.profile_id,),
        "auth_user_id": _of_people("auth_user_id"),
        "email": (*_of_people("email"), customer_identities.c.email_is_shared),
        "phone_number": (*_of_people("phone_number"), customer_identities.c.phone_is_shared),
        "scl_member_id": _of(customer_identities, "service_record_id", "is_primary"),
        "teetime_player_id": _of(customer_identities, "service_record_id", "is_primary"),
        "messaging_contact_id": _of(customer_identities, "service_record_id", "is_primary"),
        "first_name": _of_people("first_name"),
        "last_name": _of_people("last_name"),
        "display_name": _of_people("first_name", "last_name", "email", "phone_number"),
        "status": (*STAGE, *RISK),
        "lifecycle_stage": STAGE,
        "tags": _of(profile_tag, "tag", "added_at", "removed_at"),
        "engagement_score": (*WHEN_AND_WHAT, member.c.membership_status, *CONSENT),
        "churn_risk_score": RISK,
        "churn_basis": RISK,
        "lifetime_value": (customer_timeline.c.amount_cents,),
        "currency": (tenant.c.currency,),
        "predicted_value_12m": (
            *RISK,
            *(member.c.yearly_fee_cents, customer_timeline.c.amount_cents, churn_models.c.spend),
        ),
        "last_activity_at": WHEN_AND_WHAT,
        "activity_count_30d": WHEN_AND_WHAT,
        "booking_count_30d": WHEN_AND_WHAT,
        "handicap": (player.c.handicap,),
        "home_club_id": (player.c.home_club_id,),
        "membership_tier": (member.c.membership_tier,),
        "membership_status": (member.c.membership_status,),
        **{column.key: (column,) for column in CONSENT},
        "identity_confidence": (customer_identities.c.confidence,),
        "engagement_reasons": (*WHEN_AND_WHAT, member.c.membership_status, *CONSENT),
        "churn_reasons": RISK,
        "field_sources": _of_people("id"),
        "first_seen_at": _of_people("created_at"),
        "updated_at": (),
    },
}
"""By output table, in the order its columns are declared."""
