"""Pages beside the report of a run (comparison, trend, certificate): self-contained, without scripts, for any reader."""
