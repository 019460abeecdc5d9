"""Column lineage: the columns each output column is made of, declared as column objects, so that all of them exist.

Columns that are compared, ordered by or counted are included; keys that rows are joined by are not. An output column
without any comes from the run itself.
"""

from typing import Any

from sqlalchemy import Column, Table

from crm_pipeline.tables import PERSON_TABLES
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


def _select_columns(table: Table, *names: str) -> Columns:
    return tuple(table.c[name] for name in names)


def _select_person_columns(*names: str) -> Columns:
    """Returns these columns of every service's table of people."""
    return tuple(table.c[name] for table in PERSON_TABLES.values() for name in names)


SUPPRESSED_COLUMNS = _select_columns(suppressed_identifier, "kind", "value")
MATCH_KEY_COLUMNS = (
    *_select_person_columns("id", "auth_user_id", "email", "phone_number", "first_name", "last_name"),
    *_select_columns(identity_override, "service_a", "record_id_a", "service_b", "record_id_b", "decision"),
    *SUPPRESSED_COLUMNS,
    tenant.c.min_confidence,
)
PROFILE_ID_TABLES = (note, profile_tag, campaign_interaction)
EVENT_TABLES = (
    *(member, tier_change, payment, booking, handicap_update, competition_entry, message_event, lead),
    *(*PROFILE_ID_TABLES, referral),
)
EVENT_TEXT_COLUMNS = (
    member.c.membership_tier,
    *_select_columns(tier_change, "from_tier", "to_tier"),
    payment.c.description,
    *_select_columns(booking, "tee_time_at", "players", "price_cents"),
    *_select_columns(handicap_update, "handicap", "previous_handicap"),
    *_select_columns(competition_entry, "competition", "position"),
    *_select_columns(message_event, "channel", "is_machine_open"),
    *(lead.c.origin, note.c.body, profile_tag.c.tag),
)
"""Columns that both an event's summary and its details use."""
EVENT_KIND_COLUMNS = (payment.c.kind, booking.c.status, message_event.c.kind, campaign_interaction.c.kind)
ACTIVITY_COLUMNS = _select_columns(customer_timeline, "occurred_at", "counts_as")
CONSENT_COLUMNS = _select_columns(contact, "email_opt_in", "sms_opt_in", "push_opt_in", "whatsapp_opt_in")
ENGAGEMENT_COLUMNS = (*ACTIVITY_COLUMNS, member.c.membership_status, member.c.joined_at, *CONSENT_COLUMNS)
VISIT_COLUMNS = _select_columns(customer_timeline, "occurred_at", "counts_as", "event_type", "visit_kind", "visit_at")
LIFECYCLE_COLUMNS = (
    *_select_columns(member, "membership_status", "joined_at", "ended_at", "updated_at"),
    *(*VISIT_COLUMNS, customer_timeline.c.details),
)
CHURN_COLUMNS = (
    *_select_columns(
        member, "membership_status", "membership_tier", "joined_at", "renews_on", "ended_at", "notice_given_at"
    ),
    *_select_columns(payment, "kind", "status", "due_at"),
    player.c.created_at,
    *VISIT_COLUMNS,
    *_select_columns(churn_models, "r", "alpha", "a", "b", "season", "members", "tiers", "rules_version"),
)

COLUMN_LINEAGE: dict[Table, dict[str, Columns]] = {
    customer_identities: {
        "tenant_id": _select_person_columns("tenant_id"),
        "service": (),
        "service_record_id": _select_person_columns("id"),
        "profile_id": MATCH_KEY_COLUMNS,
        "is_primary": (*_select_person_columns("updated_at"), member.c.membership_status, member.c.joined_at),
        "rule": MATCH_KEY_COLUMNS,
        "confidence": MATCH_KEY_COLUMNS,
        "linked_to_service": MATCH_KEY_COLUMNS,
        "linked_to_record_id": MATCH_KEY_COLUMNS,
        "email_is_shared": (*_select_person_columns("email"), *SUPPRESSED_COLUMNS),
        "phone_is_shared": (*_select_person_columns("phone_number"), *SUPPRESSED_COLUMNS),
    },
    customer_timeline: {
        "tenant_id": tuple(table.c.tenant_id for table in EVENT_TABLES),
        "event_id": (*(table.c.id for table in EVENT_TABLES), *EVENT_KIND_COLUMNS),
        "profile_id": (
            customer_identities.c.profile_id,
            *(table.c.profile_id for table in PROFILE_ID_TABLES),
            referral.c.referrer_profile_id,
        ),
        "occurred_at": (
            member.c.joined_at,
            tier_change.c.changed_at,
            payment.c.paid_at,
            *_select_columns(booking, "booked_at", "tee_time_at", "paid_at", "updated_at"),
            handicap_update.c.recorded_at,
            *_select_columns(competition_entry, "entered_at", "played_at"),
            message_event.c.occurred_at,
            *(lead.c.created_at, note.c.created_at),
            *_select_columns(profile_tag, "added_at", "removed_at"),
            *(campaign_interaction.c.occurred_at, referral.c.occurred_at),
        ),
        "source": (),
        "event_type": EVENT_KIND_COLUMNS,
        "service_record_id": tuple(table.c.id for table in EVENT_TABLES),
        "counts_as": (
            *EVENT_KIND_COLUMNS,
            *(payment.c.amount_cents, booking.c.tee_time_at, competition_entry.c.played_at),
            message_event.c.is_machine_open,
        ),
        "amount_cents": (*_select_columns(payment, "kind", "amount_cents"), booking.c.price_cents),
        "currency": (tenant.c.currency,),
        "summary": (
            *EVENT_TEXT_COLUMNS,
            *EVENT_KIND_COLUMNS,
            *_select_columns(payment, "amount_cents", "currency"),
            tenant.c.currency,
        ),
        "details": (
            *EVENT_TEXT_COLUMNS,
            *_select_columns(payment, "refund_of_id", "booking_id"),
            *_select_columns(booking, "id", "course_id"),
            competition_entry.c.score,
            *_select_columns(message_event, "message_id", "campaign_id", "url"),
            *(note.c.author_id, campaign_interaction.c.campaign_id, referral.c.referred_profile_id),
        ),
        "visit_kind": (
            *_select_columns(payment, "kind", "status", "amount_cents", "paid_at", "due_at"),
            *(member.c.yearly_fee_cents, customer_identities.c.profile_id),
            *_select_columns(booking, "status", "price_cents", "paid_at"),
        ),
        "visit_at": (
            *_select_columns(booking, "status", "tee_time_at", "booked_at"),
            *(customer_identities.c.profile_id, tenant.c.timezone),
        ),
    },
    customer_profiles: {
        "tenant_id": (customer_identities.c.tenant_id,),
        "id": (customer_identities.c.profile_id,),
        "auth_user_id": _select_person_columns("auth_user_id"),
        "email": (*_select_person_columns("email"), customer_identities.c.email_is_shared),
        "phone_number": (*_select_person_columns("phone_number"), customer_identities.c.phone_is_shared),
        "scl_member_id": _select_columns(customer_identities, "service_record_id", "is_primary"),
        "teetime_player_id": _select_columns(customer_identities, "service_record_id", "is_primary"),
        "messaging_contact_id": _select_columns(customer_identities, "service_record_id", "is_primary"),
        "first_name": _select_person_columns("first_name"),
        "last_name": _select_person_columns("last_name"),
        "display_name": _select_person_columns("first_name", "last_name", "email", "phone_number"),
        "status": (*LIFECYCLE_COLUMNS, *CHURN_COLUMNS),
        "lifecycle_stage": LIFECYCLE_COLUMNS,
        "tags": _select_columns(profile_tag, "tag", "added_at", "removed_at"),
        "engagement_score": ENGAGEMENT_COLUMNS,
        "churn_risk_score": CHURN_COLUMNS,
        "churn_basis": CHURN_COLUMNS,
        "lifetime_value": (customer_timeline.c.amount_cents,),
        "currency": (tenant.c.currency,),
        "predicted_value_12m": (
            *CHURN_COLUMNS,
            *(member.c.yearly_fee_cents, customer_timeline.c.amount_cents, churn_models.c.spend),
        ),
        "last_activity_at": ACTIVITY_COLUMNS,
        "activity_count_30d": ACTIVITY_COLUMNS,
        "booking_count_30d": ACTIVITY_COLUMNS,
        "handicap": (player.c.handicap,),
        "home_club_id": (player.c.home_club_id,),
        "membership_tier": (member.c.membership_tier,),
        "membership_status": (member.c.membership_status,),
        **{column.key: (column,) for column in CONSENT_COLUMNS},
        "identity_confidence": (customer_identities.c.confidence,),
        "engagement_reasons": ENGAGEMENT_COLUMNS,
        "churn_reasons": CHURN_COLUMNS,
        "field_sources": _select_person_columns("id"),
        "first_seen_at": _select_person_columns("created_at"),
        "updated_at": (),
    },
}
"""By output table, in the order its columns are declared."""
