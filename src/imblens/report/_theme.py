"""The one theme of all charts: colours, fonts and sizes."""

from __future__ import annotations

from typing import Any

INK, MUTED, GRID = "#1d2530", "#4d5866", "#e3e7ec"
FONTS = (
    "Liberation Sans, Arial, Helvetica, Narrowed, sans-serif"  # the first is inside vl-convert, the next measure alike
)

THEME: dict[str, Any] = {
    "aria": False,  # the figure around a chart carries its sentence
    "background": None,
    "font": FONTS,
    "padding": {"left": 2, "right": 8, "top": 4, "bottom": 4},
    "view": {"stroke": None, "continuousWidth": 320, "continuousHeight": 260},
    "axis": {
        "domainColor": "#aab3be",
        "gridColor": GRID,
        "labelColor": INK,
        "labelFontSize": 12,
        "tickColor": "#aab3be",
        "titleColor": MUTED,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "axisQuantitative": {"tickCount": 6},
    "header": {"labelColor": INK, "labelFontSize": 12, "titleColor": MUTED, "titleFontWeight": "normal"},
    "legend": {
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 200,
        "orient": "top",
        "titleColor": MUTED,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gradientLength": 160,
        "gradientThickness": 10,
        "columns": 4,
    },
    "title": {"anchor": "start", "color": INK, "fontSize": 13, "fontWeight": 600, "subtitleColor": MUTED},
    "text": {"color": INK},
    "range": {
        "category": ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#000000"],
    },
}
