"""Metrics, tables and plots: what the published figures are made with."""
