"""Messaging's events: messages sent, opened by a person or a machine, and clicked.

Messages are drawn last, as many as are missing to the requested number of events.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.sample.chance import (
    DAY,
    HOUR,
    MINUTE,
    Flags,
    Ints,
    draw_categories,
    draw_delays,
    draw_flags,
    draw_integers,
)
from crm_pipeline.sample.clubs import PeopleBlock
from crm_pipeline.sample.records import ServiceRecords
from crm_pipeline.sample.rows import Columns, EventRows, decode_categories
from crm_pipeline.tables.sources import messaging
from crm_pipeline.vocabulary import MessageChannel

_CHANNELS: Final = tuple(MessageChannel)
_CHANNEL_WEIGHTS: Final = (0.76, 0.12, 0.07, 0.05)
_EVENT_KINDS: Final = ("SENT", "OPENED", "CLICKED")
_SENT, _OPENED, _CLICKED = range(3)
_MACHINE_OPEN_RATE, _MAX_OPEN_RATE, _CLICK_RATE, _CAMPAIGN_RATE = 0.18, 0.7, 0.2, 0.85
_MAX_RESPONSE_DELAY, _CAMPAIGN_INTERVAL = 2 * DAY, 14 * DAY
_OPT_IN_RATES: Final = {"email_opt_in": 0.75, "sms_opt_in": 0.35, "push_opt_in": 0.2, "whatsapp_opt_in": 0.25}


def draw_consents(block: PeopleBlock, count: int) -> Columns:
    """Returns the opt-ins of each contact."""
    return {key: draw_flags(block.rng, share, count) for key, share in _OPT_IN_RATES.items()}


@dataclass(frozen=True, slots=True)
class _Messages:
    """One entry per message: position among the contacts, channel, time, and whether it was opened or clicked."""

    contact: Ints
    channel: Ints
    sent_at: Ints
    is_machine_open: Flags
    is_opened: Flags
    is_clicked: Flags


def draw_message_events(block: PeopleBlock, contacts: ServiceRecords, wanted: int) -> EventRows:
    """Returns the events of as many messages as give at most `wanted`: up to two fewer, none without contacts."""
    messages = _draw_messages(block, contacts, wanted)
    fits = np.cumsum(1 + messages.is_opened + messages.is_clicked) <= wanted
    happened = (fits, fits & messages.is_opened, fits & messages.is_clicked)
    message = np.concatenate(list(map(np.flatnonzero, happened)))
    kind = np.repeat(np.arange(len(_EVENT_KINDS)), list(map(np.count_nonzero, happened)))
    return _draw_event_rows(block, contacts, messages, message, kind)


def _draw_messages(block: PeopleBlock, contacts: ServiceRecords, count: int) -> _Messages:
    rng = block.rng
    count = count if len(contacts.person) else 0
    contact = rng.integers(max(len(contacts.person), 1), size=count)
    # Evenly spread since the contact was created, or since the history began.
    since = np.maximum(contacts.created_at, block.history_start)[contact]
    channel = draw_categories(rng, _CHANNEL_WEIGHTS, count)
    by_mail = channel == _CHANNELS.index(MessageChannel.EMAIL)
    by_machine = by_mail & draw_flags(rng, _MACHINE_OPEN_RATE, count)
    reads = rng.random(block.count) * _MAX_OPEN_RATE
    opened = by_mail & (rng.random(count) < reads[contacts.person[contact]])
    clicked = opened & ~by_machine & draw_flags(rng, _CLICK_RATE, count)
    return _Messages(
        contact, channel, draw_integers(rng, since, block.until, count), by_machine, by_machine | opened, clicked
    )


def _draw_event_rows(
    block: PeopleBlock, contacts: ServiceRecords, messages: _Messages, message: Ints, kind: Ints
) -> EventRows:
    rng, count, contact = block.rng, len(message), messages.contact[message]
    sent_at = messages.sent_at[message]
    waits = np.where(kind == _SENT, 0, MINUTE * kind + draw_delays(rng, 6 * HOUR, count) % _MAX_RESPONSE_DELAY)
    at = np.minimum(sent_at + waits, block.until)
    campaign = pa.array(
        sent_at // _CAMPAIGN_INTERVAL, mask=~draw_flags(rng, _CAMPAIGN_RATE, len(messages.contact))[message]
    )
    return EventRows(
        messaging.message_event,
        contacts.person[contact],
        {
            "contact_id": contacts.number[contact],
            "message_id": _format_numbered_ids(f"message-{block.first_person}", pa.array(message)),
            "campaign_id": _format_numbered_ids("campaign", campaign),
            "channel": decode_categories(_CHANNELS, messages.channel[message]),
            "kind": decode_categories(_EVENT_KINDS, kind),
            "is_machine_open": (kind == _OPENED) & messages.is_machine_open[message],
            "url": decode_categories(
                (None, f"https://{block.club.slug}.example/tee-times"), (kind == _CLICKED).astype(np.int64)
            ),
            "occurred_at": at,
            "updated_at": at,
        },
    )


def _format_numbered_ids(word: str, numbers: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(word, numbers.cast(pa.string()), "-")
