"""Drawings of agents and runs as plain text, mermaid, Graphviz DOT and SVG.

`model`: the tiles and connections to draw, the same for every format.
`ascii`: plain text.
`mermaid`: a mermaid flowchart.
`dot`: a Graphviz graph.
`layers`: nodes assigned to layers and ordered so that few connections cross.
`coordinates`: the position of each node within its layer.
`wrap`: a wide layout folded into bands, one below the other.
`layout`: the positions of nodes and the routes of connections, made from the three modules above.
`svg_primitives`: text widths, number formats and paths for SVG.
`svg`: an SVG picture.
"""
