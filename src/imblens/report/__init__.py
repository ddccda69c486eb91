"""Findings as tables and figures on disk, one offline page, one plain summary, and a comparison of runs."""

from imblens.report._ahead import drawing_ahead as drawing_ahead
from imblens.report._audit import Audit as Audit
from imblens.report._audit import audit as audit
from imblens.report._audit_page import report_html as report_html
from imblens.report._comparison import Comparison as Comparison
from imblens.report._comparison import compare as compare
from imblens.report._data import QUICK_MAP as QUICK_MAP
from imblens.report._figures import Figure as Figure
from imblens.report._figures import draw as draw
from imblens.report._figures import room_to_draw as room_to_draw
from imblens.report._figures import warm_up as warm_up
from imblens.report._overlays import maps_figure as maps_figure
from imblens.report._papers import column_figure as column_figure
from imblens.report._render import figures as figures
from imblens.report._sentences import assumptions as assumptions
from imblens.report._summary import next_treatment as next_treatment
from imblens.report._summary import summary as summary
