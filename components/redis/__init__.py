"""Redis (Valkey) with Sentinel: one instance for Synapse, one for LiveKit, in separate failure domains."""
