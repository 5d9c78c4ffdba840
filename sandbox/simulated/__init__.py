"""Simulated operators: what has to create objects (pods, volumes' claims, Secrets), which stages of kwok cannot do.

They are deliberately plain: each looks at the whole cluster once a second and does the next missing thing. At a
sandbox's scale that is a handful of small requests, and there is no state to get out of step.
"""
