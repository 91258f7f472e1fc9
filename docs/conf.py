"""The site: Sphinx with MyST. ``make site`` builds it into build/site; nothing is fetched, a warning is an error."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_site")]

import spikingconvnet as scn  # noqa: E402

project = "spikingconvnet"
author = "the authors of spikingconvnet"
project_copyright = author
version = release = scn.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathematics", "generated",
              "accessible"]
exclude_patterns = ["_site", "images"]
html_theme = "furo"
html_title = f"spikingconvnet {version}"
html_static_path = ["_site/style.css", "_site/scroll.js"]
html_css_files = ["style.css"]
html_js_files = ["scroll.js"]
html_favicon = "_site/icon.svg"
html_show_search_summary = False        # it would be fetched, which a browser refuses to a page that is a file
html_copy_source = html_show_sourcelink = False
html_math_renderer = "mathml"
# One dark and one light style of which every colour has a contrast of 4.5 to 1.
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"

highlight_language = "text"
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
myst_url_schemes = ("http", "https", "mailto")

# Tutorials are executed, each in a directory of its own (_site/scratch.py). To write text: -D nb_execution_mode=off.
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_show_tb = True
nb_merge_streams = True
nb_number_source_lines = False

default_role = "literal"        # `name` in docstrings
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"      # docstrings say types, with shapes and units
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

# Types in words, as "array of float (n, m)", and names that are not public have nowhere to lead to.
nitpick_ignore_regex = [(r"py:.*", r"(?!spikingconvnet\.).*")]
