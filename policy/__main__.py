"""Entry point of the policy pack. The pack serves for as long as the engine lives, so rules live in rules.py."""

import sys
from pathlib import Path

# The engine starts this file with the pack's own folder as the only place to import from.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)

from policy.rules import RULES, Declared, Rule


def _policy(rule: Rule) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        declared = Declared(
            type=args.resource_type, name=args.name, props=args.props, protected=bool(args.opts and args.opts.protect)
        )
        for sentence in rule.check(declared):
            report(f"{args.name}: {sentence}", None)

    return ResourceValidationPolicy(
        name=rule.name, description=rule.description, validate=validate, enforcement_level=EnforcementLevel.MANDATORY
    )


PolicyPack(name="synapse-platform", policies=[_policy(rule) for rule in RULES])
