"""A dashboard as Grafana's JSON model, made with Grafana's own SDK (https://grafana.github.io/grafana-foundation-sdk/)."""

import json
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as types
from grafana_foundation_sdk.models import prometheus as queries

from backend.dashboards.panels import Board, Kind, Panel, Variable

_HEIGHT, _WIDTH = 8, 12
_SOURCE = types.DataSourceRef(type_val="prometheus", uid="${datasource}")


def grafana(board: Board) -> dict[str, Any]:
    """Return the dashboard for Grafana; which Prometheus it asks is chosen there."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(list(board.tags))
        .readonly()
        .tooltip(types.DashboardCursorSync.CROSSHAIR)
        .refresh("1m")
        .time("now-6h", "now")
        .timezone("utc")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for variable in board.variables:
        made.with_variable(_variable(variable))
    for title, url in board.links:
        link = dashboard.DashboardLink(title).type(types.DashboardLinkType.LINK).url(url).icon("doc")
        made.link(link.target_blank(True))
    if board.kind is not Kind.PLATFORM:
        made.link(
            dashboard.DashboardLink("All dashboards").type(types.DashboardLinkType.DASHBOARDS).tags(["ml-platform"])
        )
    for number, panel in enumerate(board.panels):
        made.with_panel(_panel(panel, number))
    document: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(made.build()))
    # Defaults of the SDK that later schemas of Grafana don't know any more.
    document.pop("style", None)
    for variable in document["templating"]["list"]:
        variable.pop("id", None)
    return document


def _variable(variable: Variable) -> dashboard.QueryVariable:
    made = dashboard.QueryVariable(variable.name).label(variable.label).datasource(_SOURCE)
    made.query(variable.query).sort(types.VariableSort.ALPHABETICAL_ASC)
    made.refresh(types.VariableRefresh.ON_TIME_RANGE_CHANGED)
    if variable.start is None:
        everything = types.VariableOption(text=["All"], value=["$__all"], selected=True)
        return made.multi(True).include_all(True).current(everything)
    return made.current(types.VariableOption(text=variable.start, value=variable.start))


def _panel(panel: Panel, number: int) -> stat.Panel | timeseries.Panel:
    place = types.GridPos(h=_HEIGHT, w=_WIDTH, x=number % 2 * _WIDTH, y=number // 2 * _HEIGHT)
    made: stat.Panel | timeseries.Panel
    if panel.kind == "stat":
        reduced = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
        made = stat.Panel().reduce_options(reduced).graph_mode(shapes.BigValueGraphMode.AREA)
        made.text_mode(shapes.BigValueTextMode.VALUE_AND_NAME)
        if panel.unit == "percentunit":
            made.thresholds(_thresholds())
    else:
        legend = common.VizLegendOptions().display_mode(shapes.LegendDisplayMode.LIST).show_legend(True)
        tooltip = common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING)
        made = timeseries.Panel().legend(legend.placement(shapes.LegendPlacement.BOTTOM)).tooltip(tooltip)
        if panel.title != "Error budget left" and not panel.title.startswith("Least"):
            made.min(0)
    made.id(number + 1).title(panel.title).description(panel.description).unit(panel.unit)
    made.datasource(_SOURCE).grid_pos(place)
    for place_in_row, target in enumerate(panel.targets):
        query = prometheus.Dataquery().expr(target.expr).legend_format(target.legend).range()
        query.ref_id("ABCDEFGH"[place_in_row]).editor_mode(queries.QueryEditorMode.CODE).datasource(_SOURCE)
        made.with_target(query)
    return made


def _thresholds() -> dashboard.ThresholdsConfig:
    steps = [(None, "red"), (0.25, "orange"), (0.5, "green")]
    made = [types.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(types.ThresholdsMode.ABSOLUTE).steps(made)
