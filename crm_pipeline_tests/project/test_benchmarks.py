"""What benchmarks conclude from what they measured; that they measure is seen by running them."""

import pytest

from benchmarks.observed import Observed, _listen
from benchmarks.performance import growth
from benchmarks.results import AT_LEAST, AT_MOST, Row
from benchmarks.whole import PER_RECORD


@pytest.mark.parametrize(
    ("ours", "theirs", "sense", "required", "ratio", "is_met"),
    [
        (10.0, 20.0, AT_LEAST, 2.0, 2.0, True),  # half the peer's time is twice its speed
        (10.0, 19.0, AT_LEAST, 2.0, 1.9, False),
        (20.0, 10.0, AT_MOST, 2.0, 2.0, True),  # twice what it costs at the least
        (21.0, 10.0, AT_MOST, 2.0, 2.1, False),
        (21.0, 10.0, AT_MOST, None, 2.1, None),  # nothing is asked for
    ],
)
def test_a_peer_is_beaten_and_a_limit_is_kept(
    ours: float, theirs: float, sense: str, required: float | None, ratio: float, is_met: bool | None
) -> None:
    row = Row("stage", 1, "people", ours, "other", theirs, sense, required)
    assert (row.ratio, row.is_met) == (ratio, is_met)


def test_start_up_is_all_before_the_first_step_and_every_import_after_it() -> None:
    said = (
        "import time:   9000000 |    9000000 | before_any_step\n",
        "  … crm_snapshot\n",
        "import time:   1500000 |    2000000 | late\n",
        "import time:    500000 |     500000 |   late.part\n",
        "  ✓ crm_snapshot (3.5 s)\n",
        "    a warning\n",
    )
    found = Observed()
    assert [step for line in said if (step := _listen(line, found, began=0.0))] == ["crm_snapshot"]
    assert found.imports_later == 2.0
    assert found.steps == {"crm_snapshot": 3.5}
    assert found.complaints == ["    a warning\n"]
    found.seconds = found.before_first_step + 5.0
    assert found.work == pytest.approx(3.0)


def test_growth_is_what_a_row_costs_beside_the_size_before() -> None:
    rows = [Row(PER_RECORD, size, "people", cost) for size, cost in ((1_000_000, 0.4), (10_000, 2.0), (100_000, 0.5))]
    found = [(row.size, row.peer, row.ratio, row.is_met) for row in growth(rows)]
    assert found == [(100_000, "10,000 people", 0.25, None), (1_000_000, "100,000 people", 0.8, True)]
