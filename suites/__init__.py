"""What is judged: one module per chapter of the catalogue."""
