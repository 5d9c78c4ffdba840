"""What tests share: recorded variants of the stacks, a view of the objects, golden files."""
