"""Looking at results: one HTML page, or Rerun."""
