"""What a stack is: its file, its plan, and the order in which its components are built."""
