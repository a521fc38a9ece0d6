"""The report: records → Markdown pages with tables and figures → a site of plain files.

`render` writes a study's pages under docs/studies/; `build_site` turns all pages into a site that opens by
double-click, and `single_file` one HTML file of a study's pages. None imports Keras or Torch.
"""

from medaug_keras.report.site.building import build_site, own_configuration
from medaug_keras.report.site.single import check_single_file, single_file
from medaug_keras.report.site.writing import render

__all__ = ["build_site", "check_single_file", "own_configuration", "render", "single_file"]
