"""Backtests: several models on one table, fitted at cutoffs, every origin after them scored beside persistence.

plan: which rows are fitted on and which are origins. data: the panel. cell: one fit and its forecasts, kept on disk.
run: the cells still to do. scores, tests: errors on identical pairs. table, figures, tracking: what is shown.
"""
