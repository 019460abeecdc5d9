"""Source tables of TeeTime, the booking service: players, bookings, handicaps and competitions."""

from crm_pipeline.tables.columns import (
    MAX_COUNT,
    cents,
    declare_source_table,
    handicap,
    identifier,
    integer,
    person,
    planned_at,
    recorded_at,
    tenant_id,
    text,
)
from crm_pipeline.vocabulary import Service

player = declare_source_table(
    Service.TEETIME,
    "Player",
    "A person who books or plays.",
    identifier("id", "The player's id, unique within TeeTime."),
    tenant_id(),
    *person(),
    handicap("handicap", "Handicap index.", nullable=True),
    identifier("homeClubId", "The player's home club.", nullable=True),
    recorded_at("createdAt", "When the record was made."),
    recorded_at("updatedAt", "When the record last changed."),
)

booking = declare_source_table(
    Service.TEETIME,
    "Booking",
    "A tee time booked by a player.",
    identifier("id", "The booking's id."),
    tenant_id(),
    identifier("playerId", "Who booked.", references="Player"),
    identifier("courseId", "The course.", nullable=True),
    planned_at("teeTimeAt", "When play begins."),
    recorded_at("bookedAt", "When the booking was made."),
    text("status", "What became of it.", allowed=("BOOKED", "PLAYED", "CANCELLED", "NO_SHOW")),
    integer("players", "How many play.", minimum=0, maximum=MAX_COUNT),
    cents("priceCents", "The price.", nullable=True),
    text("currency", "ISO 4217 code.", nullable=True),
    recorded_at("paidAt", "When it was paid.", nullable=True),
    recorded_at("updatedAt", "When the record last changed."),
)

handicap_update = declare_source_table(
    Service.TEETIME,
    "HandicapUpdate",
    "A change of a player's handicap.",
    identifier("id", "The update's id."),
    tenant_id(),
    identifier("playerId", "The player.", references="Player"),
    handicap("handicap", "The handicap after."),
    handicap("previousHandicap", "The handicap before.", nullable=True),
    recorded_at("recordedAt", "When it was recorded."),
    recorded_at("updatedAt", "When the record last changed."),
)

competition_entry = declare_source_table(
    Service.TEETIME,
    "CompetitionEntry",
    "A player's entry in a competition.",
    identifier("id", "The entry's id."),
    tenant_id(),
    identifier("playerId", "The player.", references="Player"),
    text("competition", "Name of the competition."),
    recorded_at("enteredAt", "When the player entered."),
    planned_at("playedAt", "When it was or will be played.", nullable=True),
    integer("position", "Final position.", nullable=True, minimum=-MAX_COUNT, maximum=MAX_COUNT),
    integer("score", "Score.", nullable=True, minimum=-MAX_COUNT, maximum=MAX_COUNT),
    recorded_at("updatedAt", "When the record last changed."),
)
