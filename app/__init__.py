"""VM Lab: lessons, grading, workers and the page."""
