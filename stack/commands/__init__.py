"""What `python -m stack` can do: check a stack file, explain it, and write what is generated from it."""
