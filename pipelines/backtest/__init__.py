"""Backtests: several models on one table, fitted at cutoffs or when a policy says so, scored beside persistence.

plan: which rows are fitted on and which are origins. data: the panel. contestants, cells: who takes part. cell: one
training and its forecasts, kept on disk. bundle: the cells of several seeds, trained side by side. walk, walker, ahead:
origin by origin, retrained by a policy. run: the cells still to do. losses, scores: errors on identical pairs.
findings, finish: what came of it. table, about, reducing, reporting, figures, portraits, tracking: how it is shown.
"""
