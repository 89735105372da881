"""The report of a run: one HTML file with its figures inside."""

from pipelines.report.page import write_report

__all__ = ["write_report"]
