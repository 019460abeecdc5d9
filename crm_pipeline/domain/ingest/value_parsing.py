"""Parsing of single values: the delivered value as the declared type, and the validation rules of the value alone.

A value goes through the stages of `build_values_query`, each a column of its own: `"<column>$raw"` is the value as
delivered, `"<column>$delivered"` that as text, `"<column>$plain"` whether an id needs no cleaning, `"<column>$text"`
the cleaned text, and `"<column>$form"` the text in its canonical form. A number or a time has `"<column>$parsed"`, its
value as delivered, and `"<column>$line"`, the cleaned text where that has none. Nearly all values are clean, so the
cheapest test that says so comes first.

Stages and macros keep the SQL short: DuckDB takes longer to parse 80,000 characters than to run them on an hour's rows.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection
from sqlalchemy import Column

from crm_pipeline.domain.ingest.placeholders import (
    build_placeholder_condition,
    build_placeholder_sql,
    define_placeholders,
)
from crm_pipeline.domain.ingest.text_cleaning import (
    ROUNDED_NUMBER_PATTERN,
    build_canonical_id_sql,
    build_contact_sql,
    build_half_width_sql,
    build_line_sql,
    build_paragraphs_sql,
    build_plain_id_condition,
    build_text_sql,
    build_whole_number_id_sql,
)
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.columns import TextForm
from crm_pipeline.tables.projections import to_duckdb_type
from crm_pipeline.vocabulary import QuarantineReason as Reason

DAY_PATTERN = r"\d{4}-\d{2}-\d{2}"
TIME_PATTERN = DAY_PATTERN + r"[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-][01]\d(:?[0-5]\d)?)?"
WHOLE_NUMBER_PATTERN = r"[+-]?\d+(\.0+)?"
NUMBER_PATTERN = r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?"
PLAUSIBLE_YEARS = (1900, 2200)
OPEN_END_YEAR = 2200
"""A planned time that may be missing is none from this year on."""
MAX_RECORDED_YEAR = 9999
"""The last year of a recorded time. Until its end a time is compared with the hour; after it, it is no time."""
REPLACEMENT_CODE_POINT = 0xFFFD
MAX_QUOTED_LENGTH = 100
"""Characters of a placeholder that its warning quotes."""
ID_FORMS = (TextForm.ID, TextForm.LOGIN)
REQUIRED_FORMS = (*ID_FORMS, TextForm.TAG)
"""Forms of text of which a placeholder is none even where the column needs a value: the row says nothing without it."""
NUMBER_FORMS = (*ID_FORMS, TextForm.PHONE)
"""Forms of text that a spreadsheet takes for numbers, and rounds."""


class ValidationRule(NamedTuple):
    """Something that can be wrong with a row: the service's column, the reason, the SQL condition that finds it."""

    column: str
    reason: Reason
    condition: str

    def build_problem_sql(self, condition: str | None = None) -> str:
        """Returns SQL for `column:REASON` where the rule's condition holds, else null.

        `condition` may name a column that already holds the condition's result.
        """
        return f"case when {condition or self.condition} then '{self.column}:{self.reason}' end"


def define_parsing(con: DuckDBPyConnection) -> None:
    """Creates the macros and variables that the queries of this module use.

    Creates: clean_line(value), see `build_line_sql`; to_half_width(value), see `build_half_width_sql`;
    first_instant(midnight, zone), the instant of a local midnight.
    """
    define_placeholders(con)
    con.execute(f"""
        create or replace temp macro clean_line(value) as {build_line_sql("value")};
        create or replace temp macro to_half_width(value) as {build_half_width_sql("value")};
        create or replace temp macro first_instant(midnight, zone) as {_build_first_instant_sql()}""")


def build_values_query(columns: Sequence[Column[Any]], types: Mapping[str, str], raw: str) -> str:
    """Returns a query of the values of these columns of relation `raw`, with all the forms that they go through.

    `types` are the DuckDB types of the relation's columns by name.
    Reads: `raw`; where the tenant is among the columns, tenants (tenant_id, timezone), as `_tenant_timezone`; the
    macros and variables of `define_parsing`.
    """
    texts = [column for column in columns if _is_text(column)]
    others = [column for column in columns if not _is_text(column)]
    ids = [column for column in texts if column.info["form"] in ID_FORMS]
    query = f"""
        select {", ".join(_build_delivered_sql(column, types[column.name]) for column in columns)} from {raw}"""
    query = _add_stage(query, "plain", ids, lambda c: build_plain_id_condition(f'"{c.key}$delivered"'))
    query = _add_stage(query, "text", columns, lambda c: _build_cleaned_sql(c, types[c.name]))
    if any(column.key == "tenant_id" for column in columns):
        query = f"""
            from ({query}) left join (select tenant_id as _known_tenant_id, timezone as _tenant_timezone from tenants)
            on "tenant_id$text" = _known_tenant_id"""
    query = _add_stage(query, "form", texts, _build_canonical_sql)
    query = _add_stage(query, "parsed", others, lambda c: _build_parsed_sql(c, types[c.name]))
    query = _add_stage(query, "line", others, _build_unparsed_line_sql)
    values = ", ".join(f"{_build_value_sql(column)} as {column.key}" for column in columns)
    return f"select *, {values} from ({query})"


def _add_stage(query: str, stage: str, columns: Sequence[Column[Any]], build_sql: Callable[[Column[Any]], str]) -> str:
    """Returns a query of the rows of `query` with another form of each of these columns."""
    forms = ", ".join(f'{build_sql(column)} as "{column.key}${stage}"' for column in columns)
    return f"select *, {forms} from ({query})" if forms else query


def _build_delivered_sql(column: Column[Any], raw_type: str) -> str:
    delivered = build_text_sql(f'"{column.name}"', raw_type)
    return f'"{column.name}" as "{column.key}$raw", {delivered} as "{column.key}$delivered"'


def _is_text(column: Column[Any]) -> bool:
    return to_duckdb_type(column) == "VARCHAR"


def _build_cleaned_sql(column: Column[Any], raw_type: str) -> str:
    """Returns SQL for the delivered text, cleaned, null where it is blank; numbers and times stay as delivered."""
    delivered, form = f'"{column.key}$delivered"', column.info.get("form")
    if column.primary_key or column.key == "tenant_id":
        # The owner of the record is reported in places that cannot hold a NUL.
        replaced = f"replace({delivered}, chr(0), chr({REPLACEMENT_CODE_POINT}))"
        delivered = f"case when contains({delivered}, chr(0)) then {replaced} else {delivered} end"
    if raw_type != "VARCHAR" or form in (None, TextForm.EXACT):
        return f"nullif({delivered}, '')"
    if form is TextForm.PARAGRAPHS:
        return build_paragraphs_sql(delivered)
    is_clean = f"{delivered} in {_format_sql_list(column.info['allowed'])}" if column.info["allowed"] else None
    is_clean = f'"{column.key}$plain"' if form in ID_FORMS else is_clean
    line = f"clean_line({delivered})"
    return f"case when {is_clean} then {delivered} else {line} end" if is_clean else line


def _build_canonical_sql(column: Column[Any]) -> str:
    """Returns SQL for the cleaned text in its canonical form: that of the record for the id of one."""
    text = f'"{column.key}$text"'
    if service_column := column.info.get("service_column"):
        services = ", ".join(f"'{s}'" for s, t in PERSON_TABLES.items() if to_duckdb_type(t.c.id) == "BIGINT")
        whole_number_id, id_sql = build_whole_number_id_sql(text), build_canonical_id_sql(text)
        return f'case when "{service_column}$text" in ({services}) then {whole_number_id} else {id_sql} end'
    match column.info.get("form"):
        case TextForm.ID | TextForm.LOGIN:
            return f'case when "{column.key}$plain" then {text} else {build_canonical_id_sql(text)} end'
        case TextForm.PHONE | TextForm.CONTACT:
            return build_contact_sql(text)
        case _:
            return text


def is_delivered_typed(column: Column[Any], raw_type: str) -> bool:
    """Whether a column of this DuckDB type delivers values of the declared type, which need no parsing."""
    kind = to_duckdb_type(column)
    return raw_type in (kind, {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}.get(kind))


def _build_parsed_sql(column: Column[Any], raw_type: str) -> str:
    """Returns SQL for a number or a time as delivered, in the declared type; null where it has no value as it is."""
    if is_delivered_typed(column, raw_type):
        return f'"{column.key}$raw"'
    text = f'"{column.key}$text"'
    # In a `case`, where DuckDB does not compute parts that both have in common for every row.
    return f"case when {text} is null then null else {build_parse_sql(text, to_duckdb_type(column))} end"


def _build_unparsed_line_sql(column: Column[Any]) -> str:
    """Returns SQL for the cleaned text of a number or a time that has no value as it is; null where it is blank."""
    return f"""case when "{column.key}$parsed" is null then clean_line("{column.key}$text") end"""


def _build_value_sql(column: Column[Any]) -> str:
    """Returns SQL for the value in the declared type; null where it has none."""
    if _is_text(column):
        return _build_text_value_sql(column)
    cleaned = build_parse_sql(f'"{column.key}$line"', to_duckdb_type(column))
    return build_open_end_sql(column, f'coalesce("{column.key}$parsed", {cleaned})')


def build_open_end_sql(column: Column[Any], value: str) -> str:
    """Returns SQL for a value that is infinity where it is an open end: a planned time from the club's year 2200 on."""
    if not _may_be_open(column):
        return value
    kind = to_duckdb_type(column)
    local_time = value if kind == "DATE" else f"timezone(coalesce(_tenant_timezone, 'UTC'), {value})"
    return f"case when {local_time} >= '{OPEN_END_YEAR}-01-01' then 'infinity'::{kind} else {value} end"


def read_value(con: DuckDBPyConnection, column: Column[Any], text: str) -> str | None:
    """Returns what a person typed as the value of a column, in its canonical form; None where it is none."""
    define_parsing(con)
    values = build_values_query([column], {column.name: "VARCHAR"}, f'(select $text as "{column.name}")')
    query = f"select cast({column.key} as varchar) from ({values})"
    [(value,)] = con.execute(query, {"text": text}).fetchall()
    return None if value is None else str(value)


def build_warnings_sql(columns: Sequence[Column[Any]]) -> str:
    """Returns SQL for the warnings of a row: values read as none, as `column:REASON:value`; null where there are none.

    Of a placeholder the part that makes it one is quoted, nothing else: that says nothing about a person.
    """
    losses = {column: f'{column.key} is null and "{column.key}$form" is not null' for column in columns}
    warnings = ", ".join(
        f"""case when {is_lost} then concat('{column.name}:', {_build_loss_reason_sql(column)}) end"""
        for column, is_lost in losses.items()
    )
    return f"""case when {" or ".join(f"({is_lost})" for is_lost in losses.values()) or "false"}
        then list_filter([{warnings}]::varchar[], lambda warning: warning is not null) end"""


def is_losable_column(column: Column[Any]) -> bool:
    """Whether it is a text column whose value may be read as none although one was delivered."""
    form = column.info.get("form")
    is_text = _is_text(column) and form is not TextForm.EXACT
    return is_text and not column.info.get("allowed") and bool(column.nullable or form in REQUIRED_FORMS)


def _build_text_value_sql(column: Column[Any]) -> str:
    if not is_losable_column(column):
        return f'"{column.key}$form"'
    value, form = f'"{column.key}$form"', column.info["form"]
    if form is TextForm.PARAGRAPHS:
        return value
    is_lost = build_placeholder_condition(form, value)
    if form in NUMBER_FORMS:
        is_lost = f"{is_lost} or {_build_rounded_condition(value)}"
    if form in ID_FORMS:
        is_lost = f'not "{column.key}$plain" and ({is_lost})'
    return f"case when {is_lost} then null else {value} end"


def _build_rounded_condition(value: str) -> str:
    return f"regexp_full_match({value}, '{ROUNDED_NUMBER_PATTERN}')"


def _build_loss_reason_sql(column: Column[Any]) -> str:
    value = f'"{column.key}$form"'
    found = build_placeholder_sql(column.info["form"], value)
    placeholder = f"concat('{Reason.PLACEHOLDER}:', left({found}, {MAX_QUOTED_LENGTH}))"
    if column.info["form"] not in NUMBER_FORMS:
        return placeholder
    return f"case when {_build_rounded_condition(value)} then '{Reason.ROUNDED_NUMBER}' else {placeholder} end"


def build_parse_sql(text: str, kind: str) -> str:
    """Returns SQL for a text in the DuckDB type `kind`, which is no text; null where it is none."""
    match kind:
        case "DOUBLE":
            return f"case when regexp_full_match({text}, '{NUMBER_PATTERN}') then try_cast({text} as double) end"
        case "BIGINT":
            return f"""case when regexp_full_match({text}, '{WHOLE_NUMBER_PATTERN}')
                then try_cast(split_part({text}, '.', 1) as bigint) end"""
        case "BOOLEAN":
            return f"case lower({text}) when 'true' then true when 'false' then false end"
        case "TIMESTAMPTZ":
            return _build_time_sql(text)
        case "DATE":
            return f"""case when regexp_full_match({text}, '{DAY_PATTERN}') then try_cast({text} as date)
                else cast(timezone(coalesce(_tenant_timezone, 'UTC'), {_build_time_sql(text)}) as date) end"""
        case _:
            return f"""case when regexp_full_match({text}, '{_build_decimal_pattern(kind)}')
                then try_cast({text} as {kind}) end"""


def _build_decimal_pattern(decimal: str) -> str:
    """Returns a pattern of what a DECIMAL(p,s) can hold without rounding.

    It has no plus: `+1.5` is a golfer's -1.5, and 1.5 to anybody else.
    """
    scale = decimal.partition(",")[2].rstrip(")")
    return rf"-?\d+(\.\d{{1,{scale}}}0*)?"


def _build_time_sql(text: str) -> str:
    return f"""case when regexp_full_match({text}, '{TIME_PATTERN}') then try_cast({text} as timestamptz)
        when regexp_full_match({text}, '{DAY_PATTERN}')
        then first_instant(try_cast({text} as timestamp), coalesce(_tenant_timezone, 'UTC')) end"""


def _build_first_instant_sql() -> str:
    """Returns SQL for the instant of a local midnight: the first of two, or the first later one where there is none.

    DuckDB takes the second of two; the first has the offset of the day before.
    """
    latest = "timezone(zone, midnight)"
    day_before = f"({latest} - to_hours(24))"
    offset_before = f"(timezone(zone, {day_before}) - timezone('UTC', {day_before}))"
    first = f"timezone('UTC', midnight - {offset_before})"
    return f"case when timezone(zone, {first}) = midnight then least({first}, {latest}) else {latest} end"


def list_value_rules(column: Column[Any]) -> list[ValidationRule]:
    """Returns the rules for a column's value, whatever else is in the row."""
    value, kind = column.key, to_duckdb_type(column)
    has_value = f'"{column.key}$parsed" is not null or "{column.key}$line" is not null'
    missing = f"{value} is null" if _is_text(column) else f"not ({has_value})"
    rules = [] if column.nullable else [ValidationRule(column.name, _select_missing_reason(column), missing)]
    if _is_text(column):
        rules += _list_text_rules(column)
    elif is_time_column(column):
        is_open = f" and {value} is distinct from 'infinity'::{kind}" if _may_be_open(column) else ""
        is_lost = f"({build_plausible_time_sql(column)}) is null and ({has_value}){is_open}"
        rules += [ValidationRule(column.name, Reason.NOT_A_TIME, is_lost)]
    else:
        reason = Reason.NOT_A_BOOLEAN if kind == "BOOLEAN" else Reason.NOT_A_NUMBER
        rules += [ValidationRule(column.name, reason, f"{value} is null and ({has_value})")]
    if allowed := column.info.get("allowed"):
        rules += [ValidationRule(column.name, Reason.UNKNOWN_VALUE, f"{value} not in {_format_sql_list(allowed)}")]
    return rules + _list_range_rules(column)


def _list_text_rules(column: Column[Any]) -> list[ValidationRule]:
    length = getattr(column.type, "length", None)
    return [
        ValidationRule(column.name, Reason.NUL_BYTE, f"""contains("{column.key}$delivered", chr(0))"""),
        ValidationRule(column.name, Reason.TOO_LONG, f"""length("{column.key}$text") > {length}"""),
    ]


def _list_range_rules(column: Column[Any]) -> list[ValidationRule]:
    """Returns the rules for the declared bounds of a number."""
    minimum, maximum = column.info.get("minimum"), column.info.get("maximum")
    rules = []
    if minimum is not None:
        reason = Reason.NEGATIVE_AMOUNT if minimum == 0 else Reason.OUT_OF_RANGE
        rules.append(ValidationRule(column.name, reason, f"{column.key} < {minimum}"))
    if maximum is not None:
        rules.append(ValidationRule(column.name, Reason.OUT_OF_RANGE, f"{column.key} > {maximum}"))
    return rules


def is_time_column(column: Column[Any]) -> bool:
    """Whether the column holds a time or a day."""
    return to_duckdb_type(column) in ("TIMESTAMPTZ", "DATE")


def build_plausible_time_sql(column: Column[Any]) -> str:
    """Returns SQL for a time, or null where no calendar downstream could hold it, which is so of an open end too."""
    value, kind, (first, last) = column.key, to_duckdb_type(column), PLAUSIBLE_YEARS
    end = f"'{last + 1}-01-01'" if not column.info.get("recorded") else f"'{MAX_RECORDED_YEAR}-12-31'"
    # year() ignores the era: 4000 BC would be 4000.
    return f"case when {value} >= '{first}-01-01'::{kind} and {value} < {end}::{kind} then {value} end"


def _may_be_open(column: Column[Any]) -> bool:
    """Whether a far time of the column says that there is none: `endedAt` 9999-12-31."""
    return bool(column.nullable) and is_time_column(column) and not column.info.get("recorded")


def _select_missing_reason(column: Column[Any]) -> Reason:
    if column.key == "tenant_id":
        return Reason.MISSING_TENANT
    return Reason.MISSING_KEY if column.primary_key else Reason.MISSING_VALUE


def _format_sql_list(values: Sequence[str]) -> str:
    return "(" + ", ".join(f"'{value}'" for value in values) + ")"
