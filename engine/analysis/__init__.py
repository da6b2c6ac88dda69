"""Analysis of sound: where somebody speaks, and how loud it is.

Modules, in the order in which to read them:

- `speech`: the analysis of an asset's sound in one pass, and its result.
- `voice_activity`: the detector of speech in blocks of samples.
- `level_meter`: the meter of RMS levels.
- `projection`: speech and levels of a timeline that is cut from analysed sources.
- `assumed_speech`: a synthetic model of speech for simulations.
"""
