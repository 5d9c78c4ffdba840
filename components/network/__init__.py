"""Namespaces with Pod Security, and network policies from the list of flows."""
