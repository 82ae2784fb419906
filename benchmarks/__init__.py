"""Benchmarks: each module measures some of the budgets as ratios of two things timed in one run; ``python -m benchmarks`` runs all."""
