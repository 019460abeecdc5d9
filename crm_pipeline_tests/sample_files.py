"""What tests of made-up and hand-written samples share: their files, and what is in them."""

from pathlib import Path
from typing import Final

import pandas as pd
import phonenumbers
from sqlalchemy import Table

from crm_pipeline.sample.write import file_of
from crm_pipeline.tables import source_tables
from crm_pipeline.vocabulary import Service

TABLES: Final = tuple(table for service in Service for table in source_tables(service))


def read(out: Path, table: Table) -> pd.DataFrame:
    return pd.read_csv(file_of(out, table), dtype=str, keep_default_na=False, na_values=[""])


def files(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.csv"))}


def e164(phone: str, region: str) -> str | None:
    number = phonenumbers.parse(phone, region)
    valid = phonenumbers.is_valid_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if valid else None
