"""Figures and tables of the course, in one look."""

from attention_course.plotting.cells import draw_cells, draw_shares
from attention_course.plotting.course import draw_course
from attention_course.plotting.curves import curve_with_seeds, legend_below, stacked_panels
from attention_course.plotting.maps import heat_map, heat_maps
from attention_course.plotting.mechanism import draw_graph, draw_lookup
from attention_course.plotting.networks import (
    draw_attention_decoder,
    draw_bahdanau_decoder,
    draw_encoder_decoder,
    draw_orders,
)
from attention_course.plotting.style import MODELS, ROLES, use_style
from attention_course.plotting.tables import over_seeds, table
from attention_course.plotting.transformer import draw_families, draw_masks, draw_transformer

__all__ = [
    "MODELS",
    "ROLES",
    "curve_with_seeds",
    "draw_attention_decoder",
    "draw_bahdanau_decoder",
    "draw_cells",
    "draw_course",
    "draw_encoder_decoder",
    "draw_families",
    "draw_graph",
    "draw_lookup",
    "draw_masks",
    "draw_orders",
    "draw_shares",
    "draw_transformer",
    "heat_map",
    "heat_maps",
    "legend_below",
    "over_seeds",
    "stacked_panels",
    "table",
    "use_style",
]
