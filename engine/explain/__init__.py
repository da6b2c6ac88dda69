"""Explanations of a run: why its graph, values, media and outputs are as they are.

`stories`: the explanations as data.
`graph`: why a tile runs, why a connection exists, the origin of a parameter's value.
`output`: what a tile receives and makes, and how an output leads back to its sources.
`expressions`: media expressions before and after each rewrite rule, as text and as Python programs.
`media`: the expressions of a run's outputs.
`expression_svg`: media expressions as an SVG picture.
`preview`: the items of a finished run, rendered as small drafts.
"""
