"""The core: what the documentation requires, what a target answered, and what follows from it."""
