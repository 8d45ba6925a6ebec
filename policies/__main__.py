"""The policy pack: started by Pulumi's engine, serves until it is stopped."""

import sys

try:
    from pulumi_policy import (
        EnforcementLevel,
        PolicyPack,
        ReportViolation,
        ResourceValidationArgs,
        ResourceValidationPolicy,
        Severity,
        StackValidationArgs,
        StackValidationPolicy,
    )

    from gpuwright_policies.pack import judge_resource, judge_stack
except ImportError as error:
    sys.exit(f"The policy pack needs gpuwright with its policy extra: {error}. Install 'gpuwright[policy]'.")

RULES = "A rule of GPU serving infrastructure is violated."
ADVICE = "A rule of GPU serving infrastructure advises, or cannot be judged yet."


def rules(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Report what refuses the deployment of one resource."""
    judge_resource(args, report, mandatory=True)


def advice(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Report advice for one resource, and what cannot be judged yet."""
    judge_resource(args, report, mandatory=False)


def stack_rules(args: StackValidationArgs, report: ReportViolation) -> None:
    """Report what refuses the deployment of resources that belong together."""
    judge_stack(args.resources, report, mandatory=True)


def stack_advice(args: StackValidationArgs, report: ReportViolation) -> None:
    """Report advice for resources that belong together, and what cannot be judged yet."""
    judge_stack(args.resources, report, mandatory=False)


MANDATORY, ADVISORY = EnforcementLevel.MANDATORY, EnforcementLevel.ADVISORY

if __name__ == "__main__":
    PolicyPack(
        "gpuwright",
        [
            ResourceValidationPolicy("gpuwright-rules", RULES, rules, MANDATORY, severity=Severity.HIGH),
            ResourceValidationPolicy("gpuwright-advice", ADVICE, advice, ADVISORY, severity=Severity.LOW),
            StackValidationPolicy(
                "gpuwright-stack-rules", RULES, stack_rules, MANDATORY, severity=Severity.HIGH
            ),
            StackValidationPolicy(
                "gpuwright-stack-advice", ADVICE, stack_advice, ADVISORY, severity=Severity.LOW
            ),
        ],
        description="Rules for GPU serving infrastructure.",
    )
