"""The calibration plot of a backtest, as the UI shows it: forecast against what happened."""

import base64
from collections.abc import Mapping
from io import BytesIO

import dagster as dg

from crm_pipeline.domain.churn.backtest import Verdict

INCHES, DOTS = 6.0, 90


def plot(verdicts: Mapping[int, Verdict]) -> dg.MarkdownMetadataValue:
    """A picture, one line per horizon in days; a forecast that means what it says lies on the diagonal."""
    # A second that only the weekly fit should pay; not pyplot, which keeps figures and looks for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(INCHES, INCHES), dpi=DOTS, layout="tight")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for days, verdict in sorted(verdicts.items()):
        bins = verdict.calibration
        axes.plot([b.forecast for b in bins], [b.left for b in bins], marker="o", label=f"{days} days")
    axes.set(xlabel="risk foretold", ylabel="share who left", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left")
    picture = BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(picture, format="png")
    encoded = base64.b64encode(picture.getvalue()).decode("ascii")
    return dg.MetadataValue.md(f"![calibration: risk foretold against share who left](data:image/png;base64,{encoded})")
