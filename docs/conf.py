"""How Sphinx makes docs/ into a site: `make docs`. Every warning is an error there, a link to nowhere among them."""

project = "Lockgate"
extensions = ["myst_parser"]
exclude_patterns = ["requirements.lock"]
myst_heading_anchors = 4
html_title = "Lockgate"
html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "navbar_center": [],
    "navbar_end": ["theme-switcher"],
    "footer_start": [],
    "footer_end": [],
    "secondary_sidebar_items": [],
    "show_prev_next": False,
}
html_sidebars = {"**": ["globaltoc.html"]}  # all pages, with the headings of the one that is open
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
html_use_index = False
