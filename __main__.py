"""Reads the stack, plans it, declares it. `pulumi up --stack small|medium|large`."""

import sys

import pulumi

from kube.errors import StackError
from stack.build import build
from stack.load import load
from stack.plan import make_plan

try:
    settings, given = load(pulumi.Config("matrix"), pulumi.get_stack())
    plan = make_plan(settings, pulumi.get_stack())
except StackError as error:
    # One line for each problem, and no traceback: nothing of ours is broken, the file is.
    for line in error.lines():
        pulumi.log.error(line)
    sys.exit(1)

build(plan, given)
