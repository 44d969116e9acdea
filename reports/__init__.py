"""What people read: every report is a projection of run.json."""
