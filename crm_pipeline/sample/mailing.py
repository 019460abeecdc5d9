"""Messaging's events: what was sent, opened, by a person or by a machine, and clicked.

Clubs write as much as it takes to reach the number of events asked for; all else people do is drawn before.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.sample.chance import DAY, HOUR, MINUTE, Flags, Ints, between, delays, happens, pick
from crm_pipeline.sample.clubs import Block
from crm_pipeline.sample.records import Records
from crm_pipeline.sample.rows import Columns, Events, words
from crm_pipeline.tables.sources import messaging
from crm_pipeline.vocabulary import MessageChannel

_CHANNELS: Final = tuple(MessageChannel)
_CHANNEL_ODDS: Final = (0.76, 0.12, 0.07, 0.05)
_KINDS: Final = ("SENT", "OPENED", "CLICKED")
_SENT, _OPENED, _CLICKED = range(3)
_OPENED_BY_MACHINE, _MOST_READ, _CLICKS, _IN_CAMPAIGN = 0.18, 0.7, 0.2, 0.85
_SLOWEST, _CAMPAIGN_EVERY = 2 * DAY, 14 * DAY
_OPT_INS: Final = {"email_opt_in": 0.75, "sms_opt_in": 0.35, "push_opt_in": 0.2, "whatsapp_opt_in": 0.25}


def draw_consents(block: Block, count: int) -> Columns:
    """What each contact agreed to."""
    return {key: happens(block.rng, share, count) for key, share in _OPT_INS.items()}


@dataclass(frozen=True, slots=True)
class _Messages:
    """One entry a message: a place among the contacts, how it travelled, and what became of it."""

    contact: Ints
    channel: Ints
    sent_at: Ints
    by_machine: Flags
    opened: Flags
    clicked: Flags


def draw_messages(block: Block, contacts: Records, wanted: int) -> Events:
    """Events of as many messages as make at most `wanted`: one or two fewer, or none without anybody to write to."""
    messages = _send(block, contacts, wanted)
    fits = np.cumsum(1 + messages.opened + messages.clicked) <= wanted
    happened = (fits, fits & messages.opened, fits & messages.clicked)
    message = np.concatenate(list(map(np.flatnonzero, happened)))
    kind = np.repeat(np.arange(len(_KINDS)), list(map(np.count_nonzero, happened)))
    return _rows(block, contacts, messages, message, kind)


def _send(block: Block, contacts: Records, count: int) -> _Messages:
    rng = block.rng
    count = count if len(contacts.person) else 0
    contact = rng.integers(max(len(contacts.person), 1), size=count)
    # Evenly spread since the contact was made, or since the history began.
    since = np.maximum(contacts.created_at, block.start)[contact]
    channel = pick(rng, _CHANNEL_ODDS, count)
    by_mail = channel == _CHANNELS.index(MessageChannel.EMAIL)
    by_machine = by_mail & happens(rng, _OPENED_BY_MACHINE, count)
    reads = rng.random(block.count) * _MOST_READ
    opened = by_mail & (rng.random(count) < reads[contacts.person[contact]])
    clicked = opened & ~by_machine & happens(rng, _CLICKS, count)
    return _Messages(
        contact, channel, between(rng, since, block.until, count), by_machine, by_machine | opened, clicked
    )


def _rows(block: Block, contacts: Records, messages: _Messages, message: Ints, kind: Ints) -> Events:
    rng, count, contact = block.rng, len(message), messages.contact[message]
    sent_at = messages.sent_at[message]
    waits = np.where(kind == _SENT, 0, MINUTE * kind + delays(rng, 6 * HOUR, count) % _SLOWEST)
    at = np.minimum(sent_at + waits, block.until)
    campaign = pa.array(sent_at // _CAMPAIGN_EVERY, mask=~happens(rng, _IN_CAMPAIGN, len(messages.contact))[message])
    return Events(
        messaging.message_event,
        contacts.person[contact],
        {
            "contact_id": contacts.number[contact],
            "message_id": _numbered(f"message-{block.first_person}", pa.array(message)),
            "campaign_id": _numbered("campaign", campaign),
            "channel": words(_CHANNELS, messages.channel[message]),
            "kind": words(_KINDS, kind),
            "is_machine_open": (kind == _OPENED) & messages.by_machine[message],
            "url": words((None, f"https://{block.club.slug}.example/tee-times"), (kind == _CLICKED).astype(np.int64)),
            "occurred_at": at,
            "updated_at": at,
        },
    )


def _numbered(word: str, numbers: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(word, numbers.cast(pa.string()), "-")
