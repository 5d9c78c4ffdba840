"""Synapse: one main process, its workers, and the router in front of them.

Read in this order: `processes.py` (which processes there are, and how many), `instances.py` (what they know of each
other), `homeserver.py` and `files.py` (what they read), `pods.py` (how they run), `plan.py`, `component.py`.
"""
