"""The way in: public addresses, certificates, and one route from each host to a Service.

HAProxy (components.router) owns every Matrix path; the edge maps hosts and nothing else, so that Gateway API and plain
Ingress can do the same job, and no controller's own annotations are needed.
"""
