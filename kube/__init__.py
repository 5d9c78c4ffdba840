"""How we write Kubernetes objects: names, labels, pods, files with hashes, secrets, flows.

Pure, but for `kube.component` and `kube.secret_values`, which are the only modules here that import Pulumi.
`kube` imports nothing else of this repository.
"""
