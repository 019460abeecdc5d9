"""The first schema, which no upgrade creates: whoever has it made it with the first release."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Does nothing."""
