"""Text for people and documents: wording, name suggestions, masked URLs, checked values, fast JSON.

Modules, in the order in which to read them:

- `wording`: numbers, names, ids and values as short readable text, safe for terminals and documents.
- `nearest`: known names that resemble a wrong one, for error messages.
- `masking`: URLs without the secrets that they may carry.
- `checked`: numbers, dates, JSON and TOML from outside, read within bounds.
- `json_text`: large documents as JSON text.
"""
