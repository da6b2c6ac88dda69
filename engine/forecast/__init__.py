"""Forecasts of a run: its duration on a virtual clock, and its price in credits.

`cost`: the seconds that work takes, declared, overridden by the user or calibrated from finished runs.
`priorities`: the order in which ready tiles start.
`schedule`: a run on a number of workers, with its critical path and Gantt chart.
`bill`: the price table and the bill of a run.
`credits`: the effect of a balance that does not cover the bill.
`forecast`: all of these for the record of a simulation.
"""
