"""What must not ship: rules that a preview enforces (`pulumi preview --policy-pack policy`)."""
