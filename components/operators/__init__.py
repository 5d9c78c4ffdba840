"""Operators of others, as Helm releases: each can be switched off where the cluster already has it."""
