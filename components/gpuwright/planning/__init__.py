"""From a spec to a plan: fill in what is left out, search the catalog, take every decision, and say why."""

from gpuwright.planning.decide import make_plan, plan_document
from gpuwright.planning.plan import Plan
from gpuwright.planning.resolve import Request, resolve

__all__ = ["Plan", "Request", "make_plan", "plan_document", "resolve"]
