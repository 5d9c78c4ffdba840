"""Container images without a registry: layers of Debian packages, Python packages and Go programs over one base.

They carry the names that the manifests ask for, and stand in for the published images on a node that can pull nothing.
"""
