"""Reports for other programs: CI systems, pull requests and notebooks. Values in, text out.

Modules, in the order in which to read them:

- `positions`: the line and the column of a JSON pointer in the text of a document.
- `findings`: the faults and warnings of the documents of a run, with their places.
- `sarif`: findings for code scanning.
- `junit`: findings as test results.
- `github`: findings as annotations of a GitHub workflow.
- `differences`: the differences between two documents in words.
- `markdown`: text, tables and foldable parts of a comment on GitHub, escaped and limited in size.
- `plan_markdown`, `diff_markdown`, `run_markdown`: the comment about a plan, a comparison, a run.
- `html`: escaped HTML with the style of all displays in notebooks.
- `notebook`: the display of a plan and of a run.
"""
