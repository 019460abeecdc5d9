"""Odd texts: names, ids, clubs, words of a closed set, addresses; in CSV, JSON lines and Parquet."""

from datetime import UTC, datetime

from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline_tests.bad_input.cases import Case

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
TEN_MEGABYTES = "x" * 10_000_000
INJECTION = "'; drop schema crm cascade; --"
RIGHT_TO_LEFT = "שלום כהן"
GOLFER = "🏌🏽\u200d♀\ufe0f"

NAMES = [
    Case("emoji name", teetime.player, {"firstName": GOLFER, "lastName": "⛳"}),
    Case("right-to-left name", teetime.player, {"firstName": RIGHT_TO_LEFT, "lastName": "عمر"}),
    Case("right-to-left override", teetime.player, {"firstName": "Ada\u202egpj.exe\u202c"}),
    Case("combining marks", teetime.player, {"firstName": "Z\u0308\u0301\u0323oe", "lastName": "e\u0301"}),
    Case("byte order mark inside", teetime.player, {"firstName": "\ufeffAda"}),
    Case("line separators", teetime.player, {"firstName": "Ada\u2028\u2029\x85", "lastName": "a\r\nb\tc\x0b"}),
    Case("noncharacters", teetime.player, {"firstName": "\uffff\ufffd\ue000\U0010ffff"}),
    Case("quotes", teetime.player, {"firstName": '"', "lastName": "'\"`\u00b4“”„«"}),
    Case("backslashes", teetime.player, {"firstName": "\\", "lastName": '\\"\\n\\0'}),
    Case("separators", teetime.player, {"firstName": ",;|\t", "lastName": "a:b\x1fc\x1ed"}),
    Case("formula", teetime.player, {"firstName": "=cmd|'/c calc'!A0", "lastName": "@SUM(1+1)"}),
    Case("markup", teetime.player, {"firstName": "<script>alert(1)</script>", "lastName": "[bold red]{{7*7}}[/]"}),
    Case("format strings", teetime.player, {"firstName": "%s%n {0} {} $1 :x", "lastName": "${jndi:ldap://x}"}),
    Case("injection in a name", teetime.player, {"firstName": INJECTION, "lastName": "x' or '1'='1"}),
    Case("words for nothing", teetime.player, {"firstName": "NULL", "lastName": "NaN"}),
    Case("only spaces", teetime.player, {"firstName": "   ", "lastName": "\u00a0\u3000"}),
    Case("200 emoji", teetime.player, {"firstName": "🏌" * 200}),
    Case("201 letters", teetime.player, {"firstName": "x" * 201}, faults=("firstName:TOO_LONG",)),
    Case("NUL in CSV", teetime.player, {"firstName": "A\0da"}, faults=("firstName:NUL_BYTE",)),
    Case("NUL in JSON", scl.member, {"id": "101", "firstName": "\0"}, faults=("firstName:NUL_BYTE",)),
    Case("NUL in Parquet", messaging.contact, {"firstName": "Ada\0"}, faults=("firstName:NUL_BYTE",)),
    Case("10 MB in CSV", teetime.player, {"lastName": TEN_MEGABYTES}, faults=("lastName:TOO_LONG",)),
    Case("10 MB in JSON", scl.member, {"id": "102", "lastName": TEN_MEGABYTES}, faults=("lastName:TOO_LONG",)),
    Case("10 MB in Parquet", messaging.contact, {"lastName": TEN_MEGABYTES}, faults=("lastName:TOO_LONG",)),
    Case("emoji in JSON", scl.member, {"id": "103", "firstName": GOLFER, "lastName": RIGHT_TO_LEFT}, {"id": 103}),
    Case("object in JSON", scl.member, {"id": 104, "firstName": {"a": [1]}}, {"firstName": '{"a":[1]}'}),
    Case(
        "number in JSON",
        scl.member,
        {"id": 105, "firstName": 7, "lastName": True},
        {"firstName": "7", "lastName": "true"},
    ),
    Case("emoji in Parquet", messaging.contact, {"firstName": GOLFER, "lastName": RIGHT_TO_LEFT}),
]
IDS = [
    Case("no id", teetime.player, {"id": None}, faults=("id:MISSING_KEY",)),
    Case("NUL in an id", teetime.player, {"id": "a\0b"}, {"id": "a\ufffdb"}, faults=("id:NUL_BYTE",)),
    Case("endless id", teetime.player, {"id": "x" * 201}, faults=("id:TOO_LONG",)),
    Case("10 MB id", messaging.contact, {"id": TEN_MEGABYTES}, faults=("id:TOO_LONG",)),
    Case("injection in an id", teetime.player, {"id": INJECTION}),
    Case(
        "injection in a faulty id",
        teetime.player,
        {"id": f"{INJECTION} 2", "handicap": "x"},
        faults=("handicap:NOT_A_NUMBER",),
    ),
    Case("path in an id", teetime.player, {"id": "../../etc/passwd"}),
    Case("emoji id", teetime.player, {"id": "🏌"}),
    Case("right-to-left id", teetime.player, {"id": RIGHT_TO_LEFT}),
    Case("quotes in an id", teetime.player, {"id": "\"'\\"}),
    Case("lines in an id", teetime.player, {"id": "a\nb"}),
    Case("space for an id", teetime.player, {"id": " "}),
    Case("null for an id", teetime.player, {"id": "null"}),
    Case("duplicate's key for an id", teetime.player, {"id": "twin duplicate 2"}),
    Case(
        "twin, the later", teetime.player, {"id": "twin", "updatedAt": "2026-02-01T00:00:00Z"}, {"updatedAt": FEBRUARY}
    ),
    Case("twin, the earlier", teetime.player, {"id": "twin", "firstName": "Eve"}, faults=("id:DUPLICATE_KEY",)),
    Case("heir", teetime.player, {"id": "heir", "firstName": "Ada"}),
    Case(
        "heir, of the future",
        teetime.player,
        {"id": "heir", "updatedAt": "2027-01-01T00:00:00Z"},
        faults=("updatedAt:FUTURE_TIME",),
    ),
]
CLUBS = [
    Case("no club", crm.lead, {"tenantId": None}, faults=("tenantId:MISSING_TENANT",), tenant=None),
    Case("unknown club", crm.lead, {"tenantId": "nowhere"}, faults=("tenantId:UNKNOWN_TENANT",), tenant=None),
    Case("path for a club", crm.lead, {"tenantId": "../links"}, faults=("tenantId:UNKNOWN_TENANT",), tenant=None),
    Case(
        "injection for a club",
        crm.lead,
        {"tenantId": f"{INJECTION} 4"},
        faults=("tenantId:UNKNOWN_TENANT",),
        tenant=None,
    ),
    Case("club in capitals", crm.lead, {"tenantId": "LINKS"}, faults=("tenantId:UNKNOWN_TENANT",), tenant=None),
    Case("club and two spaces", crm.lead, {"tenantId": "links  "}, faults=("tenantId:UNKNOWN_TENANT",), tenant=None),
    Case(
        "club and a NUL",
        crm.lead,
        {"tenantId": "links\0"},
        faults=("tenantId:NUL_BYTE", "tenantId:UNKNOWN_TENANT"),
        tenant=None,
    ),
    Case(
        "endless club",
        crm.lead,
        {"tenantId": "x" * 10_000},
        faults=("tenantId:TOO_LONG", "tenantId:UNKNOWN_TENANT"),
        tenant=None,
    ),
]
WORDS = [
    Case(
        "status in lower case",
        scl.member,
        {"id": "111", "membershipStatus": "active"},
        faults=("membershipStatus:UNKNOWN_VALUE",),
    ),
    Case(
        "status of Cyrillic letters",
        scl.member,
        {"id": "112", "membershipStatus": "\u0410CTIVE"},
        faults=("membershipStatus:UNKNOWN_VALUE",),
    ),
    Case(
        "status and a space",
        scl.member,
        {"id": "113", "membershipStatus": "ACTIVE "},
        faults=("membershipStatus:UNKNOWN_VALUE",),
    ),
    Case("no status", scl.member, {"id": "114", "membershipStatus": None}, faults=("membershipStatus:MISSING_VALUE",)),
    Case("another currency", scl.payment, {"currency": "EUR"}, faults=("currency:WRONG_CURRENCY",)),
    Case("currency in lower case", scl.payment, {"currency": "gbp"}, faults=("currency:WRONG_CURRENCY",)),
    Case("currency sign", scl.payment, {"currency": "£"}, faults=("currency:WRONG_CURRENCY",)),
    Case("settled and never paid", scl.payment, {"paidAt": None}, faults=("paidAt:MISSING_VALUE",)),
    Case("nobody's payment", scl.payment, {"memberId": 999}, faults=("memberId:ORPHAN",)),
    Case("injection for a player", teetime.booking, {"playerId": INJECTION + " 3"}, faults=("playerId:ORPHAN",)),
]
FOUND_LATER = [
    Case("path for a profile", crm.note, {"profileId": "../../x"}, faults=("profileId:ORPHAN",)),
    Case("two at signs", messaging.contact, {"email": "a@b@club.example"}, faults=("email:INVALID_EMAIL",)),
    Case("injection for an email", messaging.contact, {"email": f"{INJECTION}@club.example"}),
    Case("line in an email", messaging.contact, {"email": "a@club\n.example"}, faults=("email:INVALID_EMAIL",)),
    Case("emoji for an email", messaging.contact, {"email": "🏌"}, faults=("email:INVALID_EMAIL",)),
    Case("emoji for a phone number", messaging.contact, {"phoneNumber": "☎"}, faults=("phoneNumber:INVALID_PHONE",)),
    Case("right-to-left email", messaging.contact, {"email": "שלום@דוגמה.example"}),
    Case(
        "arabic digits for a phone number",
        messaging.contact,
        {"phoneNumber": "\u0660\u0667\u0669\u0661\u0661 \u0661\u0660\u0660\u0661\u0660\u0660"},
    ),
]
"""What only later steps can tell; of a wrong address, it alone is set aside."""
TEXT_ROWS = NAMES + IDS + CLUBS + WORDS
