"""Pages beside the report of a run (comparison, trend, certificate): self-contained, and without scripts."""
