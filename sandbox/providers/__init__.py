"""Test equipment: stand-ins for the official `random` and `tls` Pulumi providers, for machines without their binaries.

They serve the resource types that the platform uses, with the official names, defaults, ids, secrets and
replacements, so that a stack may be brought up, changed and renewed on a machine that reaches package registries
alone. No deployed platform ever uses them: with access to Pulumi's plugins the official providers are used.
"""
