"""Engine tier: the real Pulumi engine and provider against the sandbox's real control plane with simulated machines."""
