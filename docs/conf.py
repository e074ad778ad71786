"""How Sphinx makes docs/ into a site: `make docs`. Every warning is an error there, a link to nowhere among them."""

project = "Lockgate"
extensions = ["myst_parser"]
exclude_patterns = ["requirements.lock"]
html_theme = "pydata_sphinx_theme"
html_title = "Lockgate"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
html_use_index = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "footer_start": [],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
myst_heading_anchors = 4
